"""Runs the examples of a page of the documents, and reads its tables."""

import doctest
import re
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
# a block may stand below <!-- not run: why --> or <!-- needs a, b --> (modules that it imports)
BLOCK = re.compile(
    r"(?:<!-- (not run|needs):? ([^>]+) -->\n\n?)?^```(pycon|python)\n(.*?)^```$",
    re.DOTALL | re.MULTILINE,
)


def run_examples(name, text=None):
    """The code of a page, in order and with the same names: what it shows as printed must be."""
    text = (DOCS / name).read_text("utf-8") if text is None else text
    names: dict[str, object] = {"__name__": "page"}
    blocks = BLOCK.findall(text)
    assert blocks
    for mark, about, language, code in blocks:
        if mark == "not run" or (mark and not all(map(find_spec, about.split(", ")))):
            continue
        if language == "python":
            exec(compile(code, name, "exec"), names)
        else:
            _compare(name, code, names)


def _compare(name, code, names):
    test = doctest.DocTestParser().get_doctest(code, names, name, str(DOCS / name), 0)
    found = []
    result = doctest.DocTestRunner(verbose=False).run(test, out=found.append, clear_globs=False)
    assert result.failed == 0, "".join(found)
    names.update(test.globs)


def table_in_docs(heading):
    """The rows of the table below a heading of ``docs/reach.md``: first column, second column."""
    text = (DOCS / "reach.md").read_text("utf-8").split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {row[0]: row[1] for row in rows[2:]}


def route_in_docs():
    """What works by which route."""
    return table_in_docs("Modules")
