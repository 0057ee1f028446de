"""The recipe with and without hints: what it refuses, and what its lower network learns."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from nakami import data, recipes
from nakami.results import Lines, Picture, UsageError

TINY = replace(
    recipes.SUBJECTS["pentomino"].settings,
    patch_units=48,
    units=8,
    patch_epochs=12,
    epochs=2,
    rate=5e-3,
    batch=50,
)


@pytest.fixture(scope="module")
def subject(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pentomino")
    made = data.pentominoes(1500, grid=2, seed=5)
    np.savez(folder / "x.npz", x=made.pictures.numpy(), y=made.targets.numpy())
    options = {"data": folder / "x.npz", "settings": TINY, "n_inputs": 4}
    return recipes.prepare("pentomino", folder / "out", **options)


def test_hints_teach_the_lower_network_what_patches_hold(subject):
    blind, hinted = subject.networks
    assert (blind.name, hinted.name) == ("no-hints", "hints")
    error = {fact["label"]: fact["value"] for fact in hinted.facts}
    assert error["sprites taken for something else"] < 45  # a guess has 90
    assert "sprites taken for something else" not in {fact["label"] for fact in blind.facts}
    first = [network.times["0"] for network in subject.networks]
    for name in ("hidden.weight", "output.weight"):  # the same first weights above
        assert torch.equal(first[0][name], first[1][name])
    assert not torch.equal(first[0]["patch_hidden.weight"], first[1]["patch_hidden.weight"])
    assert torch.equal(
        hinted.model.state_dict()["patch_hidden.weight"], first[1]["patch_hidden.weight"]
    )  # held


def test_the_page_has_shares_right_by_epoch(subject):
    recipe = recipes.SUBJECTS["pentomino"]
    shown = recipe.pictures(subject.networks, subject.examples, TINY, torch.Generator())
    lines = next(picture for picture in shown if isinstance(picture, Lines))
    assert set(lines.lines) == {"no-hints", "hints"}
    epochs, shares = lines.lines["hints"]
    assert epochs == (0.0, 1.0, 2.0)
    right = subject.networks[1].model(subject.examples.inputs).argmax(1) == subject.examples.labels
    assert shares[-1] == pytest.approx(float(right.double().mean()))
    sprites = next(p for p in shown if isinstance(p, Picture) and p.title == "Sprites")
    assert len(sprites.boxes) == 3 * len(subject.examples)


def test_other_pictures_are_refused_before_training(tmp_path):
    x = np.random.default_rng(0).random((40, 1, 16, 16)).astype(np.float32)
    np.savez(tmp_path / "x.npz", x=x, y=np.arange(40) % 2)
    with pytest.raises(UsageError, match="data must hold in each patch of 8 x 8 pixels nothing or"):
        recipes.prepare("pentomino", tmp_path / "out", data=tmp_path / "x.npz", settings=TINY)
    assert not (tmp_path / "out").exists()
