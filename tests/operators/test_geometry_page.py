"""The examples of the page on curvature matrices print what they show."""

import pytest

from pages import DOCS, run_examples


def test_examples_of_the_page():
    run_examples("geometry.md")


def test_a_wrong_figure_is_seen():
    text = (DOCS / "geometry.md").read_text("utf-8").split("At first all differ")[0]
    with pytest.raises(AssertionError, match=r"70\.73"):
        run_examples("geometry.md", text.replace("70.73", "70.74"))
