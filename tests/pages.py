"""Runs the examples of a page of the documents."""

import doctest
import re
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1] / "docs"


def run_examples(name, text=None):
    """Every ``pycon`` block of a page, in order, must print what it shows."""
    text = (DOCS / name).read_text("utf-8") if text is None else text
    blocks = re.findall(r"```pycon\n(.*?)```", text, re.DOTALL)
    assert blocks
    test = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, name, str(DOCS / name), 0)
    found = []
    result = doctest.DocTestRunner(verbose=False).run(test, out=found.append)
    assert result.failed == 0, "".join(found)
