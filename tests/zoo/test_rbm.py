"""The machine against enumeration: all states of a tiny one, written a different way."""

import pytest
import torch

from machines import energies, expected_cd, states, tiny
from nakami.results import UsageError
from nakami.zoo.rbm import RBM, contrastive_divergence


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


def test_pixels_that_never_light_get_a_finite_bias():
    rbm = RBM(2, 1)
    rbm.start_biases(torch.tensor([[0.0, 1.0]] * 8))
    torch.testing.assert_close(rbm.visible_bias.detach().exp(), torch.tensor([1 / 9, 9.0]))


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: RBM(0, 3), r"visible must be at least 1, got 0"),
        (lambda: contrastive_divergence(RBM(2, 2), torch.rand(3, 2), 0), r"k must be at least 1"),
    ],
)
def test_wrong_use_is_one_sentence(call, match):
    with pytest.raises(UsageError, match=match):
        call()
