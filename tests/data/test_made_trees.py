"""Sentences of the grammar: all different, with the sentiment that its rules give each node."""

import pytest
import torch

from nakami import data
from nakami.data._made_trees import ADJECTIVES, MOST
from nakami.results import UsageError

OWN = {word: sentiment - 2 for sentiment, words in enumerate(ADJECTIVES) for word in words}


def sentiment(words):
    """The class of a sentence by its words, -2 to 2, without a tree."""
    for word in ("and", "but"):
        if word in words:
            at = words.index(word)
            first, second = sentiment(words[:at]), sentiment(words[at + 1 :])
            return second if word == "but" else int((first + second) / 2)
    value = OWN[words[-1]]
    for word in words[3:-1][::-1]:
        sign = (value > 0) - (value < 0)
        value = 2 * sign if word == "very" else -sign
    return value


def test_the_class_of_each_sentence_is_that_of_its_words():
    before = torch.get_rng_state()
    trees = data.made_trees(300, seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    sentences = [trees.sentence(i) for i in range(len(trees))]
    assert len(set(sentences)) == 300
    assert trees.root_labels.tolist() == [2 + sentiment(s.split()) for s in sentences]
    assert set(trees.root_labels.tolist()) == set(range(5))
    assert torch.equal(data.made_trees(300, seed=3).nodes, trees.nodes)
    other = data.made_trees(300, seed=4)
    assert sentences != [other.sentence(i) for i in range(300)]


def test_negation_goes_to_the_weaker_class_of_the_other_side():
    trees = data.made_trees(300)
    negation, found = trees.words.index("not"), set()
    for rows, labels in zip(trees.nodes.tolist(), trees.labels.tolist(), strict=True):
        for node, (_, left, right, height) in enumerate(rows):
            if height > 0 and rows[left][0] == negation:
                found.add((labels[right], labels[node]))
    assert found == {(0, 3), (1, 3), (2, 2), (3, 1), (4, 1)}


def test_wrong_numbers_are_refused():
    for n in (0, 353_221):
        with pytest.raises(
            UsageError, match=f"n must be a whole number from 1 to 353220 .* got {n}"
        ):
            data.made_trees(n)


def test_the_grammar_has_as_many_sentences_as_are_counted():
    words, phrases = [()], list[tuple[str, ...]]()
    for _ in range(3):
        phrases += [(*before, word) for before in words for row in ADJECTIVES for word in row]
        words = [(*before, word) for before in words for word in ("very", "not")]
    clauses = 4 * len(set(phrases))
    assert clauses + 2 * clauses**2 == MOST
