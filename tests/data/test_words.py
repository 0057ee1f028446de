"""Word vectors of text files and .npz, as they were written."""

import numpy as np
import pytest
import torch

from nakami import data
from nakami.results import NakamiWarning, UsageError

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
    with pytest.raises(
        UsageError, match=r"line 2 of bad.txt must be a word and 2 numbers, got 1 number;"
    ):
        data.read_words(bad)
    bad.write_text("tiger 1 2\nshark one two\n")
    with pytest.raises(
        UsageError, match=r"line 2 of bad.txt must be a word and numbers, got 'one'"
    ):
        data.read_words(bad)
    bad.write_text("tiger 0 0\nshark 1 2\n")
    with pytest.raises(UsageError, match="words must hold finite vectors that are not 0"):
        data.read_words(bad)
    np.savez(tmp_path / "other.npz", x=np.ones((2, 2)))
    with pytest.raises(UsageError, match="words must hold the arrays words and vectors, got x"):
        data.read_words(tmp_path / "other.npz")


def test_words_may_hold_spaces_and_lines_may_be_empty(tmp_path):
    """As in GloVe's largest file, where words are '. . .' or hold a no-break space."""
    file = tmp_path / "words.txt"
    file.write_bytes("tiger 3 4 \r\n. . . 0 2\n\nto\u00a0me\u0085 1 0\n\n".encode())
    words = data.read_words(file)
    assert words.names == ("tiger", ". . .", "to\u00a0me\u0085")
    torch.testing.assert_close(words.vectors, torch.tensor(ROWS))
    file.write_text("2 2\n. . . 0 2\ntiger 3 4\n")  # the first line tells the numbers
    assert data.read_words(file).names == (". . .", "tiger")
    assert words.of([]).shape == (0, 2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"tiger 1 2\nshark 1 2 3\n", "line 2 of bad.txt must be a word and 2 numbers, got 3 num"),
        (b"tiger\n", "line 1 of bad.txt must be a word and its numbers, got 0 numbers"),
        (b"1 2\ntiger \xff\xfe\x00", "words must be UTF-8 text, or .npz, got .*; write word2vec's"),
        (b"\n\n", "words must hold a vector for each word, got 0 words"),
        (b"", "words must hold a vector for each word, got 0 words"),
        (
            b"a 1 2\ntiger 1e300 2\n",
            "finite vectors that are not 0, got NaN or infinity for 'tiger'",
        ),
        (b"a 1 2\nb 0 0\nc 0 0\n", "finite vectors that are not 0, got zeros for 'b', 'c'; leave"),
        (b"3 2\na 1 2\nb 3 4\n", "words must hold the 3 words that its first line says, got 2; f"),
        (b"1 2\na 1 2\nb 3 4\n", "words must hold the 1 word that its first line says, got 2"),
    ],
)
def test_other_texts_are_refused_in_a_sentence(tmp_path, content, message):
    (tmp_path / "bad.txt").write_bytes(content)
    with pytest.raises(UsageError, match=message):
        data.read_words(tmp_path / "bad.txt")


@pytest.mark.parametrize("kind", ["txt", "npz"])
def test_a_word_that_stands_twice_has_its_first_vector_and_a_warning(tmp_path, kind):
    names, rows = ["a", "b", "a", "c", "b"], [[1, 2], [3, 4], [5, 6], [7, 8], [9, 1]]
    file = tmp_path / f"words.{kind}"
    if kind == "npz":
        np.savez(file, words=np.array(names), vectors=np.array(rows))
    else:
        lines = (f"{n} {x} {y}\n" for n, (x, y) in zip(names, rows, strict=True))
        file.write_text("5 2\n" + "".join(lines))
    message = r"words\.\w+ holds 2 words more than once \('a', 'b'\); each has its first vector"
    with pytest.warns(NakamiWarning, match=message):
        words = data.read_words(file)
    assert words.names == ("a", "b", "c")
    torch.testing.assert_close(words.vectors, torch.tensor([[1.0, 2], [3, 4], [7, 8]]))


def test_other_arrays_are_refused_in_a_sentence(tmp_path):
    file = tmp_path / "words.npz"
    file.write_bytes(b"nothing of the kind")
    with pytest.raises(UsageError, match="must start like a NumPy file"):
        data.read_words(file)
    np.savez(file, words=np.array(["a", 1], dtype=object), vectors=np.ones((2, 2)))
    with pytest.raises(UsageError, match="must hold plain numbers, got an object array"):
        data.read_words(file)
    np.savez(file, words=np.array([b"a", b"b"]), vectors=np.ones((2, 2)))
    with pytest.raises(UsageError, match=r"words must be texts with vectors of numbers, got .*S1"):
        data.read_words(file)
