"""Autoencoders' losses against formulas by hand, and what noise and penalties do."""

import pytest
import torch
from torch.testing import assert_close

from nakami import data
from nakami.results import UsageError
from nakami.training import Autoencoding, Gaussian, Masking, SaltAndPepper, fit
from nakami.zoo.autoencoder import Autoencoder


def rows(count=400):
    return data.digits("train")[:count].inputs.flatten(1)


def method(net=None, **options):
    net = net or Autoencoder(784, 30)
    return Autoencoding(net, torch.optim.Adam(net.parameters(), 3e-3), **options)


def test_the_loss_is_the_formula():
    gen = torch.Generator().manual_seed(0)
    net = Autoencoder(5, 3, dtype=torch.float64)
    x = torch.rand(7, 5, generator=gen, dtype=torch.float64)
    found = method(net, contraction=0.1, sparsity=3.0, rho=0.05, l1=0.2).loss(x)
    h = 1 / (1 + torch.exp(-(x @ net.weight.T)))
    r = 1 / (1 + torch.exp(-(h @ net.weight)))
    wanted = -(x * r.log() + (1 - x) * (1 - r).log()).sum(1).mean()
    wanted = wanted + 0.1 * ((h * (1 - h)) ** 2 @ net.weight.square().sum(1)).mean()
    wanted = wanted + 0.2 * h.sum(1).mean()
    q = h.mean(0)
    wanted = wanted + 3 * (0.05 * (0.05 / q).log() + 0.95 * (0.95 / (1 - q)).log()).sum()
    assert_close(found, wanted)


@pytest.mark.parametrize("share", [0.1, 0.4])
def test_corruptions_have_their_statistics(share):
    gen, x = torch.Generator().manual_seed(0), torch.full((200, 500), 0.5)
    n = x.numel()
    slack = 4 * (share * (1 - share) / n) ** 0.5
    masked = Masking(share)(x, gen)
    assert abs(float((masked == 0).float().mean()) - share) < slack
    assert set(masked.unique().tolist()) == {0.0, 0.5}
    spotted = SaltAndPepper(share)(x, gen)
    for value in (0.0, 1.0):
        assert abs(float((spotted == value).float().mean()) - share / 2) < slack
    noise = Gaussian(share)(x, gen) - x
    assert abs(float(noise.std()) - share) < 4 * share / (2 * n) ** 0.5
    assert abs(float(noise.mean())) < 4 * share / n**0.5


def test_a_linear_denoiser_becomes_the_wiener_filter():
    """Of data with covariance ``C`` and noise of variance ``s^2`` it is ``C (C + s^2)^-1``."""
    gen, s = torch.Generator().manual_seed(0), 0.7
    x = torch.randn(4000, 3, generator=gen) * torch.tensor([2.0, 1.0, 0.3])
    net = Autoencoder(3, 3, tied=False, activation="linear", output="linear")
    denoiser = method(net, corruption=Gaussian(s))
    fit(denoiser, (x,), epochs=40, batch=100)
    c = x.T @ x / len(x)
    wanted = c @ torch.linalg.inv(c + s**2 * torch.eye(3))
    assert_close((net.back.T @ net.weight).detach(), wanted, rtol=0, atol=0.03)


def test_penalties_lower_what_they_are_of():
    x = rows()
    plain, shrunk, sparse, short = (Autoencoder(784, 30, activation="sigmoid") for _ in range(4))
    for net, options in (
        (plain, {}),
        (shrunk, {"contraction": 10.0}),
        (sparse, {"sparsity": 20.0}),
        (short, {"l1": 20.0}),
    ):
        fit(method(net, **options), (x,), epochs=12, batch=50)
    with torch.no_grad():
        assert shrunk.contraction(x).mean() < 0.5 * plain.contraction(x).mean()
        assert (sparse(x).mean(0) - 0.05).abs().mean() < 0.5 * (
            plain(x).mean(0) - 0.05
        ).abs().mean()
        assert short(x).sum(1).mean() < 0.5 * plain(x).sum(1).mean()


def test_a_training_repeats_to_the_bit_with_its_noise():
    losses = [
        fit(method(corruption=SaltAndPepper()), (rows(100),), epochs=2, batch=20) for _ in range(2)
    ]
    assert losses[0] == losses[1]
    assert losses[0][1] < losses[0][0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: method(contraction=-1), "contraction must be a number, at least 0, got -1"),
        (lambda: method(rho=1.0), "rho must lie between 0 and 1, got 1.0; use 0.05"),
        (
            lambda: method(Autoencoder(784, 3, activation="relu"), sparsity=1.0),
            "sparsity must be asked of sigmoid units, got 0 < sparsity with relu units; pass l1",
        ),
        (lambda: Gaussian(0), "scale must be a number above 0, got 0; use 0.3"),
        (lambda: Masking(2), "share must lie between 0 and 1, got 2; use 0.25"),
        (lambda: SaltAndPepper(0), "share must lie between 0 and 1, got 0; use 0.25"),
        (
            lambda: fit(method(), (rows(10) * 255,), epochs=1),
            "data must lie in 0..1 for a sigmoid output, got 0 to 255; pass data / 255 for bytes",
        ),
        (
            lambda: fit(method(), (rows(10)[:, :700],), epochs=1),
            r"data must have shape \(N, 784\), got \(10, 700\); pass data.flatten\(1\)",
        ),
    ],
)
def test_wrong_use(make, message):
    with pytest.raises(UsageError, match=message):
        make()
