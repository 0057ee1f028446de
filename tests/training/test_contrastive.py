"""Contrastive divergence against enumeration: all states of a tiny machine."""

import pytest
import torch
from torch.testing import assert_close

from machines import energies, expected_cd, states, tiny
from nakami.results import UsageError
from nakami.sampling import Persistent
from nakami.training import ContrastiveDivergence, fit
from nakami.zoo.rbm import RBM, contrastive_divergence


def log_likelihood(rbm, data):
    """Mean over the data of the exact ``log p(v)``, in nats."""
    energy = -torch.logsumexp(-energies(rbm), 1)  # of each visible state
    index = (data @ (2.0 ** torch.arange(data.shape[1] - 1, -1, -1, dtype=data.dtype))).long()
    return ((-energy[index]).mean() - torch.logsumexp(-energy, 0)).item()


def test_mean_reconstruction_is_biased():
    rbm, v = tiny(), states(4)[[3, 9, 14]]
    method = ContrastiveDivergence(rbm, rate=1.0, momentum=0.0, decay=0.0, reconstruction="mean")
    before = rbm.weight.detach().clone()
    expected = expected_cd(rbm, v, 1)
    method.step([v.repeat(40_000, 1)])
    bias = (rbm.weight.detach() - before - expected).abs().max()
    assert bias > 2 * 5 * 0.5 / 40_000**0.5  # twice the margin of the test above


def test_one_step_is_momentum_and_decay_on_the_direction():
    rbm, other, v = tiny(), tiny(), states(4)[3:9]
    seed = 7
    method = ContrastiveDivergence(
        rbm, rate=0.1, momentum=0.9, decay=0.01, generator=torch.Generator().manual_seed(seed)
    )
    g = torch.Generator().manual_seed(seed)
    speed = [torch.zeros_like(p) for p in (other.weight, other.visible_bias, other.hidden_bias)]
    for _ in range(3):
        method.step([v])
        direction = list(contrastive_divergence(other, v, 1, g))
        direction[0] = direction[0] - 0.01 * other.weight
        with torch.no_grad():
            for p, s, d in zip(
                (other.weight, other.visible_bias, other.hidden_bias), speed, direction, strict=True
            ):
                s.mul_(0.9).add_(d, alpha=0.1)
                p.add_(s)
    for p, q in zip(rbm.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("factors", [(2, 1), (1, 2), (2, 2)])
def test_mean_update_with_doubled_inputs_is_that_of_the_two_conditionals(factors):
    rbm, v, n = tiny(), states(4)[[3, 9, 14]], 40_000
    with torch.no_grad():
        rbm.weight.mul_(0.5)
    before = rbm.weight.detach().clone()
    expected = expected_cd(rbm, v, 1, factors)
    assert (expected - expected_cd(rbm, v, 1)).abs().max() > 5 * 0.5 / n**0.5  # it can fail
    method = ContrastiveDivergence(rbm, rate=1.0, momentum=0.0, decay=0.0, factors=factors)
    method.step([v.repeat(n, 1)])
    assert (rbm.weight.detach() - before - expected).abs().max() < 5 * 0.5 / n**0.5


def test_a_machine_that_learned_before_keeps_its_visible_biases():
    data = bars_and_stripes()
    rbm = RBM(9, 5, dtype=torch.float64)
    method = ContrastiveDivergence(rbm)
    method.start([data], torch.Generator())
    assert_close(rbm.visible_bias, torch.logit((data.sum(0) + 1) / 16))
    method.step([data])
    learned = rbm.visible_bias.clone()
    ContrastiveDivergence(rbm).start([data], torch.Generator())
    assert torch.equal(rbm.visible_bias, learned)


def bars_and_stripes():
    rows = states(3)
    bars = rows[:, :, None].expand(8, 3, 3).flatten(1)
    stripes = rows[:, None, :].expand(8, 3, 3).flatten(1)
    return torch.unique(torch.cat([bars, stripes]), dim=0)


def test_exact_log_likelihood_rises_on_bars_and_stripes():
    data = bars_and_stripes()
    assert len(data) == 14
    g = torch.Generator().manual_seed(0)
    rbm = RBM(9, 8, generator=g, dtype=torch.float64)
    before = log_likelihood(rbm, data)
    assert before == pytest.approx(-9 * 0.6931, abs=0.01)  # nearly uniform over 512 states
    method = ContrastiveDivergence(rbm, decay=0.0)
    fit(method, [data.repeat(4, 1)], epochs=600, batch=56, generator=g)
    after = log_likelihood(rbm, data)
    assert -4.6 < after < -torch.log(torch.tensor(14.0))  # far up, and below the optimum


def test_same_generator_gives_the_same_bits_and_leaves_the_global_one():
    data = bars_and_stripes().float()
    before = torch.get_rng_state()

    def run(seed):
        g = torch.Generator().manual_seed(seed)
        rbm = RBM(9, 5, generator=g)
        fit(ContrastiveDivergence(rbm), [data], epochs=3, batch=5, generator=g)
        return torch.cat([p.flatten() for p in rbm.parameters()])

    assert torch.equal(run(3), run(3))
    assert not torch.equal(run(3), run(4))
    assert torch.equal(torch.get_rng_state(), before)


def begun(data):
    ContrastiveDivergence(RBM(2, 2)).start([data], torch.Generator())


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: ContrastiveDivergence(RBM(2, 2), rate=0), r"rate must be positive, got 0"),
        (lambda: ContrastiveDivergence(RBM(2, 2), momentum=1), r"momentum must lie .*, got 1"),
        (
            lambda: ContrastiveDivergence(RBM(2, 2), momentum=(0.5, 1.5)),
            r"momentum must lie .*, got 1\.5",
        ),
        (lambda: ContrastiveDivergence(RBM(2, 2), k=0), r"k must be at least 1, got 0"),
        (
            lambda: ContrastiveDivergence(RBM(2, 2), reconstruction="men"),
            r"reconstruction 'men' is unknown; nearest.*'mean'",
        ),
        (
            lambda: ContrastiveDivergence(RBM(2, 2), factors=(2, 0)),
            r"factors must be two numbers above 0, got \(2, 0\); pass factors=\(2, 1\)",
        ),
        (
            lambda: ContrastiveDivergence(RBM(2, 2), factors=(2, 1), sampler=Persistent()),
            r"factors must be \(1, 1\) with a sampler, got \(2, 1\) and a sampler; leave the",
        ),
        (lambda: begun(torch.rand(5, 3)), r"data must have shape .*, got \(5, 3\)"),
        (lambda: begun(torch.full((5, 2), 255.0)), r"lie in 0\.\.1, got 255 to 255;"),
        (lambda: begun(torch.full((5, 2), torch.nan)), r"data must lie in 0\.\.1, got nan"),
    ],
)
def test_wrong_use_is_one_sentence(call, match):
    with pytest.raises(UsageError, match=match):
        call()
