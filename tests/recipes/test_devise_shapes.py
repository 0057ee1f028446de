"""What is special to the recipe ``devise-shapes``: classes held out, their words, the control."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from nakami import data
from nakami.data import Examples
from nakami.recipes import devise_shapes as recipe
from nakami.recipes._made_pictures import shapes_in_noise, thirty_classes
from nakami.recipes._word_classes import WordClasses, held_out, told, word_classes
from nakami.results import UsageError
from nakami.training import Training

SMALL = replace(recipe.DeViSESettings(), epochs=1, matrix_epochs=2, joint_epochs=1, batch=20)


def few(n=120):
    return tuple(part[:n] for part in thirty_classes())


def trained(folder, settings, examples):
    run = Training(folder, {"seed": 0}, recipe.epochs(settings))
    return recipe.train(run, *examples, settings)


def generator():
    return torch.Generator().manual_seed(0)


def test_default_pictures_are_thirty_classes_all_alike_often():
    train, test = thirty_classes()
    assert (train.inputs.shape, len(test)) == ((3000, 3, 28, 28), 1000)
    assert len(train.classes) == 30
    assert train.labels.bincount(minlength=30).min() > 60
    red = [i for i, name in enumerate(train.classes) if name.startswith("red")]
    colours = train.inputs[torch.isin(train.labels, torch.tensor(red))].mean((0, 2, 3))
    assert colours[0] > 4 * colours[1:].max()
    assert not torch.equal(train.inputs[0], test.inputs[0])


def test_noise_and_places_are_as_said():
    x, labels = shapes_in_noise(300, ("white square", "white circle"), noise=0.5, seed=3)
    corner = x[:, :, 0, 0]  # a turned shape that is shifted does not reach it
    assert float(corner.std()) == pytest.approx(0.5, rel=0.1)
    assert sorted(set(labels.tolist())) == [0, 1]
    clean, _ = shapes_in_noise(300, ("white square", "white circle"), noise=0.0, seed=3)
    rows = (clean.amax((1, 3)) > 0).float().argmax(1)  # the first that the shape is in
    assert (int(rows.min()), int(rows.max())) >= (0, 6)


def test_every_sixth_class_is_held_out_and_has_a_word_of_parts_that_are_seen():
    train, _ = few()
    words = word_classes(train, 6, "", 20, generator())
    names = [words.names[i] for i in words.unseen]
    assert names == ["red square", "green circle", "blue triangle", "yellow diamond",
                     "magenta cross"]  # fmt: skip
    seen = {part for i in words.seen for part in words.names[i].split()}
    assert seen == {part for name in words.names for part in name.split()}
    assert_close(words.vectors.norm(dim=1), torch.ones(30))
    square, circle, blue = (words.names.index(f"{n}") for n in ("red square", "red circle",
                                                                "blue triangle"))  # fmt: skip
    near = F.cosine_similarity(words.vectors[square], words.vectors[circle], dim=0)
    assert near > F.cosine_similarity(words.vectors[square], words.vectors[blue], dim=0)
    shown = words.shown(train)
    assert [shown.classes[i] for i in shown.labels] == [
        words.names[i] for i in train.labels if i % 6
    ]


def test_few_classes_are_all_trained_on():
    assert held_out(6, 6).tolist() == [False] * 6
    assert held_out(7, 6).tolist() == [True, *[False] * 5, True]
    assert held_out(7, 0).sum() == 0


def test_scores_are_products_with_the_words_and_only_the_rest_learns(tmp_path):
    dealt, matrix, joint = trained(tmp_path, SMALL, few())
    for network in (dealt, matrix, joint):
        x = few()[1].inputs[:3]
        z, y = network.model[:-1](x), network.model(x)
        assert_close(y, z @ network.model.scores.weight.T)
        assert not network.model.scores.weight.requires_grad
        assert_close(network.model.scores.weight.norm(dim=1), torch.ones(30))
    rows = [network.model.scores.weight.tolist() for network in (dealt, matrix)]
    assert rows[0] != rows[1]
    assert sorted(rows[0]) == sorted(rows[1])
    assert torch.equal(dealt.model.conv1.weight, matrix.model.conv1.weight)  # held
    assert not torch.equal(matrix.model.conv1.weight, joint.model.conv1.weight)
    labels = [fact["label"] for fact in matrix.facts]
    assert labels == [
        "seen class told among all",
        "unseen class told among all",
        "unseen class told among unseen",
        "test error by softmax, seen classes",
    ]
    assert labels[:3] == [fact["label"] for fact in dealt.facts]


def test_a_network_that_gives_the_words_is_right_and_one_that_gives_others_is_not():
    vectors = torch.eye(5)
    words = WordClasses(tuple("abcde"), vectors, torch.tensor([1, 2, 4]))
    labels = torch.tensor([0, 3, 3, 1, 2])
    names = tuple(map(str, range(5)))
    test = Examples(vectors[labels], labels, names, "value", "made", {}, "row", words.names)
    assert [fact["value"] for fact in told(nn.Identity(), words, test)] == [100, 100, 100]
    wrong = nn.Linear(5, 5, bias=False)
    wrong.weight.data = torch.roll(vectors, 3, 0)  # 0 as 3, 3 as 1, 1 as 4, 2 as 0
    assert [fact["value"] for fact in told(wrong, words, test)][:2] == [0, 0]
    one = replace(words, seen=torch.tensor([0, 1, 2, 4]))  # which is among all alone a question
    assert [fact["label"] for fact in told(nn.Identity(), one, test)] == [
        "seen class told among all",
        "unseen class told among all",
    ]
    alone = replace(words, seen=torch.arange(5))
    assert [fact["label"] for fact in told(nn.Identity(), alone, test)] == [
        "seen class told among all"
    ]


def test_words_are_read_from_a_file(tmp_path):
    rows = np.random.default_rng(0).normal(size=(11, 7))
    parts = sorted({part for name in few()[0].classes for part in name.split()})
    np.savez(tmp_path / "words.npz", words=parts, vectors=rows)
    settings = replace(SMALL, words=str(tmp_path / "words.npz"))
    _, _, joint = trained(tmp_path / "run", settings, few())
    expected = data.read_words(tmp_path / "words.npz").of(few()[0].classes)
    assert_close(joint.model.scores.weight.detach(), expected)
    np.savez(tmp_path / "few.npz", words=parts[:-1], vectors=rows[:-1])
    with pytest.raises(UsageError, match="yellow"):
        trained(tmp_path / "other", replace(settings, words=str(tmp_path / "few.npz")), few())


def test_pictures_of_classes_never_shown_carry_the_word_that_is_nearest(tmp_path):
    networks = trained(tmp_path, SMALL, few())
    kernels, named = recipe.pictures(networks, few()[1], SMALL, generator())
    assert kernels.images.shape[2:] == (3, 5, 5)
    test = few()[1]
    rows = (test.labels % 6 == 0).nonzero()[:12, 0]
    assert np.array_equal(named.images[0], test.inputs[rows].numpy())
    said = networks[-1].model(test.inputs[rows]).argmax(1)
    assert [box.text for box in named.boxes] == [test.classes[i] for i in said]
    right = ["right" if same else "wrong" for same in (said == test.labels[rows]).tolist()]
    assert [box.kind for box in named.boxes] == right
    none_held = replace(SMALL, held_out=0)
    assert len(recipe.pictures(networks, test, none_held, generator())) == 1


def test_a_test_part_that_lacks_the_last_classes_is_told_by_all_words(tmp_path):
    train, test = (replace(part, labels=part.labels % 12, classes=()) for part in few())
    networks = trained(tmp_path, SMALL, (train, test))
    some = test[test.labels < 8]
    _, named = recipe.pictures(networks, some, SMALL, generator())
    rows = ((some.labels % 6) == 0).nonzero()[:12, 0]
    said = networks[-1].model(some.inputs[rows]).argmax(1).tolist()
    assert [box.text for box in named.boxes] == [str(label) for label in said]
    assert max(said) >= 8  # a class that this part does not have


@pytest.mark.parametrize(("known", "step", "seen"), [(3, 2, 1), (4, 2, 2), (4, 3, 2), (2, 2, 2)])
def test_one_class_alone_is_not_trained_on(tmp_path, known, step, seen):
    train, test = (replace(part, labels=part.labels % known, classes=()) for part in few())
    left = known if step >= known else sum(1 for i in range(known) if i % step)
    assert left == seen
    settings = replace(SMALL, held_out=step)
    if seen < 2:
        message = r"setting held_out must leave two of the 3 classes or more to train on, got 2, "
        with pytest.raises(UsageError, match=message + r"which leaves 1; write held_out = 0\."):
            trained(tmp_path, settings, (train, test))
        assert not list(tmp_path.glob("pieces/*"))  # before any training
        settings = replace(SMALL, held_out=0)  # what was said to write
    assert len(trained(tmp_path / "other", settings, (train, test))) == 3


def test_what_it_cannot_train_on_is_refused(tmp_path):
    small = tuple(replace(part, inputs=part.inputs[..., :12, :12]) for part in few())
    with pytest.raises(UsageError, match="data must hold pictures of 16 pixels a side or more"):
        trained(tmp_path, SMALL, small)
    train, test = few()
    alone = train[[i for i in range(len(train)) if int(train.labels[i]) % 6 == 0]]
    with pytest.raises(UsageError, match="data must hold examples to train on"):
        trained(tmp_path, SMALL, (alone, test))
