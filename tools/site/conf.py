"""Settings of Sphinx for the documentation site."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from functools import partialmethod
from typing import Any

from docutils import nodes
from sphinx.domains.python import PyObject
from sphinx.ext.napoleon import GoogleDocstring
from sphinx.util.nodes import make_refnode

project = "nakami"
author = "the authors of nakami"
extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "myst_parser"]

myst_heading_anchors = 4

autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 88
python_use_unqualified_type_names = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_attr_annotations = False  # a dataclass tells the types in its signature
autodoc_type_aliases = {name: name for name in ("Array", "ArrayLike", "Tensors")}

html_theme = "furo"
html_title = "nakami"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_show_copyright = False
html_copy_source = False


# Docstrings here are plainer than napoleon takes them: text before a colon is no type where a value
# is returned or an attribute described, and a line of several names stands for each of them.
def _returned(self: GoogleDocstring, preprocess_types: bool = False) -> list[tuple[str, str, Any]]:
    return [("", "", self._dedent(self._consume_to_next_section()))]


def _described(self: GoogleDocstring) -> tuple[str, list[str]]:
    return "", self._dedent(self._consume_to_end())


GoogleDocstring._consume_returns_section = _returned
GoogleDocstring._consume_inline_attribute = _described
GoogleDocstring._consume_fields = partialmethod(GoogleDocstring._consume_fields, multiple=True)
next(f for f in PyObject.doc_field_types if f.name == "variable").label = "Attributes"


def plain_signature(app: Any, what: str, name: str, value: Any, options: Any, *texts: str) -> Any:
    """A default that Python shows as an object, ``<factory>``, is left out."""
    arguments, returned = texts
    return re.sub(r"<[^<>]*>", "...", arguments or "") or None, returned


def own_words(app: Any, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """A constant without a comment of its own does not repeat what its type says of itself."""
    if what == "data" and lines and (inspect.getdoc(type(value)) or "").startswith(lines[0]):
        lines.clear()


CALL = re.compile(r"^(\w+(?:\.\w+)*)(?:\(.*\))?$", re.DOTALL)


def linked(app: Any, tree: nodes.document, page: str) -> None:
    """Code in a text that names what the reference describes leads there.

    Names are given from the package on (``nakami.svd(op, k)``); within the reference a class may be
    given by its own name where only one has it.
    """
    known = dict(app.env.get_domain("py").objects)
    if page.startswith("api/"):
        classes = [path for path, entry in known.items() if entry.objtype in ("class", "exception")]
        own = Counter(path.rpartition(".")[2] for path in classes if not known[path].aliased)
        short = {path.rpartition(".")[2]: known[path] for path in classes}
        known |= {name: entry for name, entry in short.items() if own[name] == 1}
    for code in list(tree.findall(nodes.literal)):
        call = CALL.match(code.astext())
        if call and call[1] in known and not isinstance(code.parent, nodes.reference | nodes.title):
            to = known[call[1]]
            inner = code.deepcopy()
            code.replace_self(make_refnode(app.builder, page, to.docname, to.node_id, inner))


def spoken(app: Any, page: str, template: str, context: dict[str, Any], tree: Any) -> None:
    """The language of a page, by its folder."""
    if page.startswith("ja/"):
        context["language"] = "ja"


def setup(app: Any) -> None:
    """What this file adds to Sphinx."""
    app.connect("html-page-context", spoken)
    app.connect("doctree-resolved", linked)
    app.connect("autodoc-process-signature", plain_signature)
    app.connect("autodoc-process-docstring", own_words, priority=100)
