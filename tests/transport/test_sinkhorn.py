"""Sinkhorn's iteration against dense float64 iterations in NumPy, and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from torch import Tensor

from nakami import transport
from nakami.results import NotConvergedWarning, UsageError


def histograms(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """A batch ``(B, *rest)`` of positive masses, each with sum 1."""
    made = np.random.default_rng(seed).random(shape) + 0.01
    return torch.from_numpy(
        made / made.reshape(shape[0], -1).sum(1).reshape(-1, *[1] * (len(shape) - 1))
    ).to(dtype)


def plain(
    p: np.ndarray, q: np.ndarray, cost: np.ndarray, reg: float, steps: int = 4000
) -> np.ndarray:
    """The plan by Cuturi's iteration: log domain at first, then scalings near 1."""
    f, g = np.zeros(len(p)), np.zeros(len(q))
    for _ in range(50):
        f = -logsumexp(g + np.log(q) - cost / reg, axis=1)
        g = -logsumexp(f[:, None] + np.log(p)[:, None] - cost / reg, axis=0)
    kernel = p[:, None] * q * np.exp(f[:, None] + g - cost / reg)
    u, v = np.ones(len(p)), np.ones(len(q))
    for _ in range(steps):
        u = p / (kernel @ v)
        v = q / (u @ kernel)
    return u[:, None] * kernel * v


def squares(*shape: int) -> np.ndarray:
    """Squared distances of the points of a grid whose longest axis runs from 0 to 1."""
    step = 1 / (max(shape) - 1)
    places = np.stack(np.meshgrid(*[np.arange(n) * step for n in shape], indexing="ij"), -1)
    flat = places.reshape(-1, len(shape))
    return ((flat[:, None] - flat) ** 2).sum(-1)


@pytest.mark.parametrize("shape", [(12,), (3, 5), (2, 3, 4)])
def test_grids_equal_plain_iterations(shape: tuple[int, ...]) -> None:
    p, q = histograms(2, *shape), histograms(2, *shape, seed=1)
    found = transport.sinkhorn(p, q, transport.Grid(shape), 0.02, tolerance=1e-12)
    cost = squares(*shape)
    for one, other, plan, moved in zip(p, q, found.plan(), found.cost, strict=True):
        wanted = plain(one.flatten().numpy(), other.flatten().numpy(), cost, 0.02)
        assert np.abs(plan.numpy() - wanted).max() < 1e-12
        assert float(moved) == pytest.approx((wanted * cost).sum(), rel=1e-11)
    assert bool(found.converged.all())


def test_value_is_the_primal_and_marginals_hold() -> None:
    p, q = histograms(3, 9), histograms(3, 7, seed=1)
    cost = torch.from_numpy(np.random.default_rng(2).random((9, 7)))
    found = transport.sinkhorn(p, q, cost, 0.05, tolerance=1e-12)
    plan = found.plan()
    primal = (plan * cost).sum((1, 2)) + 0.05 * torch.xlogy(plan, plan).sum((1, 2))
    torch.testing.assert_close(found.value, primal, rtol=0, atol=1e-13)
    torch.testing.assert_close(plan.sum(2), p, rtol=0, atol=1e-12)
    torch.testing.assert_close(plan.sum(1), q, rtol=0, atol=1e-12)
    product = p[:, :, None] * q[:, None, :]
    torch.testing.assert_close(
        found.entropy, -torch.xlogy(plan, plan).sum((1, 2)), rtol=0, atol=1e-12
    )
    relative = (plan * cost).sum((1, 2)) + 0.05 * torch.xlogy(plan, plan / product).sum((1, 2))
    torch.testing.assert_close(found.relative, relative, rtol=0, atol=1e-13)
    torch.testing.assert_close((found.f * p).sum(1), (found.g * q).sum(1), rtol=0, atol=1e-14)


