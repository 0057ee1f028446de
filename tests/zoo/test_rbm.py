"""The machine against enumeration: all states of a tiny one, written a different way."""

import itertools

import pytest
import torch

from nakami.results import UsageError
from nakami.zoo.rbm import RBM, ContrastiveDivergence, contrastive_divergence, fit


def states(n):
    return torch.tensor(list(itertools.product((0.0, 1.0), repeat=n)), dtype=torch.float64)


def tiny(visible=4, hidden=3, seed=0):
    g = torch.Generator().manual_seed(seed)
    rbm = RBM(visible, hidden, generator=g, dtype=torch.float64)
    with torch.no_grad():
        for p in rbm.parameters():
            p.copy_(torch.randn(p.shape, generator=g, dtype=torch.float64))
    return rbm


def energies(rbm):
    """``E(v, h)`` of all states, ``(2^visible, 2^hidden)``, as the definition says."""
    w, a, b = rbm.weight, rbm.visible_bias, rbm.hidden_bias
    v, h = states(len(a)), states(len(b))
    return -(v @ a)[:, None] - (h @ b)[None, :] - torch.einsum("ni,ji,mj->nm", v, w, h)


def log_likelihood(rbm, data):
    """Mean over the data of the exact ``log p(v)``, in nats."""
    energy = -torch.logsumexp(-energies(rbm), 1)  # of each visible state
    index = (data @ (2.0 ** torch.arange(data.shape[1] - 1, -1, -1, dtype=data.dtype))).long()
    return ((-energy[index]).mean() - torch.logsumexp(-energy, 0)).item()


def test_free_energy_and_conditionals_match_enumeration():
    rbm = tiny()
    e = energies(rbm)
    v, h = states(4), states(3)
    torch.testing.assert_close(rbm.free_energy(v), -torch.logsumexp(-e, 1), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(rbm(v), torch.softmax(-e, 1) @ h, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(rbm.visible(h), torch.softmax(-e, 0).T @ v, rtol=1e-12, atol=1e-12)
    with pytest.raises(AssertionError):  # the check can fail
        torch.testing.assert_close(
            rbm.free_energy(v), 1.0001 * rbm.free_energy(v), rtol=1e-6, atol=0
        )


def test_gradient_of_the_log_likelihood_is_data_minus_model():
    rbm, data = tiny(), states(4)[[3, 9, 9, 14]]
    log_p = (-rbm.free_energy(data)).mean() - torch.logsumexp(-rbm.free_energy(states(4)), 0)
    gradient = torch.autograd.grad(log_p, rbm.weight)[0]
    joint = torch.softmax(-energies(rbm).flatten(), 0).reshape(16, 8)
    model = states(3).T @ joint.T @ states(4)
    torch.testing.assert_close(gradient, rbm(data).T @ data / 4 - model, rtol=1e-12, atol=1e-12)


def expected_cd(rbm, v, k):
    """Exact mean of the CD-k direction of the weights: the chain's law, pushed k times."""
    visible, hidden = states(4), states(3)
    up = torch.softmax(-energies(rbm), 1)  # p(h | v), rows v
    down = torch.softmax(-energies(rbm), 0).T  # p(v | h), rows h
    start = (visible[None] == v[:, None]).all(2).double()
    law = start @ torch.linalg.matrix_power(up @ down, k)  # of the last visible state
    p = up @ hidden
    data = (start @ (p[:, :, None] * visible[:, None, :]).flatten(1)).mean(0)
    model = (law @ (p[:, :, None] * visible[:, None, :]).flatten(1)).mean(0)
    return (data - model).reshape(3, 4)


@pytest.mark.parametrize("k", [1, 3])
def test_mean_update_is_that_of_contrastive_divergence(k):
    rbm, v = tiny(), states(4)[[3, 9, 14]]
    n = 40_000
    g = torch.Generator().manual_seed(1)
    weight, visible, hidden = contrastive_divergence(rbm, v.repeat(n, 1), k, g)
    error = 5 * 0.5 / n**0.5  # five standard errors: a product in 0..1 deviates by at most 1/2
    expected = expected_cd(rbm, v, k)
    assert (weight - expected).abs().max() < error
    assert expected.abs().max() > 10 * error  # the check can fail
    assert visible.shape == (4,)
    assert hidden.shape == (3,)


def test_mean_reconstruction_is_biased():
    rbm, v = tiny(), states(4)[[3, 9, 14]]
    trainer = ContrastiveDivergence(rbm, rate=1.0, momentum=0.0, decay=0.0, reconstruction="mean")
    before = rbm.weight.detach().clone()
    expected = expected_cd(rbm, v, 1)
    trainer.step(v.repeat(40_000, 1))
    bias = (rbm.weight.detach() - before - expected).abs().max()
    assert bias > 2 * 5 * 0.5 / 40_000**0.5  # twice the margin of the test above


def test_one_step_is_momentum_and_decay_on_the_direction():
    rbm, other, v = tiny(), tiny(), states(4)[3:9]
    seed = 7
    trainer = ContrastiveDivergence(
        rbm, rate=0.1, momentum=0.9, decay=0.01, generator=torch.Generator().manual_seed(seed)
    )
    g = torch.Generator().manual_seed(seed)
    speed = [torch.zeros_like(p) for p in (other.weight, other.visible_bias, other.hidden_bias)]
    for _ in range(3):
        trainer.step(v)
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
    fit(rbm, data.repeat(4, 1), epochs=600, batch=56, rate=0.1, decay=0.0, generator=g)
    after = log_likelihood(rbm, data)
    assert -4.6 < after < -torch.log(torch.tensor(14.0))  # far up, and below the optimum


def test_same_generator_gives_the_same_bits_and_leaves_the_global_one():
    data = bars_and_stripes().float()
    before = torch.get_rng_state()

    def run(seed):
        g = torch.Generator().manual_seed(seed)
        rbm = RBM(9, 5, generator=g)
        fit(rbm, data, epochs=3, batch=5, generator=g)
        return torch.cat([p.flatten() for p in rbm.parameters()])

    assert torch.equal(run(3), run(3))
    assert not torch.equal(run(3), run(4))
    assert torch.equal(torch.get_rng_state(), before)


def test_pixels_that_never_light_get_a_finite_bias():
    rbm = RBM(2, 1)
    rbm.start_biases(torch.tensor([[0.0, 1.0]] * 8))
    torch.testing.assert_close(rbm.visible_bias.detach().exp(), torch.tensor([1 / 9, 9.0]))


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: RBM(0, 3), r"visible must be at least 1, got 0"),
        (lambda: ContrastiveDivergence(RBM(2, 2), rate=0), r"rate must be positive, got 0"),
        (lambda: ContrastiveDivergence(RBM(2, 2), momentum=1), r"momentum must lie .*, got 1"),
        (lambda: ContrastiveDivergence(RBM(2, 2), k=0), r"k must be at least 1, got 0"),
        (
            lambda: ContrastiveDivergence(RBM(2, 2), reconstruction="men"),
            r"reconstruction 'men' is unknown; nearest.*'mean'",
        ),
        (lambda: fit(RBM(2, 2), torch.rand(5, 3)), r"data must have shape .*, got \(5, 3\)"),
        (lambda: fit(RBM(2, 2), torch.full((5, 2), 255.0)), r"lie in 0\.\.1, got 255 to 255;"),
        (
            lambda: fit(RBM(2, 2), torch.full((5, 2), torch.nan)),
            r"data must lie in 0\.\.1, got nan",
        ),
    ],
)
def test_wrong_use_is_one_sentence(call, match):
    with pytest.raises(UsageError, match=match):
        call()
