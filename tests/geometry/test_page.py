"""The examples of the page on learning rates print what they show."""

import pytest

from pages import DOCS, run_examples


def test_examples_of_the_page():
    run_examples("learning-rate.md")


def test_a_wrong_figure_is_seen():
    text = (DOCS / "learning-rate.md").read_text("utf-8").split("The residual is tiny")[0]
    with pytest.raises(AssertionError, match="Expected"):
        run_examples("learning-rate.md", text.replace("sgd      ", "sgd      1"))
