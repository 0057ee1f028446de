"""What is special to the recipe ``lenet-digits``."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from nakami import data
from nakami.dynamics import feature_evolution
from nakami.recipes import lenet_digits as recipe
from nakami.recipes._times import milestones
from nakami.results import UsageError
from nakami.training import Training
from nakami.training._random import phase_generator


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


def test_weights_at_some_epochs_are_those_of_shorter_trainings_and_are_drawn(tmp_path):
    settings = recipe.LeNetSettings(epochs=3)
    network = trained(tmp_path / "three", settings)
    assert list(network.times) == ["start", "epoch 1", "epoch 2", "epoch 3"]
    for epochs in (1, 2):
        shorter = trained(tmp_path / str(epochs), replace(settings, epochs=epochs))
        wanted = network.times[f"epoch {epochs}"]
        assert all(torch.equal(v, wanted[k]) for k, v in shorter.model.state_dict().items())
    first = recipe.made(settings, generator=phase_generator(0, "first weights")).state_dict()
    assert all(torch.equal(v, network.times["start"][k]) for k, v in first.items())
    last = network.model.state_dict()
    assert all(torch.equal(v, network.times["epoch 3"][k]) for k, v in last.items())
    again = trained(tmp_path / "three", settings)  # read back, nothing trained
    for name, weights in network.times.items():
        assert all(torch.equal(v, again.times[name][k]) for k, v in weights.items())
    _, seen = recipe.pictures([network], few()[1], settings, torch.Generator())
    assert seen.rows == ("start", "epoch 1", "epoch 2", "epoch 3")
    assert seen.images.shape == (4, 6, 1, 28, 28)
    found = feature_evolution(network.model, few()[1].inputs, network.times, "pool2")
    assert np.array_equal(seen.images, found.pictures()[1].images)


def test_milestones():
    assert [milestones(n) for n in (0, 1, 2, 3, 20, 21)] == [
        (), (), (1,), (1, 2), (1, 2, 5, 10), (1, 2, 5, 10, 20)
    ]  # fmt: skip
    assert milestones(600)[-2:] == (200, 500)


def test_a_folder_without_these_weights_is_read_all_the_same(tmp_path):
    settings = recipe.LeNetSettings(epochs=3)
    trained(tmp_path, settings)
    (gone,) = (tmp_path / "pieces").glob("trained__epoch_2-*")
    shutil.rmtree(gone)
    assert list(trained(tmp_path, settings).times) == ["start", "epoch 1", "epoch 3"]
