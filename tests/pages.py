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


def route_in_docs():
    """The table of ``docs/reach.md``: what works by which route."""
    text = (DOCS / "reach.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {row[0]: row[1] for row in rows}
