"""Small regs, reached over larger ones, against dense loops, optimality and linear programs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from scipy.special import logsumexp
from torch import Tensor

from nakami import transport
from nakami.results import NotConvergedWarning, UsageError
from nakami.transport import _annealing
from nakami.transport._costs import kernel_of
from nakami.transport._loop import iterate

from .test_sinkhorn import histograms, squares


def dense(
    p: Tensor, q: Tensor, cost: np.ndarray, reg: float, steps: int, damping: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Potentials in units of the cost by plain half-steps at ``reg`` alone."""
    f, g, a, b = np.zeros(p.numel()), np.zeros(q.numel()), *(m.flatten().numpy() for m in (p, q))
    for _ in range(steps):
        f = -damping * logsumexp(g + np.log(b) - cost / reg, axis=1)
        g = -damping * logsumexp(f[:, None] + np.log(a)[:, None] - cost / reg, axis=0)
    return f * reg, g * reg


def bells(n: int, gap: float = 0.5) -> tuple[Tensor, Tensor]:
    x = torch.linspace(0, 1, n, dtype=torch.float64)
    return torch.softmax(-50 * (x - 0.25) ** 2, 0), torch.softmax(-80 * (x - 0.25 - gap) ** 2, 0)


def apart(a: Tensor, b: np.ndarray) -> float:
    return float(np.abs(a.flatten().numpy() - b).max())


def test_potentials_and_value_are_those_of_a_dense_loop() -> None:
    (p, q), reg = bells(12), 2e-4
    assert _annealing.stages(reg, transport.Grid(12)) == pytest.approx([2e-3, 2e-4])
    found = transport.sinkhorn(p, q, transport.Grid(12), reg, tolerance=1e-12)
    errors = []
    for at in (reg, 10 * reg):  # at another reg the reference is another one
        f, g = dense(p, q, squares(12), at, 1200)
        shift = (f @ p.numpy() - g @ q.numpy()) / 2
        errors.append(max(apart(found.f, f - shift), apart(found.g, g + shift)))
        if at == reg:
            assert float(found.relative) == pytest.approx(f @ p.numpy() + g @ q.numpy(), abs=1e-13)
    assert errors[0] < 1e-12
    assert errors[1] > 1e-3


def test_unbalanced_potentials_are_those_of_a_dense_loop() -> None:
    (p, q), reg, penalty = bells(12), 2e-4, 0.02
    p = 1.5 * p
    found = transport.unbalanced(p, q, transport.Grid(12), reg, penalty, tolerance=1e-12)
    f, g = dense(p, q, squares(12), reg, 1200, penalty / (penalty + reg))
    assert max(apart(found.f, f), apart(found.g, g)) < 1e-9
    wrong, _ = dense(p, q, squares(12), 10 * reg, 1200, penalty / (penalty + 10 * reg))
    assert apart(found.f, wrong) > 1e-3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", ["grid", "batch", "points", "matrix"])
def test_every_cost_ends_at_the_reg_asked_for(kind: str, dtype: torch.dtype) -> None:
    """The plan made here of potentials, masses and ``reg`` has both marginals."""
    reg = 1e-4
    p, q = (histograms(2, 5, 6, seed=seed).to(dtype) for seed in (0, 1))
    grid = transport.Grid((5, 6))
    places = torch.cartesian_prod(torch.arange(5), torch.arange(6)).to(dtype) / 5
    if kind in ("points", "matrix"):
        p, q = p[0].flatten(), q[0].flatten()
    cost = {"points": transport.Points(places), "matrix": torch.from_numpy(squares(5, 6))}.get(
        kind, grid
    )
    if kind == "grid":
        p, q = p[0], q[0]
    tolerance, bound = (1e-5, 1e-3) if dtype == torch.float32 else (1e-9, 2e-9)  # costs round, too
    found = transport.sinkhorn(p, q, cost, reg, tolerance=tolerance)
    f, g = (part.reshape(-1, 30).numpy() for part in found._potentials)
    a, b = (part.double().reshape(-1, 30).numpy() for part in (p, q))
    for at, holds in ((reg, True), (10 * reg, False)):
        sums = (f[:, :, None] + g[:, None, :]) * (reg / at) - squares(5, 6) / at
        plan = a[:, :, None] * b[:, None, :] * np.exp(sums)
        error = np.abs(plan.sum(2) - a).sum(1) + np.abs(plan.sum(1) - b).sum(1)
        assert bool((error < bound).all()) == holds
    assert bool(found.converged.all())


def test_the_cost_tends_to_that_of_the_linear_program() -> None:
    n = 10
    p, q = histograms(1, n)[0], histograms(1, n, seed=1)[0]
    cost = np.random.default_rng(2).random((n, n))
    rows = np.kron(np.eye(n), np.ones(n)), np.kron(np.ones(n), np.eye(n))
    exact = linprog(cost.ravel(), A_eq=np.vstack(rows), b_eq=np.concatenate([p, q])).fun
    regs = (1e-2, 1e-3, 1e-4)
    over = [
        float(transport.sinkhorn(p, q, torch.from_numpy(cost), reg, tolerance=1e-9).cost) - exact
        for reg in regs
    ]
    for reg, more in zip(regs, over, strict=True):
        assert -1e-8 < more < reg * 2 * np.log(n)
    assert over[0] > 10 * max(over[2], 0)


def test_it_converges_where_steps_at_the_last_reg_alone_do_not() -> None:
    (p, q), grid, reg, most = bells(100), transport.Grid(100), 1e-5, 600
    found = transport.sinkhorn(p, q, grid, reg, max_steps=most)
    assert bool(found.converged)
    assert found.steps <= most
    zeros = torch.zeros(1, 100, dtype=torch.float64)
    alone = iterate(
        kernel_of(grid, reg, p[None], 1 << 30), p[None].log(), q[None].log(), (zeros, zeros),
        1e-6, most,
    )  # fmt: skip
    assert float(alone.error) > 1e-2


@pytest.mark.parametrize("most", [1, 2, 3, 17])
def test_steps_at_all_regs_count_to_the_limit(most: int) -> None:
    p, q = bells(40)
    with pytest.warns(NotConvergedWarning, match=f"{most} steps"):
        found = transport.sinkhorn(p, q, transport.Grid(40), 1e-5, max_steps=most)
    assert found.steps == most
    plan = (
        p[:, None] * q * ((found.f[:, None] + found.g - torch.from_numpy(squares(40))) / 1e-5).exp()
    )
    assert float((plan.sum(0) - q).abs().sum()) < 1e-9  # columns are exact at the last reg


def test_a_start_is_taken_at_the_reg_asked_for() -> None:
    p, q = bells(60)
    first = transport.sinkhorn(p, q, transport.Grid(60), 1e-5)
    again = transport.sinkhorn(p, q, transport.Grid(60), 1e-5, start=first)
    assert again.steps == 4  # the first look
    assert first.steps > 100


def test_ordinary_regs_have_one_stage_and_too_small_ones_none() -> None:
    assert _annealing.stages(1e-3, transport.Grid(1000)) == [1e-3]
    assert _annealing.stages(2e-3, transport.Grid((64, 64))) == [2e-3]
    constant = torch.full((3, 3), 1e6)
    assert _annealing.stages(1e-3, transport.Matrix(constant)) == [1e-3]
    with pytest.raises(UsageError, match="reg must be at least 1e-10 of the largest cost"):
        _annealing.stages(1e-12, transport.Grid(9))
