"""Analogies: read, and answered as the vectors that were made for them say."""

import pytest
import torch
from torch.nn import functional as F

from nakami.data import WordVectors, answered, read_analogies
from nakami.results import UsageError

NAMES = ("king", "queen", "man", "woman", "far")


def vectors():
    """A queen is a king and a woman less a man."""
    royal, male, female, far = torch.eye(4)
    return torch.stack([royal + male, royal + female, male, female, -far])


def test_questions_are_answered_by_the_nearest_other_word():
    words = WordVectors(NAMES, 3 * vectors())
    asked = [("man", "king", "woman", "queen"), ("king", "queen", "man", "woman")]
    assert [NAMES[i] for i in answered(words, asked)] == ["queen", "woman"]
    assert answered(words, []).tolist() == []


def test_they_are_those_of_a_loop():
    g = torch.Generator().manual_seed(0)
    names = tuple(f"w{i}" for i in range(30))
    words = WordVectors(names, torch.randn(30, 5, generator=g))
    asked = [tuple(f"w{i}" for i in torch.randperm(30, generator=g)[:4]) for _ in range(50)]
    v = F.normalize(words.vectors.double(), dim=1)
    for question, found in zip(asked, answered(words, asked).tolist(), strict=True):
        a, b, c = (names.index(w) for w in question[:3])
        target = v[b] - v[a] + v[c]
        best = max((i for i in range(30) if i not in (a, b, c)),
                   key=lambda i: float(F.cosine_similarity(v[i], target, dim=0)))  # fmt: skip
        assert found == best


def test_a_file_of_sections_is_read(tmp_path):
    file = tmp_path / "q.txt"
    file.write_text(": capital-world\nAthens Greece Oslo Norway\n\n: gram1\na b c d\ne f g h\n")
    assert read_analogies(file) == {
        "capital-world": [("Athens", "Greece", "Oslo", "Norway")],
        "gram1": [("a", "b", "c", "d"), ("e", "f", "g", "h")],
    }
    file.write_text("a b c d\n")
    assert list(read_analogies(file)) == ["all"]
    file.write_text("a b c\n")
    with pytest.raises(UsageError, match=r"line 1 of .* must hold four words, got 3; write"):
        read_analogies(file)
    file.write_text("")
    with pytest.raises(UsageError, match=r"must hold questions, got none; write four words"):
        read_analogies(file)


def test_a_word_that_is_not_there_is_named():
    with pytest.raises(UsageError, match="quen"):
        answered(WordVectors(NAMES, vectors()), [("man", "king", "woman", "quen")])
    with pytest.raises(UsageError, match="words must be four or more"):
        answered(WordVectors(NAMES[:3], vectors()[:3]), [])
