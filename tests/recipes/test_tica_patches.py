"""Patches of the caller's data, and the recipe by mini-batches."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from nakami import recipes
from nakami.recipes import tica_patches
from nakami.results import UsageError


def test_patches_of_own_pictures_and_of_what_is_none(tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "good.npy", rng.random((20, 1, 16, 16), dtype=np.float32))
    train, test = tica_patches.patches_from(recipes.DataFiles(tmp_path / "good.npy"))
    assert train.inputs.shape == (10_000, 1, 12, 12)
    assert test.inputs.shape == (2_000, 1, 12, 12)
    np.save(tmp_path / "small.npy", rng.random((20, 1, 9, 16), dtype=np.float32))
    with pytest.raises(UsageError, match="data must hold pictures of 12 x 12 pixels or more"):
        tica_patches.patches_from(recipes.DataFiles(tmp_path / "small.npy"))
    np.save(tmp_path / "flat.npy", rng.random((20, 30), dtype=np.float32))
    with pytest.raises(UsageError, match="data must hold pictures, got shape"):
        tica_patches.patches_from(recipes.DataFiles(tmp_path / "flat.npy"))


def photographs(folder, n, sizes=((40, 30), (16, 50), (13, 13))):
    """Grey pictures of several sizes, none square but the last."""
    folder.mkdir()
    rng = np.random.default_rng(n)
    for i in range(n):
        width, height = sizes[i % len(sizes)]
        array = rng.integers(0, 256, (height, width), dtype=np.uint8)
        Image.fromarray(array).save(folder / f"{i}.png")


def named(examples):
    return {name.partition(" of ")[2] for name in examples.names}


def test_patches_are_cut_from_pictures_of_several_sizes_as_they_are(tmp_path):
    photographs(tmp_path / "some", 20)
    train, test = tica_patches.patches_from(recipes.DataFiles(tmp_path / "some"))
    assert (train.inputs.shape[1:], test.inputs.shape[1:]) == ((1, 12, 12), (1, 12, 12))
    assert len(named(train)) == 18
    assert len(named(test)) == 2
    assert not named(train) & named(test)
    values = (train.inputs[:50] * 255).round().unique()
    assert ((train.inputs * 255).round() - train.inputs * 255).abs().max() < 1e-3  # not scaled
    assert len(values) > 250
    photographs(tmp_path / "others", 3)
    given = recipes.DataFiles(tmp_path / "some", test=tmp_path / "others")
    train, test = tica_patches.patches_from(given)
    assert (len(named(train)), len(named(test))) == (20, 3)
    smaller = recipes.DataFiles(tmp_path / "some", size=14)
    assert "shorter side scaled to 14" in tica_patches.patches_from(smaller)[0].source


def test_pictures_that_are_too_few_or_too_small_are_refused(tmp_path):
    photographs(tmp_path / "few", 4)
    with pytest.raises(UsageError, match="data must hold 10 examples or more"):
        tica_patches.patches_from(recipes.DataFiles(tmp_path / "few"))
    photographs(tmp_path / "small", 12, [(40, 40), (30, 9)])
    with pytest.raises(UsageError, match=r"data must hold pictures of 12 x 12 .* of 30 x 9"):
        tica_patches.patches_from(recipes.DataFiles(tmp_path / "small"))
    np.save(tmp_path / "x.npy", np.zeros((20, 1, 16, 16), np.float32))
    given = recipes.DataFiles(tmp_path / "few", test=tmp_path / "x.npy")
    with pytest.raises(UsageError, match=r"test must be pictures, as data is, got x\.npy"):
        tica_patches.patches_from(given)


def test_of_two_channels_nothing_is_said_that_only_pictures_have(tmp_path):
    x = np.random.default_rng(0).random((20, 2, 16, 16), dtype=np.float32)
    np.save(tmp_path / "two.npy", x)
    settings = replace(
        recipes.SUBJECTS["tica-patches"].settings, components=9, sheet=(6, 6), epochs=1
    )
    subject = recipes.prepare(
        "tica-patches", tmp_path / "run", data=tmp_path / "two.npy", settings=settings
    )
    assert [fact["label"] for fact in subject.networks[0].facts] == ["test objective"]


def test_gradient_descent_lowers_the_objective_too(tmp_path):
    settings = replace(
        recipes.SUBJECTS["tica-patches"].settings,
        components=9,
        sheet=(6, 6),
        solver="sgd",
        epochs=2,
    )
    subject = recipes.prepare("tica-patches", tmp_path / "run", n_inputs=1, settings=settings)
    (network,) = subject.networks
    assert "gradient descent" in network.training
    values = {fact["label"]: fact["value"] for fact in network.facts}
    random = tica_patches.facts(
        tica_patches.untrained(settings), tica_patches.patches_from(None)[1]
    )
    assert values["test objective"] < random[0]["value"]
