"""Word vectors of text files and .npz, as they were written."""

import numpy as np
import pytest
import torch

from nakami import data
from nakami.results import UsageError

ROWS = [[3.0, 4.0], [0.0, 2.0], [1.0, 0.0]]


def written(tmp_path, kind):
    names = ["tiger", "shark", "Cat"]
    if kind == "npz":
        file = tmp_path / "words.npz"
        np.savez(file, words=np.array(names), vectors=np.array(ROWS))
        return file
    lines = [f"{n} {a:g} {b:g}" for n, (a, b) in zip(names, ROWS, strict=True)]
    file = tmp_path / "words.txt"
    file.write_text("\n".join(["3 2"] * (kind == "word2vec") + lines) + "\n")
    return file


@pytest.mark.parametrize("kind", ["npz", "word2vec", "glove"])
def test_files_are_read_as_written(tmp_path, kind):
    words = data.read_words(written(tmp_path, kind))
    assert words.names == ("tiger", "shark", "Cat")
    torch.testing.assert_close(words.vectors, torch.tensor(ROWS))
    found = words.of(["Tiger", "Cat"])
    torch.testing.assert_close(found, torch.tensor([[0.6, 0.8], [1.0, 0.0]]))
    half = torch.tensor([0.3, 0.9])
    torch.testing.assert_close(words.of(["tiger_shark"])[0], half / half.norm())


def test_what_is_no_file_of_word_vectors_is_refused(tmp_path):
    words = data.read_words(written(tmp_path, "npz"))
    with pytest.raises(UsageError, match=r"word 'tigr' is unknown; nearest.*'tiger'"):
        words.of(["tigr"])
    with pytest.raises(UsageError, match="words must be a file of word vectors"):
        data.read_words(tmp_path / "none.txt")
    bad = tmp_path / "bad.txt"
    bad.write_text("tiger 1 2\nshark 1\n")
    with pytest.raises(UsageError, match="words must have 2 numbers a word, got 1 in line 2"):
        data.read_words(bad)
    bad.write_text("tiger 1 2\nshark one two\n")
    with pytest.raises(UsageError, match=r"line 2 of .* is not a word and numbers"):
        data.read_words(bad)
    bad.write_text("tiger 0 0\nshark 1 2\n")
    with pytest.raises(UsageError, match="words must hold finite vectors that are not 0"):
        data.read_words(bad)
    np.savez(tmp_path / "other.npz", x=np.ones((2, 2)))
    with pytest.raises(UsageError, match="words must hold the arrays words and vectors, got x"):
        data.read_words(tmp_path / "other.npz")
