"""The examples of the page on initial scales print what they show."""

from pages import run_examples


def test_examples_of_the_page():
    run_examples("initialisation.md")
