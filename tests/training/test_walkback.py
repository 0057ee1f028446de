"""Walkback against plain denoising: the pairs it makes, and what it does to a long chain."""

import functools

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from nakami.results import UsageError
from nakami.sampling import DenoisingChain
from nakami.training import Autoencoding, Gaussian, Masking, Walkback, fit
from nakami.zoo._layers import uniform
from nakami.zoo.autoencoder import Autoencoder, Coder, EncoderDecoder

RING = 30
LAW = torch.zeros(RING)
LAW[[3, 4, 5, 6, 18, 19, 20, 21]] = 1 / 8


class Table(Coder):
    """``P(x | y)`` of single states as a table of logits, so that it can be any posterior."""

    def __init__(self):
        super().__init__("linear")
        self.logits = nn.Parameter(torch.zeros(RING, RING))

    def forward(self, x):
        return x @ self.logits

    def error(self, h, x):
        return -(x * h.log_softmax(1)).sum(1)

    def draw(self, x, generator):
        chances = self(x).softmax(1).cumsum(1)
        chosen = (chances < uniform(chances[:, :1], generator)).sum(1).clamp(max=RING - 1)
        return F.one_hot(chosen, RING).to(x)


def turned(x, generator):
    """One place to the left, none, or one to the right, as likely."""
    step = (3 * uniform(x[:, 0], generator)).long() - 1
    return F.one_hot((x.argmax(1) + step) % RING, RING).to(x)


def examples(count, generator):
    return F.one_hot(torch.multinomial(LAW, count, True, generator=generator), RING).float()


def distance(seed, **options):
    """Total variation of the law of long chains from that of the data."""
    gen, net = torch.Generator().manual_seed(seed), Table()
    learn = Walkback(net, torch.optim.Adam(net.parameters(), 0.05), turned, **options)
    fit(learn, (examples(400, gen),), epochs=10, batch=50, generator=gen)
    chain = DenoisingChain(net.draw, turned, examples(1000, gen), generator=gen)
    chain.sweep(200)
    law = chain.record(lambda x: x.mean(0), 50).mean(0)
    return 0.5 * float((law - LAW).abs().sum())


@pytest.mark.parametrize("options", [{}, {"steps": 3}])
def test_long_chains_leave_the_data_less(options):
    """Measured on five seeds: 0.189 +- 0.001 plain, 0.104 +- 0.004 with a chance of a half."""
    plain, walked = (
        torch.tensor([distance(seed, **kind) for seed in range(3)])
        for kind in ({"steps": 1}, options)
    )
    gap = plain - walked
    assert gap.mean() > 0.05
    assert gap.mean() > 4 * gap.std() / 3**0.5


def test_one_step_is_plain_denoising():
    x = torch.rand(7, 9, generator=torch.Generator().manual_seed(0))
    losses = []
    for make in (
        lambda net, descent: Walkback(net, descent, Masking(), steps=1),
        lambda net, descent: Autoencoding(net, descent, corruption=Masking()),
    ):
        net = Autoencoder(9, 4)
        losses.append(make(net, torch.optim.SGD(net.parameters(), 0.1)).loss(x).detach())
    assert_close(*losses, rtol=0, atol=0)


def pairs(count, **options):
    net = Autoencoder(2, 3, output="linear")
    descent = torch.optim.SGD(net.parameters(), 0.1)
    x = torch.arange(2.0 * count).reshape(count, 2)
    return x, Walkback(net, descent, Gaussian(1e-3), **options).walk(x)


def test_each_pair_aims_at_where_its_chain_began():
    x, (given, wanted) = pairs(5, steps=3)
    assert_close(wanted, x.repeat(3, 1), rtol=0, atol=0)
    assert_close(given[:5], x, rtol=0, atol=0.01)
    assert (given[5:] - wanted[5:]).abs().mean() > 0.1
    assert not given.requires_grad


@pytest.mark.parametrize("continuation", [0.3, 0.5])
def test_chains_go_on_by_chance(continuation):
    x, (given, wanted) = pairs(4000, continuation=continuation)
    counts = torch.bincount((wanted[:, 0] / 2).long(), minlength=len(x)).float()
    mean, spread = 1 / (1 - continuation), continuation**0.5 / (1 - continuation)
    assert abs(float(counts.mean()) - mean) < 4 * spread / len(x) ** 0.5
    assert counts.min() == 1
    assert len(given) == len(wanted)


@pytest.mark.parametrize("output", ["sigmoid", "linear"])
def test_draws_have_the_statistics_of_the_output(output):
    net = Autoencoder(3, 2, output=output)
    x = torch.tensor([0.2, 0.9, 0.4])
    drawn = net.draw(x.expand(40_000, 3), torch.Generator().manual_seed(0)).detach()
    mean = net.reconstruct(x[None])[0].detach()
    variance = mean * (1 - mean) if output == "sigmoid" else torch.ones(3)
    assert ((drawn.mean(0) - mean).abs() < 4 * (variance / 40_000).sqrt()).all()
    assert_close(drawn.var(0), variance, rtol=0.05, atol=0)
    assert (set(drawn.unique().tolist()) == {0.0, 1.0}) == (output == "sigmoid")


@pytest.mark.parametrize(
    ("options", "data", "message"),
    [
        ({"continuation": 1.0}, None, "continuation must lie between 0 and 1, got 1.0; use 0.5"),
        ({"steps": 0}, None, "steps must be a whole number from 1 on, got 0; use 3"),
        ({}, torch.full((4, 9), 3.0), "data must lie in 0..1 for a sigmoid output, got 3 to 3"),
    ],
)
def test_wrong_use(options, data, message):
    net = Autoencoder(9, 4)

    def act():
        learn = Walkback(net, torch.optim.SGD(net.parameters(), 0.1), Masking(), **options)
        fit(learn, (data,))

    with pytest.raises(UsageError, match=message):
        act()


class InPlace(nn.Module):
    """Twice its input, in place or not."""

    def __init__(self, inplace):
        super().__init__()
        self.inplace = inplace

    def forward(self, x):
        return x.mul_(2) if self.inplace else x * 2


def halved(x, generator, inplace):
    torch.rand(1, generator=generator)
    return x.mul_(0.5) if inplace else x * 0.5


@pytest.mark.parametrize("contraction", [0, 0.3])
def test_encoders_and_noise_that_work_in_place_change_nothing(contraction):
    x = torch.rand(6, 3, generator=torch.Generator().manual_seed(0))
    found = []
    for inplace in (True, False):
        layers = InPlace(inplace), nn.Linear(3, 4), nn.Linear(4, 3)
        with torch.no_grad():
            for i, p in enumerate(p for layer in layers for p in layer.parameters()):
                p.copy_(torch.sin(torch.arange(p.numel()) + i).reshape(p.shape))
        net = EncoderDecoder(nn.Sequential(*layers[:2]), layers[2])
        noise = functools.partial(halved, inplace=inplace)
        descent, given = torch.optim.SGD(net.parameters(), 0.1), x.clone()
        losses = [
            Autoencoding(net, descent, contraction=contraction, corruption=c).loss(given)
            for c in (None, noise)
        ]
        chain = DenoisingChain(net.draw, noise, given)
        walk = Walkback(net, descent, noise, steps=3)
        found.append([*losses, walk.loss(given), chain.sweep(3), chain.corrupted])
        assert torch.equal(given, x)
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)