@pytest.mark.parametrize("reg", [1e-1, 1e-2, 1e-3, 1e-4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gaussians_at_every_blur(reg: float, dtype: torch.dtype) -> None:
    """In closed form: <c, P> = (m1 - m2)^2 + s1^2 + s2^2 - 2 chi."""
    x = np.linspace(0, 1, 500)
    masses = [np.exp(-0.5 * ((x - m) / s) ** 2) for m, s in ((0.4, 0.05), (0.55, 0.08))]
    p, q = (torch.from_numpy(mass / mass.sum()).to(dtype) for mass in masses)
    found = transport.sinkhorn(p, q, transport.Grid(500), reg, tolerance=2e-6)
    chi = 0.5 * (np.sqrt(4 * 0.05**2 * 0.08**2 + reg**2 / 4) - reg / 2)
    wanted = 0.15**2 + 0.05**2 + 0.08**2 - 2 * chi
    assert float(found.cost) == pytest.approx(wanted, rel=2e-5)
    assert bool(found.converged)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_points_far_apart_in_memory_and_in_tiles(dtype: torch.dtype) -> None:
    """Clusters at a squared distance of a million blurs: exp(-c/reg) is 0 for each pair."""
    rng = np.random.default_rng(0)
    x, y = rng.random((60, 2)), rng.random((50, 2)) + 100
    p, q = histograms(1, 60)[0].to(dtype), histograms(1, 50, seed=1)[0].to(dtype)
    points = transport.Points(torch.from_numpy(x).to(dtype), torch.from_numpy(y).to(dtype))
    cost = ((points.x.double()[:, None] - points.y.double()) ** 2).sum(-1).numpy()
    wanted = plain(p.double().numpy(), q.double().numpy(), cost, 0.02, steps=1500)
    for budget in (None, 60 * 50):
        found = transport.sinkhorn(p, q, points, 0.02, tolerance=1e-5, memory_budget=budget)
        assert np.abs(found.plan().double().numpy() - wanted).max() < 1e-5 * wanted.max()
        assert float(found.cost) == pytest.approx((wanted * cost).sum(), rel=1e-6)


def test_over_relaxation_changes_the_way_and_not_the_end() -> None:
    p, q = histograms(1, 40), histograms(1, 40, seed=1)
    found = transport.sinkhorn(p, q, transport.Grid(40), 1e-3, tolerance=1e-11)
    wanted = plain(p[0].numpy(), q[0].numpy(), squares(40), 1e-3, steps=20_000)
    assert np.abs(found.plan()[0].numpy() - wanted).max() < 1e-10
    assert found.steps < 2500  # plain steps: above 10,000


def test_empty_bins_have_finite_potentials() -> None:
    p, q = histograms(1, 20)[0], histograms(1, 20, seed=1)[0]
    p[3:6], q[10] = 0, 0
    p, q = p / p.sum(), q / q.sum()
    found = transport.sinkhorn(p, q, transport.Grid(20), 0.01, tolerance=1e-10)
    assert bool(torch.cat([found.f, found.g]).isfinite().all())
    assert float(found.plan()[3:6].abs().max()) == 0
    torch.testing.assert_close(found.plan().sum(1), p, rtol=0, atol=1e-10)


def test_a_start_saves_steps() -> None:
    p, q = histograms(2, 8, 8), histograms(2, 8, 8, seed=1)
    first = transport.sinkhorn(p, q, transport.Grid((8, 8)), 0.01, tolerance=1e-9)
    again = transport.sinkhorn(p, q, transport.Grid((8, 8)), 0.01, tolerance=1e-9, start=first)
    assert again.steps < first.steps / 2


def test_too_few_steps_are_said() -> None:
    p, q = histograms(1, 30)[0], histograms(1, 30, seed=1)[0]
    with pytest.warns(NotConvergedWarning, match=r"marginal error .* asked 1e-06.*max_steps"):
        found = transport.sinkhorn(p, q, transport.Grid(30), 1e-3, max_steps=8)
    assert not bool(found.converged)
    plan = found.plan()
    assert float(found.marginal_error) == pytest.approx(
        float((plan.sum(1) - p).abs().sum()), rel=1e-6
    )
    assert "stopped after 8 steps" in repr(found)


BAD = [
    ({"p": torch.tensor([-0.1, 1.1])}, r"p must be at least 0 everywhere, got -0.1; pass p.clamp"),
    ({"p": torch.tensor([0.0, 0.0])}, r"p must have mass in each histogram, got 1 of 1 without"),
    ({"q": torch.tensor([1.0, 1.0])}, r"q must have the total mass of p, got 2, not 1; "),
    ({"p": torch.tensor([torch.nan, 1.0])}, r"p must be finite, got 1 entries that are not"),
    ({"p": torch.tensor([1.0, 0.0, 0.0])}, r"p must have shape \(2,\), or .*got \(3,\)"),
    ({"p": torch.tensor([1, 0])}, r"p must be float32 or float64, got torch.int64"),
    ({"cost": torch.ones(2)}, r"cost must be a matrix \(n, m\), got shape \(2,\)"),
    ({"cost": torch.tensor([[0.0, torch.nan], [1.0, 0.0]])}, r"cost must hold numbers or inf"),
    ({"reg": 0.0}, r"reg must be a positive number, got 0.0; pass reg=0.01"),
    ({"reg": 1e-20}, r"reg must be at least 1e-10 of the largest cost, 1, got 1e-20"),
    ({"reg": -1.0}, r"reg must be a positive number, got -1.0"),
    ({"tolerance": 0}, r"tolerance must lie between 0 and 1, got 0"),
    ({"q": [0.5, 0.5]}, r"q must be a tensor of masses"),
    ({"q": torch.tensor([0.5, 0.5], dtype=torch.float64)}, r"q must have the type and device of p"),
]  # fmt: skip


@pytest.mark.parametrize("cost", [transport.Grid(2), transport.Points(torch.tensor([[0.0], [1]]))])
def test_a_blur_that_no_number_can_hold(cost: transport.Grid | transport.Points) -> None:
    """Below that, rounding alone decides, and the marginals may look exact."""
    p = torch.tensor([0.3, 0.7])
    with pytest.raises(UsageError, match=r"reg must be at least 1e-10 of the largest cost, 1"):
        transport.sinkhorn(p, p, cost, 1e-11)


@pytest.mark.parametrize(("changed", "text"), BAD)
def test_wrong_arguments(changed: dict[str, object], text: str) -> None:
    given = {
        "p": torch.tensor([0.3, 0.7]), "q": torch.tensor([0.5, 0.5]),
        "cost": torch.tensor([[0.0, 1.0], [1.0, 0.0]]), "reg": 0.1, **changed,
    }  # fmt: skip
    with pytest.raises(UsageError, match=text):
        transport.sinkhorn(**given)  # type: ignore[arg-type]
