"""Words of captions and what they tell, counted by hand."""

import math
from dataclasses import replace

import pytest
import torch

from nakami import data


@pytest.fixture
def words(reproduction):
    return reproduction("_captions_words")


def test_what_words_tell(words):
    assert words.roles("a red circle above a square") == [
        None, "first shape", "first shape", "relation", None, "second shape", None,
    ]  # fmt: skip
    assert words.roles("a square") == [None, "first shape", "relation"]
    assert words.roles("a square left of a blue square")[2:4] == ["relation", None]


@pytest.mark.parametrize("layout", [[0, 5, -1, -1], [4, -1, 9, 4], [-1, -1, 7, -1]])
def test_nats_of_words_under_the_rules_are_those_of_the_sentence(words, layout):
    for text, p in data.sentence_odds(layout).items():
        each = data.word_nats(text, layout)
        assert len(each) == len(words.roles(text)) == len(text.split()) + 1
        assert sum(each) == pytest.approx(-math.log(p), abs=1e-9)
        forced = [nats for nats, role in zip(each, words.roles(text), strict=True) if not role]
        assert forced == pytest.approx([0] * len(forced), abs=1e-9)


def test_the_rules_themselves_are_nothing_above_the_rules(words):
    test = data.captioned_shapes(20, seed=2).numbered()
    longest = test.labels.shape[2]
    odds = torch.zeros(60, longest, dtype=torch.float64)
    pairs = zip(test.layout.tolist(), test.captions, strict=True)
    each = [data.word_nats(text, layout) for layout, some in pairs for text in some]
    for row, nats in enumerate(each):
        odds[row, : len(nats)] = -torch.tensor(nats, dtype=torch.float64)
    assert all(abs(value) < 1e-9 for value in words.by_role(odds, test).values())
    worse = words.by_role(odds - 1, test)
    relations = sum(words.roles(text).count("relation") for some in test.captions for text in some)
    assert worse["relation"] == pytest.approx(relations / 60, rel=1e-3)


def test_what_is_written_is_judged_in_parts(words):
    pytest.importorskip("nltk", reason="BLEU comes with the extra language")
    test = data.captioned_shapes(40, seed=1)
    some = test[(test.layout >= 0).sum(1) == 2][:4]
    given = [max(data.sentence_odds(layout), key=len) for layout in some.layout.tolist()]
    some = replace(some, captions=tuple((text, "a circle") for text in given))
    found = words.told(given, some)
    assert (found["true"], found["sentences"]) == (100, 100)
    assert found["BLEU-4"] == pytest.approx(100)
    first, _ = words._halves(given[0])
    wrong = words.told([f"{first} above {first}", "a a", given[2], given[3]], some)
    assert wrong["true"] == 50
    assert wrong["sentences"] == 75
    assert wrong["BLEU-4"] < 100
