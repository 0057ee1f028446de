"""One and several in sentences."""

import pytest

from nakami.results import Outcome, SpectrumEnding, counted, first_names, worded


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ((1, "example"), "1 example"),
        ((0, "example"), "0 examples"),
        ((1024, "example"), "1,024 examples"),
        ((2, "batch"), "2 batches"),
        ((2, "class"), "2 classes"),
        ((1, "backward pass"), "1 backward pass"),
        ((3, "backward pass"), "3 backward passes"),
        ((2, "entry", "entries"), "2 entries"),
        ((1, "row is", "rows are"), "1 row is"),
    ],
)
def test_a_count_agrees_with_its_noun(given, wanted):
    assert counted(*given) == wanted


def test_a_list_that_is_cut_says_how_many_there_are_more():
    assert first_names("abc") == "a, b, c"
    assert first_names("abcd") == "a, b, c and 1 more"
    assert first_names(map(str, range(1500)), 2) == "0, 1 and 1,498 more"
    assert first_names(()) == "none"


def test_a_sentence_agrees_with_its_counts():
    sentence = "{n:the value|all {n} values} of {who!r} within {tol:g}"
    assert worded(sentence, {"n": 1, "who": "a", "tol": 0.5}) == "the value of 'a' within 0.5"
    assert worded(sentence, {"n": 3, "who": "a", "tol": 0.5}) == "all 3 values of 'a' within 0.5"
    one, two = (Outcome(SpectrumEnding.WITHIN, {"values": n, "tol": 0.1}) for n in (1, 2))
    assert (one.reason, two.reason) == ("the value within tol 0.1", "all 2 values within tol 0.1")
