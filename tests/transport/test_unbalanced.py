"""Unbalanced transport against its optimality, the primal, and a general minimiser."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import Tensor

from nakami import transport
from nakami.results import UsageError

from .test_divergences import cost_matrix
from .test_sinkhorn import histograms

REG, PENALTY = 0.05, 0.3


def kl(a: Tensor, b: Tensor) -> Tensor:
    return (torch.xlogy(a, a / b) - a + b).sum()


def price(plan: Tensor, p: Tensor, q: Tensor, cost: Tensor) -> Tensor:
    """What is minimised."""
    product = p[:, None] * q
    found = (plan * cost).sum() + REG * kl(plan, product)
    return found + PENALTY * (kl(plan.sum(1), p) + kl(plan.sum(0), q))


def test_value_is_the_price_of_the_plan_and_marginals_are_those_of_the_optimum() -> None:
    p, q, cost = 2 * histograms(1, 8)[0], histograms(1, 8, seed=1)[0], cost_matrix()
    found = transport.unbalanced(p, q, transport.Grid(8), REG, PENALTY, tolerance=1e-13)
    plan = found.plan()
    assert float(found.value) == pytest.approx(float(price(plan, p, q, cost)), rel=1e-12)
    torch.testing.assert_close(plan.sum(1), p * (-found.f / PENALTY).exp(), rtol=1e-11, atol=0)
    torch.testing.assert_close(plan.sum(0), q * (-found.g / PENALTY).exp(), rtol=1e-11, atol=0)
    entropy = -float(torch.xlogy(plan, plan).sum())
    assert float(found.entropy) == pytest.approx(entropy, rel=1e-12)


def test_a_general_minimiser_finds_no_lower_price() -> None:
    p, q = 1.5 * histograms(1, 4)[0], histograms(1, 4, seed=1)[0]
    cost = cost_matrix(4)
    found = transport.unbalanced(p, q, cost, REG, PENALTY, tolerance=1e-12)

    def of(logs: np.ndarray) -> tuple[float, np.ndarray]:
        at = torch.from_numpy(logs).requires_grad_()
        value = price(at.exp().reshape(4, 4), p, q, cost)
        value.backward()
        assert at.grad is not None
        return float(value.detach()), at.grad.numpy()

    def bend(logs: np.ndarray) -> np.ndarray:
        def value(at: Tensor) -> Tensor:
            return price(at.exp().reshape(4, 4), p, q, cost)

        found: np.ndarray = torch.autograd.functional.hessian(value, torch.from_numpy(logs)).numpy()
        return found

    first = minimize(of, np.full(16, -3.0), jac=True)
    lowest = minimize(
        of, first.x, jac=True, hess=bend, method="trust-exact", options={"gtol": 1e-12}
    )
    assert float(found.value) == pytest.approx(lowest.fun, rel=1e-11)


def test_a_large_penalty_is_balanced_transport() -> None:
    p, q = histograms(2, 8), histograms(2, 8, seed=1)
    found = transport.unbalanced(p, q, transport.Grid(8), REG, 1e6, tolerance=1e-10)
    wanted = transport.sinkhorn(p, q, transport.Grid(8), REG, tolerance=1e-10)
    torch.testing.assert_close(found.value, wanted.relative, rtol=0, atol=1e-6)
    torch.testing.assert_close(found.plan(), wanted.plan(), rtol=0, atol=1e-6)


def test_a_small_penalty_loses_what_is_far() -> None:
    """Mass at a squared distance of 1 is given up at a penalty of 0.01."""
    p, q = torch.tensor([0.5, 0.0, 0.5]), torch.tensor([0.5, 0.5, 0.0])
    found = transport.unbalanced(p, q, transport.Grid(3), 1e-3, 0.01)
    plan = found.plan()
    assert float(plan[0, 0]) == pytest.approx(0.5, rel=0.1)
    assert float(plan.sum()) < 0.6


@pytest.mark.parametrize("penalty", [0.0, -1.0, float("inf"), "a"])
def test_a_penalty_is_positive(penalty: object) -> None:
    p = torch.tensor([0.5, 0.5])
    with pytest.raises(UsageError, match=r"penalty must be a positive number, got .*sinkhorn"):
        transport.unbalanced(p, p, transport.Grid(2), 0.1, penalty)  # type: ignore[arg-type]
