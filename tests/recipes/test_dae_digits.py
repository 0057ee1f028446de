"""The denoising autoencoder in a tiny size, against the same training by hand."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from nakami import data, recipes
from nakami.recipes import dae_digits
from nakami.training import Autoencoding, SaltAndPepper, Walkback, fit
from nakami.training._random import phase_generator
from nakami.zoo import mlp
from nakami.zoo.autoencoder import EncoderDecoder


def few():
    return data.digits("train")[:100], data.digits("test")[:50]


def prepared(folder, **changes):
    settings = replace(dae_digits.ENTRY.settings, hidden=12, epochs=2, batch=20, **changes)
    with pytest.MonkeyPatch.context() as patch:
        entry = replace(dae_digits.ENTRY, examples=lambda files: few())
        patch.setattr(dae_digits, "ENTRY", entry)
        return recipes.prepare("dae-digits", folder, n_inputs=2, settings=settings)


def by_hand(make):
    net = mlp.make((784, 12, 784), generator=phase_generator(0, "first weights"))
    coder = EncoderDecoder(nn.Sequential(net.linear1, net.hidden1), net.output)
    method = make(coder, torch.optim.Adam(coder.parameters(), 0.001), SaltAndPepper(0.4))
    x = few()[0].inputs.flatten(1)
    fit(method, (x,), epochs=2, batch=20, generator=phase_generator(0, "trained"))
    return net


@pytest.mark.parametrize(
    ("continuation", "make"),
    [
        (0.5, Walkback),
        (0.0, lambda net, descent, noise: Autoencoding(net, descent, corruption=noise)),
    ],
)
def test_weights_are_those_of_a_training_by_hand(continuation, make, tmp_path):
    found = prepared(tmp_path, continuation=continuation).networks[0]
    wanted = by_hand(make)
    for p, q in zip(found.model.parameters(), wanted.parameters(), strict=True):
        assert_close(p, q, rtol=0, atol=0)
    assert ("walkback" in found.training) == bool(continuation)


def test_the_network_gives_inputs_back_and_its_fact_is_the_mean_loss(tmp_path):
    network, (_, test) = prepared(tmp_path).networks[0], few()
    clean = test.inputs.flatten(1)
    given = SaltAndPepper(0.4)(clean, phase_generator(0, "test noise"))
    back = network.model(given).detach()
    losses = F.binary_cross_entropy(back, clean, reduction="none").sum(1)
    fact = network.facts[0]
    assert fact["value"] == pytest.approx(float(losses.mean()), rel=1e-5)
    assert fact["spread"] == pytest.approx(float(losses.std()) / 50**0.5, rel=1e-5)
    assert fact["spread_kind"] == "standard error, 50 digits"


def test_the_chain_that_is_shown_begins_at_test_digits(tmp_path):
    subject, (_, test) = prepared(tmp_path), few()
    settings = replace(dae_digits.ENTRY.settings, hidden=12)
    generator = torch.Generator().manual_seed(0)
    shown = dae_digits.pictures(subject.networks, test, settings, generator)
    rows, images = shown[-1].rows, torch.as_tensor(shown[-1].images)
    assert rows == (
        "start",
        "1 sweep",
        "3 sweeps",
        "10 sweeps",
        "30 sweeps",
        "100 sweeps",
        "300 sweeps",
    )
    assert_close(images[0, :, 0], test.inputs[:10, 0])
    assert (images[1:] > 0).all()  # means, not draws
    assert (images[1:] < 1).all()
