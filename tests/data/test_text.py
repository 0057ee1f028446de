"""Running text as numbers and back."""

import pytest
import torch

from nakami.data import Text
from nakami.results import UsageError

LINES = "the cat sat\non the mat\n"


def test_characters_by_frequency_and_back():
    text = Text.of(LINES)
    assert text.kinds[:3] == ("t", " ", "a")
    assert text.spelled(text.ids) == LINES
    assert text.counts.tolist() == sorted(text.counts.tolist(), reverse=True)
    assert int(text.counts[0]) == LINES.count("t") == 5


def test_words_with_ends_of_lines_and_back():
    text = Text.of(LINES, "words")
    assert text.kinds == ("<eos>", "the", "cat", "mat", "on", "sat")
    assert text.ids.tolist() == [1, 2, 5, 0, 4, 1, 3, 0]
    assert text.spelled(text.ids[:5]) == "the cat sat\non"


def test_rare_and_new_ones_are_unknown():
    text = Text.of(LINES, "words", least=2)
    assert text.kinds == ("<eos>", "the", "<unk>")
    other = Text.of("the dog\n", "words", kinds=text.kinds)
    assert other.ids.tolist() == [1, 2, 0]
    with pytest.raises(UsageError, match=r"text must hold no characters but those .* got 'x'"):
        Text.of("x", kinds=Text.of("ab").kinds)


def test_streams_are_pieces_in_order():
    text = Text.of("abcdefgh")
    assert text.streams(2).tolist() == [[0, 4], [1, 5], [2, 6], [3, 7]]
    assert Text.of("abcdefg").streams(3).shape == (2, 3)
    with pytest.raises(UsageError, match="text must give 2 steps or more to each of 3 streams"):
        Text.of("abcde").streams(3)


def test_a_file_is_read_and_what_is_none_refused(tmp_path):
    (tmp_path / "a.txt").write_text(LINES, encoding="utf-8")
    assert torch.equal(Text.read(tmp_path / "a.txt").ids, Text.of(LINES).ids)
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="path must hold text in UTF-8"):
        Text.read(tmp_path / "b.txt")
    with pytest.raises(UsageError, match="path must be a file of text that exists"):
        Text.read(tmp_path / "c.txt")
    with pytest.raises(UsageError, match="text must hold words, got none"):
        Text.of(" ", "words")
    with pytest.raises(UsageError, match="unit must be"):
        Text.of("a", "letters")
