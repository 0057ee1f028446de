"""Settings of Sphinx for the documentation site."""

from __future__ import annotations

import inspect
import re
from functools import partialmethod
from typing import Any

from docutils import nodes
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


# a line of several names ("height, width: ...") stands for each of them, of attributes too
GoogleDocstring._consume_fields = partialmethod(GoogleDocstring._consume_fields, multiple=True)


def _returned(self: GoogleDocstring, preprocess_types: bool = False) -> list[tuple[str, str, Any]]:
    return [("", "", self._dedent(self._consume_to_next_section()))]


# "Returns:" holds text alone here: what stands before a colon is no type
GoogleDocstring._consume_returns_section = _returned


def own_words(app: Any, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """A constant without a comment of its own does not repeat what its type says of itself."""
    if what == "data" and lines and (inspect.getdoc(type(value)) or "").startswith(lines[0]):
        lines.clear()


CALL = re.compile(r"^(nakami(?:\.\w+)+)(?:\(.*\))?$", re.DOTALL)


def linked(app: Any, tree: nodes.document, page: str) -> None:
    """Code in a text that names what the reference describes leads there."""
    known = app.env.get_domain("py").objects
    for code in list(tree.findall(nodes.literal)):
        call = CALL.match(code.astext())
        if call and call[1] in known and not isinstance(code.parent, nodes.reference | nodes.title):
            to = known[call[1]]
            inner = code.deepcopy()
            code.replace_self(make_refnode(app.builder, page, to.docname, to.node_id, inner))


def setup(app: Any) -> None:
    """What this file adds to Sphinx."""
    app.connect("doctree-resolved", linked)
    app.connect("autodoc-process-docstring", own_words, priority=100)
