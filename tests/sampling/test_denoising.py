"""The chain of a denoiser against the dense matrix of a finite space, with the exact posterior."""

import pytest
import torch
from torch.testing import assert_close

from nakami.results import UsageError
from nakami.sampling import DenoisingChain

STATES, CHAINS = 6, 20_000


def laws():
    """``p(x)``, ``C(y | x)`` and the posterior ``P(x | y)`` of a random finite space."""
    gen = torch.Generator().manual_seed(0)
    p = torch.rand(STATES, generator=gen, dtype=torch.float64)
    noise = torch.rand(STATES, STATES, generator=gen, dtype=torch.float64)
    p, noise = p / p.sum(), noise / noise.sum(1, keepdim=True)
    joint = p[:, None] * noise
    return p, noise, (joint / joint.sum(0)).T


def drawn(table):
    """States, ``(N, 1)`` numbers, moved by a matrix of chances."""

    def move(x, generator):
        return torch.multinomial(table[x.long()[:, 0]], 1, generator=generator).to(x)

    return move


def test_the_exact_posterior_leaves_the_law_of_the_data():
    p, noise, posterior = laws()
    assert_close(p @ noise @ posterior, p, rtol=1e-14, atol=1e-15)
    assert (p @ noise @ noise - p).abs().max() > 0.01


@pytest.mark.parametrize("kept", [True, False])
def test_long_chains_have_that_law(kept):
    """From a single state; kept from being so by drawing noise again in place of the posterior."""
    p, noise, posterior = laws()
    start = torch.zeros(CHAINS, 1, dtype=torch.float64)
    chain = DenoisingChain(drawn(posterior if kept else noise), drawn(noise), start)
    states = chain.sweep(40)
    found = torch.bincount(states.long()[:, 0], minlength=STATES) / CHAINS
    away = ((found - p) / (p * (1 - p) / CHAINS).sqrt()).abs().max()  # standard errors
    assert (away < 4) == kept
    assert_close(start, torch.zeros_like(start))


def test_pairs_along_the_chain_are_those_of_the_two_laws():
    p, noise, posterior = laws()
    gen = torch.Generator().manual_seed(1)
    start = torch.multinomial(p, CHAINS, replacement=True, generator=gen)[:, None].double()
    chain = DenoisingChain(drawn(posterior), drawn(noise), start)
    pairs = torch.stack([chain.sweep()[:, 0], chain.corrupted[:, 0]]).long()
    joint = p[:, None] * noise
    found = torch.bincount(pairs[0] * STATES + pairs[1], minlength=STATES**2) / CHAINS
    spread = (joint * (1 - joint) / CHAINS).sqrt().flatten()
    assert ((found - joint.flatten()) / spread).abs().max() < 4.5  # of 36 numbers


def test_a_run_goes_on_from_what_it_keeps():
    _, noise, posterior = laws()
    gen = torch.Generator().manual_seed(3)
    chain = DenoisingChain(drawn(posterior), drawn(noise), torch.zeros(50, 1), generator=gen)
    chain.sweep(2)
    state, random = chain.state_dict(), gen.get_state()
    wanted = chain.record(lambda x: x[:, 0], 5)
    assert wanted.shape == (5, 50)
    other = DenoisingChain(drawn(posterior), drawn(noise), torch.ones(50, 1), generator=gen)
    other.load_state_dict(state)
    gen.set_state(random)
    assert torch.equal(other.record(lambda x: x[:, 0], 5), wanted)


@pytest.mark.parametrize(
    ("draw", "start", "message"),
    [
        (
            lambda y: y,
            torch.zeros(2, 1),
            r"draw must be a function, called as draw\(y, generator\)",
        ),
        (
            lambda y, g: y,
            torch.zeros(2, 1).long(),
            r"start must hold floating states .* torch.int64",
        ),
        (
            lambda y, g: y,
            torch.zeros(0, 1),
            r"start must hold .* one at least, got .*\(0, 1\); pass",
        ),
    ],
)
def test_wrong_use(draw, start, message):
    with pytest.raises(UsageError, match=message):
        DenoisingChain(draw, lambda x, g: x, start)
