"""What is special to the recipe ``lenet-digits``."""

from dataclasses import replace

import pytest
import torch

from nakami import data
from nakami.recipes import lenet_digits as recipe
from nakami.results import UsageError
from nakami.training import Training


def few(n=40):
    return data.digits("train")[:n], data.digits("test")[:20]


def trained(folder, settings):
    run = Training(folder, {"seed": 0}, recipe.epochs(settings))
    return recipe.train(run, *few(), settings)[0]


def test_its_sentence_and_pictures_show_what_was_chosen(tmp_path):
    settings = recipe.LeNetSettings(pooling="l2", normalisation="response", epochs=1)
    network = trained(tmp_path / "one", settings)
    assert network.training.startswith("l2 pooling, local response normalisation, 1 epoch of")
    (picture,) = recipe.pictures([network], few()[1], settings, torch.Generator())
    assert picture.images.shape == (1, 20, 1, 5, 5)
    assert torch.equal(torch.tensor(picture.images[0]), network.model.conv1.weight.detach())
    other = trained(tmp_path / "other", replace(settings, pooling="max"))
    assert not torch.equal(other.model.conv1.weight, network.model.conv1.weight)


def test_pictures_that_are_too_small_are_refused():
    with pytest.raises(UsageError, match=r"data must hold pictures of 18 pixels .* \(1, 17, 17\)"):
        recipe.made(recipe.LeNetSettings(normalisation="contrast"), (1, 17, 17))
