"""Windows of the growing language model beside a loop over the words."""

import pytest
import torch


@pytest.fixture(scope="module")
def script(reproduction):
    return reproduction("_curriculum_words")


def test_windows_are_four_words_and_the_next(script):
    text = torch.arange(20) ** 2
    x, y = script.windows(text, 3, 10)
    assert x.tolist() == [[(i + j) ** 2 for j in range(4)] for i in range(3, 13)]
    assert y.tolist() == [(i + 4) ** 2 for i in range(3, 13)]


def test_words_are_numbered_by_frequency_and_the_rare_ones_are_one(script, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "WORDS", 4)
    script.texts.cache_clear()
    (tmp_path / "ptb").mkdir()
    (tmp_path / "ptb" / "ptb.train.txt").write_text("b a b\na b c d\n b\n", encoding="utf-8")
    (tmp_path / "ptb" / "ptb.test.txt").write_text("a e\n", encoding="utf-8")
    train, test = script.texts(tmp_path)
    script.texts.cache_clear()
    assert train.tolist() == [0, 2, 0, 1, 2, 0, 3, 3, 1, 0, 1]  # b, then the end of a line, then a
    assert test.tolist() == [2, 3, 1]
