"""Losses and their gradients against differences, closed forms and the definitions."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nakami import transport
from nakami.results import UsageError

from .test_sinkhorn import histograms

GRID, REG = transport.Grid(8), 0.05
TIGHT = {"tolerance": 1e-13, "max_steps": 50_000}


def cost_matrix(n: int = 8) -> Tensor:
    x = torch.linspace(0, 1, n, dtype=torch.float64)
    return (x[:, None] - x) ** 2


def kernel() -> tuple[Tensor, Tensor]:
    """K and K~ (rows sum to 1)."""
    k = torch.exp(-cost_matrix() / REG)
    return k, k / k.sum(1, keepdim=True)


def slope(function: object, at: Tensor, towards: Tensor, step: float = 1e-5) -> float:
    return float((function(at + step * towards) - function(at - step * towards)) / (2 * step))  # type: ignore[operator]


def zero_sum(seed: int) -> Tensor:
    made = torch.randn(8, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return 0.01 * (made - made.mean())


LOSSES = {
    "entropic_cost": transport.entropic_cost,
    "lambda_divergence": transport.lambda_divergence,
    "sinkhorn_divergence": transport.sinkhorn_divergence,
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("side", [0, 1])
def test_gradients_against_differences(name: str, side: int) -> None:
    masses, loss = [histograms(1, 8)[0], histograms(1, 8, seed=1)[0]], LOSSES[name]

    def value(at: Tensor) -> Tensor:
        given = [at if side == place else mass for place, mass in enumerate(masses)]
        return loss(*given, GRID, REG, **TIGHT)

    at = masses[side].clone().requires_grad_()
    value(at).backward()
    assert at.grad is not None
    for seed in range(3):
        towards = zero_sum(seed)
        wanted = slope(value, masses[side], towards)
        assert float(at.grad @ towards) == pytest.approx(wanted, rel=2e-6, abs=1e-10)


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_gradients_by_points_and_matrix(power: float) -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.rand(n, 2, dtype=torch.float64, generator=generator) for n in (6, 5))
    p, q = histograms(1, 6)[0], histograms(1, 5, seed=1)[0]

    def value(x: Tensor, y: Tensor) -> Tensor:
        return transport.entropic_cost(p, q, transport.Points(x, y, power), REG, **TIGHT)

    a, b = x.clone().requires_grad_(), y.clone().requires_grad_()
    value(a, b).backward()
    towards = torch.randn(6, 2, dtype=torch.float64, generator=generator)
    assert float((a.grad * towards).sum()) == pytest.approx(
        slope(lambda z: value(z, y), x, towards), rel=1e-6
    )  # type: ignore[operator]
    assert float((b.grad * towards[:5]).sum()) == pytest.approx(
        slope(lambda z: value(x, z), y, towards[:5]), rel=1e-6
    )  # type: ignore[operator]

    cost = torch.cdist(x, y).requires_grad_()
    transport.entropic_cost(p, q, cost, REG, **TIGHT).backward()
    plan = transport.sinkhorn(p, q, cost.detach(), REG, tolerance=1e-13).plan()
    torch.testing.assert_close(cost.grad, plan, rtol=0, atol=1e-12)


def test_lambda_divergence_is_its_definition() -> None:
    """reg KL between the two plans, and C - C."""
    p, q = histograms(20, 8), histograms(20, 8, seed=1)
    k, rows = kernel()
    found = transport.lambda_divergence(p, q, GRID, REG, **TIGHT)
    plans = transport.sinkhorn(p, q @ rows, GRID, REG, **TIGHT).plan()
    best = p[:, :, None] * rows
    torch.testing.assert_close(
        found, REG * (plans * (plans / best).log()).sum((1, 2)), rtol=0, atol=1e-13
    )
    costs = [transport.entropic_cost(p, mass @ rows, GRID, REG, **TIGHT) for mass in (q, p)]
    torch.testing.assert_close(found, costs[0] - costs[1], rtol=0, atol=1e-12)
    closed = REG * (p * (p / k.sum(1)).log()).sum(1)
    torch.testing.assert_close(costs[1], closed, rtol=0, atol=1e-12)
    assert float(found.min()) > 1e-4
    assert float(transport.lambda_divergence(p, p, GRID, REG, **TIGHT).abs().max()) < 1e-13


def test_the_wrong_blur_is_told_apart() -> None:
    """With twice the blur the definition does not hold: this test can fail."""
    p, q = histograms(4, 8), histograms(4, 8, seed=1)
    wrong = torch.exp(-cost_matrix() / (2 * REG))
    wrong /= wrong.sum(1, keepdim=True)
    found = transport.lambda_divergence(p, q, GRID, REG, **TIGHT)
    other = transport.entropic_cost(p, q @ wrong, GRID, REG, **TIGHT)
    other = other - transport.entropic_cost(p, p @ wrong, GRID, REG, **TIGHT)
    assert float((found - other).abs().min()) > 1e-4


def test_the_blurred_is_where_the_entropic_cost_is_least() -> None:
    p, (_, rows) = histograms(1, 8)[0], kernel()
    torch.testing.assert_close(transport.blur(p, GRID, REG), p @ rows, rtol=0, atol=1e-15)
    at = (p @ rows).requires_grad_()
    transport.entropic_cost(p, at, GRID, REG, **TIGHT).backward()
    assert at.grad is not None
    assert float((at.grad - at.grad.mean()).abs().max()) < 1e-9


def test_blur_has_derivatives_of_any_order() -> None:
    q = histograms(2, 8).requires_grad_()
    assert torch.autograd.gradcheck(lambda z: transport.blur(z, GRID, REG), (q,))
    assert torch.autograd.gradgradcheck(lambda z: transport.blur(z, GRID, REG) ** 2, (q,))


def test_sinkhorn_divergence() -> None:
    p, q = histograms(50, 8), histograms(50, 8, seed=1)
    found = transport.sinkhorn_divergence(p, q, GRID, REG, **TIGHT)
    assert float(found.min()) > 0
    torch.testing.assert_close(
        found, transport.sinkhorn_divergence(q, p, GRID, REG, **TIGHT), rtol=0, atol=1e-13
    )
    assert float(transport.sinkhorn_divergence(p, p, GRID, REG, **TIGHT).abs().max()) < 1e-13
    x = torch.linspace(0, 1, 8, dtype=torch.float64)
    limit = ((p - q) @ x) ** 2  # of large reg, with an error of order 1 / reg
    left = [transport.sinkhorn_divergence(p, q, GRID, reg, **TIGHT) - limit for reg in (100, 1000)]
    assert float(left[1].abs().max()) < 1e-5
    assert float(left[0].norm() / left[1].norm()) == pytest.approx(10, rel=0.02)


def test_limits_of_the_lambda_divergence() -> None:
    """Large reg: 2 Var_uniform(x) (difference of means)^2 / reg."""
    p, q = histograms(3, 8), histograms(3, 8, seed=1)
    x = torch.linspace(0, 1, 8, dtype=torch.float64)
    wanted = 2 * x.var(correction=0) * ((p - q) @ x) ** 2
    found = 1e3 * transport.lambda_divergence(p, q, GRID, 1e3, **TIGHT)
    torch.testing.assert_close(found, wanted, rtol=2e-3, atol=0)


def test_shape_and_place_are_apart() -> None:
    """C(p, q) = (difference of means)^2 + C(centred), exact on points."""
    p, q = histograms(1, 8)[0], histograms(1, 8, seed=1)[0]
    x, y = (
        torch.linspace(0, 1, 8, dtype=torch.float64)[:, None],
        torch.linspace(2, 5, 8, dtype=torch.float64)[:, None],
    )
    whole = transport.entropic_cost(p, q, transport.Points(x, y), REG, **TIGHT)
    means = p @ x, q @ y
    centred = transport.entropic_cost(
        p, q, transport.Points(x - means[0], y - means[1]), REG, **TIGHT
    )
    assert float(whole) == pytest.approx(float((means[0] - means[1]) ** 2 + centred), rel=1e-12)


def test_a_second_derivative_is_refused() -> None:
    q = histograms(1, 8, seed=1)[0].requires_grad_()
    value = transport.entropic_cost(histograms(1, 8)[0], q, GRID, REG)
    (first,) = torch.autograd.grad(value, q, create_graph=True)
    with pytest.raises(UsageError, match="first derivatives only: they hold the plan fixed"):
        first.square().sum().backward()


def test_two_sides_of_other_points_are_refused() -> None:
    x = torch.rand(4, 2)
    p = torch.full((4,), 0.25)
    with pytest.raises(UsageError, match=r"cost must have the same points on both sides"):
        transport.lambda_divergence(p, p, transport.Points(x, x + 1), REG)
    with pytest.raises(UsageError, match=r"cost must be square: both sides are the same points"):
        transport.blur(p, torch.rand(4, 3), REG)
