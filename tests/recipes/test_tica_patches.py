"""Patches of the caller's data, and the recipe by mini-batches."""

from dataclasses import replace

import numpy as np
import pytest

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
