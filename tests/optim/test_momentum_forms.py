"""Optimizers of torch that recipes and comparisons use, in the forms of the papers."""

from itertools import pairwise

import torch
from torch import nn

DOUBLE = {"dtype": torch.float64}


def quadratic(n=6):
    """Gradient of ``x^T A x / 2 - b^T x``, with A's eigenvalues from 0.05 to 1."""
    gen = torch.Generator().manual_seed(0)
    basis, _ = torch.linalg.qr(torch.randn(n, n, generator=gen, **DOUBLE))
    a = basis @ torch.diag(torch.logspace(-1.3, 0, n, **DOUBLE)) @ basis.T
    b = torch.randn(n, generator=gen, **DOUBLE)
    return a, b, lambda x: a @ x - b


def steps_of(optimizer, weights, gradient, count):
    """Weights before each step and after the last."""
    found = [weights.detach().clone()]
    for _ in range(count):
        weights.grad = gradient(weights.detach())
        optimizer.step()
        found.append(weights.detach().clone())
    return found


def test_nesterovs_step_is_the_papers_after_a_change_of_variable():
    """Sutskever, Martens, Dahl & Hinton, ICML 2013; torch stores ``theta + mu v``."""
    _, _, gradient = quadratic()
    rate, mu = 0.3, 0.9
    weights = nn.Parameter(torch.ones(6, **DOUBLE))
    theta, v = weights.detach().clone(), torch.zeros(6, **DOUBLE)
    # torch's velocity starts at the first gradient, as does this from rest
    optimizer = torch.optim.SGD([weights], rate, mu, nesterov=True)
    for found in steps_of(optimizer, weights, gradient, 30)[1:]:
        v = mu * v - rate * gradient(theta + mu * v)
        theta = theta + v
        torch.testing.assert_close(found, theta + mu * v, rtol=1e-12, atol=1e-14)


def test_momentum_and_nesterov_are_faster_on_a_badly_scaled_quadratic():
    a, b, gradient = quadratic()
    best = torch.linalg.solve(a, b)
    left = []
    for settings in ({}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}):
        weights = nn.Parameter(torch.zeros(6, **DOUBLE))
        end = steps_of(torch.optim.SGD([weights], 0.5, **settings), weights, gradient, 60)[-1]
        left.append(float((end - best) @ a @ (end - best)))
    plain, momentum, nesterov = left
    assert nesterov < momentum < plain / 10


def test_adagrad_divides_by_the_root_of_the_sum_of_squares():
    _, _, gradient = quadratic()
    weights = nn.Parameter(torch.ones(6, **DOUBLE))
    found = steps_of(torch.optim.Adagrad([weights], 0.1, eps=1e-10), weights, gradient, 20)
    x, total = found[0], torch.zeros(6, **DOUBLE)
    for after in found[1:]:
        g = gradient(x)
        total = total + g * g
        x = x - 0.1 * g / (total.sqrt() + 1e-10)
        torch.testing.assert_close(after, x, rtol=1e-13, atol=1e-15)


def test_lbfgs_goes_by_the_inverse_that_its_pairs_define():
    a, b, gradient = quadratic()
    weights, rate, seen = nn.Parameter(torch.ones(6, **DOUBLE)), 0.5, []

    def closure():
        seen.append((weights.detach().clone(), gradient(weights.detach())))
        weights.grad = seen[-1][1].clone()
        x = weights.detach()
        return x @ a @ x / 2 - b @ x

    torch.optim.LBFGS([weights], rate, max_iter=6, history_size=10).step(closure)
    eye = torch.eye(6, **DOUBLE)
    moves = [(y[0] - x[0], y[1] - x[1]) for x, y in pairwise(seen)]
    assert len(moves) == 5
    for k in range(1, 5):
        s, y = moves[k - 1]
        inverse = eye * (s @ y) / (y @ y)
        for s, y in moves[:k]:
            left = eye - torch.outer(s, y) / (y @ s)
            inverse = left @ inverse @ left.T + torch.outer(s, s) / (y @ s)
        torch.testing.assert_close(moves[k][0], -rate * inverse @ seen[k][1], rtol=1e-9, atol=1e-12)
