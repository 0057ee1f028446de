"""The examples of the theory's page print what they show."""

import doctest
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "theory-meanfield.md"


def run(text):
    blocks = re.findall(r"```pycon\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 3
    test = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, PAGE.name, str(PAGE), 0)
    found = []
    result = doctest.DocTestRunner(verbose=False).run(test, out=found.append)
    assert result.failed == 0, "".join(found)


def test_examples_of_the_page():
    run(PAGE.read_text("utf-8"))


def test_a_wrong_figure_is_seen():
    with pytest.raises(AssertionError, match="chaotic"):
        run(PAGE.read_text("utf-8").replace("chi_1 1.134", "chi_1 1.135"))
