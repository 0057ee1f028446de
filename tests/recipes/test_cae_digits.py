"""The stacked contractive autoencoders in a tiny size, against the same loops by hand."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from nakami import data, recipes
from nakami.recipes import cae_digits
from nakami.recipes.cae_digits import CAESettings
from nakami.training import Autoencoding, fit
from nakami.training._random import phase_generator
from nakami.zoo.autoencoder import Autoencoder

TINY = CAESettings(hidden=(12, 9), pretrain_epochs=2, finetune_epochs=2, batch=20, contraction=3.0)


@pytest.fixture(scope="module")
def subject(tmp_path_factory):
    few = data.digits("train")[:100], data.digits("test")[:50]
    with pytest.MonkeyPatch.context() as patch:
        entry = replace(cae_digits.ENTRY, examples=lambda folder: few, settings=TINY)
        patch.setattr(cae_digits, "ENTRY", entry)
        yield recipes.prepare("cae-digits", tmp_path_factory.mktemp("cae") / "run", n_inputs=2)


def loops(contraction):
    """The layers' weights, and the mean norm of the lowest one's Jacobian."""
    x, first = data.digits("train")[:100].inputs.flatten(1), phase_generator(0, "first weights")
    weights, norms = [], []
    for i, (below, above) in enumerate([(784, 12), (12, 9)], 1):
        layer = Autoencoder(below, above, generator=first)
        descent = torch.optim.SGD(layer.parameters(), TINY.pretrain_rate)
        method = Autoencoding(layer, descent, contraction=contraction)
        fit(method, (x,), epochs=2, batch=20, generator=phase_generator(0, f"layer{i}"))
        with torch.no_grad():
            norms.append(float(layer.contraction(x).mean()))
            x = layer(x)
        weights.append(layer.weight)
    return weights, norms


def test_layers_are_those_of_loops_by_hand_and_contract(subject):
    weights, norms = loops(TINY.contraction)
    start = subject.networks[0].model
    for i, weight in enumerate(weights):
        assert_close(start[2 * i + 1].weight, weight, rtol=0, atol=0)
    assert norms[0] < loops(0.0)[1][0]
    assert subject.networks[0].training.startswith(
        "2 contractive autoencoders, one on the other, squared norm of the Jacobian weighted 3.0"
    )
