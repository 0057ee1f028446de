"""Runs the examples of a page of the documents, and reads its tables."""

import doctest
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"


def run_examples(name, text=None):
    """Every ``pycon`` block of a page, in order, must print what it shows."""
    text = (DOCS / name).read_text("utf-8") if text is None else text
    blocks = re.findall(r"```pycon\n(.*?)```", text, re.DOTALL)
    assert blocks
    test = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, name, str(DOCS / name), 0)
    found = []
    result = doctest.DocTestRunner(verbose=False).run(test, out=found.append)
    assert result.failed == 0, "".join(found)


def table_in_docs(heading):
    """The rows of the table below a heading of ``docs/reach.md``: first column, second column."""
    text = (DOCS / "reach.md").read_text("utf-8").split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {row[0]: row[1] for row in rows[2:]}


def route_in_docs():
    """What works by which route."""
    return table_in_docs("Modules")
