"""Pictures with captions: the grammar against the truth of its sentences, files, numbers."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image

from nakami import data
from nakami.data._shape_sentences import RELATIONS, SHAPE_COLOURS, SHAPE_KINDS
from nakami.results import UsageError

LAYOUTS = ([0, -1, -1, -1], [-1, 4, 4, -1], [0, 5, 11, -1], [3, -1, 3, 0], [-1, 0, 1, 2])


def every_sentence():
    """All sentences of the grammar, true or not."""
    phrases = [
        f"a {colour}{kind}" for colour in ("", *(f"{c} " for c in SHAPE_COLOURS))
        for kind in SHAPE_KINDS
    ]  # fmt: skip
    pairs = itertools.product(phrases, RELATIONS, phrases)
    return [*phrases, *(" ".join(parts) for parts in pairs)]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_rules_say_what_is_true_and_all_of_it(layout):
    """Drawn by one piece of code, judged by another that parses."""
    odds, true = (
        data.sentence_odds(layout),
        {s for s in every_sentence() if data.is_true(s, layout)},
    )
    there = sum(what >= 0 for what in layout)
    assert set(odds) == (true if there > 1 else {s for s in true if len(s.split()) < 4})
    assert sum(odds.values()) == pytest.approx(1)
    assert min(odds.values()) > 0


def test_chances_of_a_picture_counted_by_hand():
    odds = data.sentence_odds([0, -1, -1, -1])
    assert odds == pytest.approx({"a red square": 2 / 3, "a square": 1 / 3})
    odds = data.sentence_odds([0, 5, -1, -1])  # a red square beside a green triangle
    assert odds["a square"] == pytest.approx(1 / 4 / 2 / 3)
    assert odds["a red square left of a triangle"] == pytest.approx(3 / 4 / 2 * 2 / 9)
    assert odds["a triangle right of a square"] == pytest.approx(3 / 4 / 2 / 9)
    diagonal = data.sentence_odds([0, -1, -1, 5])
    assert diagonal["a square above a triangle"] == pytest.approx(3 / 4 / 2 / 2 / 9)
    same = data.sentence_odds([4, 4, -1, -1])  # two ways to say the same
    assert same["a circle"] == pytest.approx(1 / 4 / 3)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_words_have_the_probability_of_their_sentence(layout):
    for text, p in data.sentence_odds(layout).items():
        each = data.word_nats(text, layout)
        assert len(each) == len(text.split()) + 1
        assert sum(each) == pytest.approx(-math.log(p))
    alone = data.word_nats("a red square", [0, -1, -1, -1])
    assert alone == pytest.approx([0, math.log(3 / 2), 0, 0])


def test_no_sentence_and_no_truth_of_anything_else():
    for text in ("", "a", "red square", "a red red square", "a square above", "A square",
                 "a square above a circle left of a square", "a square <unk>"):  # fmt: skip
        assert not data.is_sentence(text)
        assert not data.is_true(text, [0, 0, 0, -1])
    assert all(map(data.is_sentence, every_sentence()))


def test_sentences_are_drawn_as_often_as_the_rules_say():
    found = data.captioned_shapes(1, sentences=6000, seed=3)
    odds = data.sentence_odds(found.layout[0].tolist())
    counts = Counter(found.captions[0])
    assert {*counts} <= {*odds}
    expected = np.array(list(odds.values())) * 6000
    seen = np.array([counts[s] for s in odds])
    assert float((((seen - expected) ** 2) / expected).sum()) < 2.5 * len(odds)  # chi squared


def test_shapes_are_where_the_layout_says():
    found, half = data.captioned_shapes(60, noise=0.0, seed=1), 14
    bright = found.inputs.amax(1)
    cells = bright.unflatten(1, (2, half)).unflatten(3, (2, half)).amax((2, 4)).flatten(1)
    assert torch.equal(cells > 0.5, found.layout >= 0)
    assert sorted(set((found.layout >= 0).sum(1).tolist())) == [1, 2, 3]
    assert sorted(set(found.layout.flatten().tolist())) == list(range(-1, 12))
    colours = {0: 0, 1: 1, 2: 2}  # red, green and blue by their channel
    for x, layout in zip(found.inputs, found.layout, strict=True):
        for cell in (layout >= 0).nonzero()[:, 0].tolist():
            row, column = divmod(cell, 2)
            part = x[:, half * row : half * (row + 1), half * column : half * (column + 1)]
            if (colour := int(layout[cell]) // 3) in colours:
                assert int(part.sum((1, 2)).argmax()) == colours[colour]
    noisy = data.captioned_shapes(60, noise=0.1, seed=1)
    assert torch.equal(noisy.layout, found.layout)
    assert float((noisy.inputs - found.inputs).std()) == pytest.approx(0.1, rel=0.02)


def test_parts_keep_captions_and_layout():
    found = data.captioned_shapes(9).numbered()
    part = found[torch.tensor([7, 2])]
    assert part.captions == (found.captions[7], found.captions[2])
    assert torch.equal(part.layout, found.layout[[7, 2]])
    assert torch.equal(part.labels, found.labels[[7, 2]])
    assert [part.spelled(ids) for ids in part.labels[0]] == list(found.captions[7])
    assert len(found[torch.arange(9) < 4]) == len(found[:4].captions) == 4


def test_numbers_are_words_by_how_often_they_are_said():
    found = data.captioned_shapes(200)
    some, rare = found.numbered(), found.numbered(least=10**6)
    assert some.words[:3] == ("<eos>", "<unk>", "a")
    assert set(some.labels.flatten().tolist()) == {-1, 0, *range(2, 15)}
    assert rare.words == ("<eos>", "<unk>")
    ends = (some.labels == 0).sum(2)
    assert torch.equal(ends, torch.ones_like(ends))
    lengths = torch.tensor([[len(s.split()) for s in row] for row in found.captions])
    assert torch.equal((some.labels > 0).sum(2), lengths)
    other = found[:5].numbered(("<eos>", "<unk>", "circle"))
    assert set(other.labels.flatten().tolist()) <= {-1, 0, 1, 2}
    with pytest.raises(UsageError, match="words must begin with"):
        found.numbered(("circle", "square"))


def folder(path, table="captions.txt", text=None, sizes=((20, 20),) * 3):
    (path / "Images").mkdir(parents=True)
    for i, size in enumerate(sizes):
        Image.new("RGB", size, (50 * i, 0, 0)).save(path / "Images" / f"{i}.jpg")
    usual = (
        'image,caption\n1.jpg,"A dog, which runs ."\n0.jpg,Two children\n1.jpg,The dog\'s ball\n'
    )
    (path / table).write_text(usual if text is None else text, encoding="utf-8")
    return path


def test_a_folder_with_a_table_of_captions_is_read(tmp_path):
    found = data.read_captioned(folder(tmp_path / "x"))
    assert found.inputs.shape == (2, 3, 20, 20)  # one has no caption
    assert found.captions == (("Two children",), ("A dog, which runs .", "The dog's ball"))
    assert [name[-5:] for name in found.names] == ["0.jpg", "1.jpg"]
    assert found.source == "2 pictures of x with 3 captions"
    made = found.numbered()
    assert made.labels.shape == (2, 2, 5)
    assert made.labels[0, 1].tolist() == [-1] * 5
    assert made.spelled(made.labels[1, 0]) == "a dog which runs"
    assert made.spelled(made.labels[1, 1]) == "the dog's ball"


def test_the_form_of_hugging_face_is_read_and_pictures_are_scaled(tmp_path):
    text = "label,file_name,text\n3,Images/2.jpg,a cat\n"
    where = folder(tmp_path / "x", "metadata.csv", text, ((20, 20), (20, 20), (40, 30)))
    assert data.read_captioned(where, size=16, mode="grey").inputs.shape == (1, 1, 16, 16)
    with pytest.raises(UsageError, match="size must be given where pictures differ in size"):
        data.read_captioned(where)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "path must begin captions.txt with image,caption or file_name,text, got nothing"),
        ("a,b\n", "got a,b; give a folder of pictures with a table captions.txt: the line image"),
        ("image,caption\n", "path must hold captions, got none in captions.txt"),
        ("image,caption\n0.jpg,a dog, red\n", "got line 2 of captions.txt: '0.jpg,a dog, red'; wr"),
        ("image,caption\n0.jpg, .\n", "must name a picture and a caption in each line"),
        ("image,caption\n0.txt,a dog\n", "must name a picture and a caption in each line"),
        ("image,caption\n9.jpg,a dog\n", "must hold the pictures that captions.txt names, got no"),
    ],
)
def test_what_is_no_table_of_captions_is_refused(text, match, tmp_path):
    with pytest.raises(UsageError, match=match):
        data.read_captioned(folder(tmp_path / "x", text=text))


def test_a_folder_without_a_table_and_wrong_sizes_are_refused(tmp_path):
    with pytest.raises(UsageError, match="path must hold a table captions"):
        data.read_captioned(tmp_path)
    for options, match in (
        ({"n": 0}, "n must be a whole number from 1 on"),
        ({"sentences": 0}, "sentences must be"),
        ({"size": 9}, "size must be a whole number from 16 on"),
        ({"noise": -1}, "noise must be a number from 0 on"),
    ):
        with pytest.raises(UsageError, match=match):
            data.captioned_shapes(**{"n": 3, **options})
