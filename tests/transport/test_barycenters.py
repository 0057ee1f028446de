"""Barycenters against plain NumPy, a general minimiser, and closed forms."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import Tensor

from nakami import transport
from nakami.results import NotConvergedWarning, UsageError, UsageTypeError
from nakami.transport._costs import kernel_of
from nakami.transport._coupling import dense_cost
from nakami.transport.barycenters._wide import undone

SMALL, REG = 5, 0.04
PLACES = np.linspace(0, 1, SMALL)
COST = (PLACES[:, None] - PLACES) ** 2
KERNEL = np.exp(-COST / REG)
BLUR = KERNEL / KERNEL.sum(1, keepdims=True)
INPUTS = np.array([[0.5, 0.3, 0.1, 0.06, 0.04], [0.05, 0.05, 0.2, 0.4, 0.3]])
WEIGHTS = np.array([0.3, 0.7])


def gaussian(shape: tuple[int, ...], middle: tuple[float, ...], sd: float) -> Tensor:
    """On a grid whose longest axis runs from 0 to 1; of sum 1."""
    step = 1 / (max(shape) - 1)
    made = torch.ones(shape, dtype=torch.float64)
    for axis, (size, place) in enumerate(zip(shape, middle, strict=True)):
        x = torch.arange(size, dtype=torch.float64) * step
        part = torch.exp(-((x - place) ** 2) / (2 * sd**2))
        made *= part.view(*[-1 if k == axis else 1 for k in range(len(shape))])
    return made / made.sum()


def spread(q: Tensor, axis: int, step: float = 1.0) -> float:
    """Standard deviation along one axis."""
    mass = q.sum([k for k in range(q.ndim) if k != axis]) if q.ndim > 1 else q
    x = torch.arange(len(mass), dtype=torch.float64) * step
    return float(((mass * x**2).sum() - (mass * x).sum() ** 2).sqrt())


def distance(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().sum())


def entropic(p: np.ndarray, q: np.ndarray) -> float:
    """``C(p, q)`` from 100 of Cuturi's iterations, by its definition."""
    v = np.ones(SMALL)
    for _ in range(100):
        u = p / (KERNEL @ v)
        v = q / (u @ KERNEL)
    plan = u[:, None] * KERNEL * v
    return float((plan * COST).sum() + REG * (plan * np.log(plan)).sum())


def relative(p: np.ndarray, q: np.ndarray) -> float:
    return entropic(p, q) - REG * float((p * np.log(p)).sum() + (q * np.log(q)).sum())


LOSSES: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "entropic": entropic,
    "debiased": lambda p, q: relative(p, q) - relative(q, q) / 2,
    "lambda": lambda p, q: entropic(p, q @ BLUR),
}


@pytest.mark.parametrize("kind", LOSSES)
def test_it_is_where_a_general_minimiser_of_the_loss_ends(kind: str) -> None:
    def loss(z: np.ndarray) -> float:
        q = np.exp(z - z.max())
        q /= q.sum()
        return sum(w * LOSSES[kind](p, q) for w, p in zip(WEIGHTS, INPUTS, strict=True))

    found = transport.barycenter(
        torch.from_numpy(INPUTS), transport.Grid(SMALL), REG, torch.from_numpy(WEIGHTS), kind,
        tolerance=1e-6,
    )  # fmt: skip
    start = np.log(np.full(SMALL, 1 / SMALL))
    wanted = minimize(loss, start, method="BFGS", options={"gtol": 1e-6})
    q = np.exp(wanted.x - wanted.x.max())
    assert np.abs(found.mass.numpy() - q / q.sum()).sum() < 1e-3
    assert np.abs(found.mass.numpy() - WEIGHTS @ INPUTS).sum() > 0.1  # the mean is no answer


def test_entropic_equals_plain_projections() -> None:
    b = np.ones((2, SMALL))
    for _ in range(2000):
        a = INPUTS / (b @ KERNEL.T)
        q = np.prod((a @ KERNEL) ** WEIGHTS[:, None], 0)
        b = q / (a @ KERNEL)
    found = transport.barycenter(
        torch.from_numpy(INPUTS), torch.from_numpy(COST), REG, torch.from_numpy(WEIGHTS),
        tolerance=1e-13,
    )  # fmt: skip
    assert np.abs(found.mass.numpy() - q).max() < 1e-12
    assert np.abs(found.mass.numpy() - WEIGHTS @ INPUTS).max() > 0.05  # the mean is no answer


@pytest.mark.parametrize("reg", [2e-3, 4e-3])
def test_gaussians_of_one_covariance_are_exact(reg: float) -> None:
    shape, sd = (40, 40), 0.05
    pair = torch.stack([gaussian(shape, at, sd) for at in ((0.4, 0.4), (0.6, 0.6))])
    grid = transport.Grid(shape)
    for kind, wanted in (("entropic", (sd**2 + reg / 2) ** 0.5), ("debiased", sd), ("lambda", sd)):
        found = transport.barycenter(pair, grid, reg, kind=kind)
        assert bool(found.converged), found
        assert distance(found.mass, gaussian(shape, (0.5, 0.5), wanted)) < 1e-6, kind


def test_rows_and_columns_of_a_grid_that_is_not_square_are_blurred_alike() -> None:
    shape, reg = (24, 48), 4e-3
    pair = torch.stack([gaussian(shape, at, 0.03) for at in ((0.24, 0.4), (0.24, 0.6))])
    found = transport.barycenter(pair, transport.Grid(shape), reg).mass
    step = 1 / 47
    wanted = (0.03**2 + reg / 2) ** 0.5
    assert spread(found, 0, step) == pytest.approx(wanted, rel=1e-4)
    assert spread(found, 1, step) == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize("reg", [5e-4, 1e-3, 2e-3, 4e-3, 1e-2])
def test_two_pixels_meet_in_four(reg: float) -> None:
    """PythonOT/POT#458: between two single pixels lie 2 x 2 of a quarter each."""
    pair = torch.zeros(2, 20, 20, dtype=torch.float64)
    pair[0, 5, 5] = pair[1, 14, 14] = 1
    found = transport.barycenter(pair, transport.Grid((20, 20)), reg, kind="debiased").mass
    wanted = torch.zeros(20, 20, dtype=torch.float64)
    wanted[9:11, 9:11] = 0.25
    assert distance(found, wanted) < 1e-4
    assert spread(found, 0) == pytest.approx(0.5, abs=1e-4)


def test_of_equal_inputs_entropic_gives_their_blur_and_lambda_the_input() -> None:
    p = gaussian((30,), (0.4,), 0.1) / 2 + gaussian((30,), (0.6,), 0.12) / 2
    grid, reg = transport.Grid(30), 5e-3
    pair = torch.stack([p, p])
    blurred = transport.barycenter(pair, grid, reg, tolerance=1e-12).mass
    assert distance(blurred, transport.blur(p, grid, reg)) < 1e-12
    sharp = transport.barycenter(pair, grid, reg, kind="lambda", tolerance=1e-5)
    assert distance(sharp.mass, p) < 2e-3 < 0.05 < distance(blurred, p)


@pytest.mark.parametrize("kind", LOSSES)
def test_points_matrices_and_grids_agree_and_batches_are_singles(kind: str) -> None:
    two = torch.from_numpy(np.stack([INPUTS, INPUTS[::-1] ** 2 / (INPUTS**2).sum(1)[::-1, None]]))
    share = torch.from_numpy(np.stack([WEIGHTS, WEIGHTS[::-1]]))
    costs = transport.Grid(SMALL), transport.Points(torch.from_numpy(PLACES)[:, None]), COST

    def run(masses: Tensor, cost: object, weights: Tensor) -> Tensor:
        cost = torch.from_numpy(cost) if isinstance(cost, np.ndarray) else cost
        return transport.barycenter(masses, cost, REG, weights, kind, tolerance=1e-5).mass  # type: ignore[arg-type]

    whole = [run(two, cost, share) for cost in costs]
    for other in whole[1:]:
        assert distance(whole[0], other) < 1e-8
    for k in range(2):
        assert distance(whole[0][k], run(two[k], costs[0], share[k])) < 1e-3


def test_three_axes_are_products_of_one() -> None:
    lines = [
        torch.stack([gaussian((n,), (0.5 + d,), 0.1) for d in (-0.1, 0.1)]) for n in (8, 9, 10)
    ]
    solid = torch.einsum("bi,bj,bk->bijk", *lines)
    found = transport.barycenter(solid, transport.Grid((8, 9, 10), 0.1), 0.02, tolerance=1e-10)
    single = [
        transport.barycenter(line, transport.Grid(line.shape[1], 0.1), 0.02, tolerance=1e-10).mass
        for line in lines
    ]
    assert distance(found.mass, torch.einsum("i,j,k->ijk", *single)) < 1e-9


def test_the_entropic_kind_takes_other_points_and_total_mass_stays() -> None:
    x, y = torch.from_numpy(PLACES)[:, None], torch.linspace(0, 1, 7, dtype=torch.float64)[:, None]
    masses = 3 * torch.from_numpy(INPUTS)
    found = transport.barycenter(masses, transport.Points(x, y), REG)
    assert found.mass.shape == (7,)
    assert float(found.mass.sum()) == pytest.approx(3)
    with pytest.raises(UsageError, match="cost must have the same points on both sides"):
        transport.barycenter(masses, transport.Points(x, y), REG, kind="lambda")


@pytest.mark.parametrize("kind", LOSSES)
def test_an_input_of_weight_0_is_left_out_and_forbidden_pairs_stay_empty(kind: str) -> None:
    masses = torch.from_numpy(np.stack([*INPUTS, np.eye(SMALL)[0]]))
    share = torch.tensor([0.3, 0.7, 0.0])
    grid = transport.Grid(SMALL)
    found = transport.barycenter(masses, grid, REG, share, kind, tolerance=1e-4)
    wanted = transport.barycenter(masses[:2], grid, REG, share[:2], kind, tolerance=1e-4)
    assert distance(found.mass, wanted.mass) < 1e-5
    barred = torch.from_numpy(COST).clone()
    barred[3:, :3] = barred[:3, 3:] = torch.inf
    apart = torch.tensor([[0.2, 0.2, 0.2, 0.2, 0.2], [0.1, 0.4, 0.1, 0.1, 0.3]]).double()
    islands = transport.barycenter(apart, barred, REG, kind=kind, tolerance=1e-5).mass
    assert float(islands[:3].sum()) == pytest.approx(0.6, abs=1e-4)


def test_sharpness_is_told_at_each_look_and_can_be_stopped() -> None:
    ring, block = torch.zeros(2, 12, 12, dtype=torch.float64)
    ring[1:11, 1:11], block[4:8, 4:8] = 1, 1
    ring[3:9, 3:9] = 0
    pair, grid = torch.stack([ring / 64, block / 16]), transport.Grid((12, 12))
    with pytest.warns(NotConvergedWarning, match=r"tolerance was not reached in 60 steps for 1 of"):
        far = transport.barycenter(pair, grid, 0.02, kind="lambda", max_steps=60)
    entropies = [float(look.entropy) for look in far.looks]
    assert entropies == sorted(entropies, reverse=True)
    assert far.looks[-1].step == far.steps == 60
    assert float(far.input_entropy) == pytest.approx((np.log(64) + np.log(16)) / 2)
    assert float(far.entropy) == entropies[-1]
    middle = (entropies[0] + entropies[-1]) / 2
    near = transport.barycenter(pair, grid, 0.02, kind="lambda", entropy_floor=middle)
    assert near.reason == "stopped at the entropy asked for"
    assert near.steps < 60
    assert not bool(near.converged)
    assert not bool(far.oversharp)


def plain_debiased(p: np.ndarray, kernel: np.ndarray, steps: int) -> np.ndarray:
    """Algorithm 1 of Janati et al. 2020 at equal weights, without logs."""
    b, d = np.ones_like(p), np.ones(p.shape[1])
    for _ in range(steps):
        back = (p / (b @ kernel)) @ kernel
        q = d * np.prod(back, 0) ** (1 / len(p))
        b, d = q / back, np.sqrt(d * q / (kernel @ d))
    return q / q.sum()


def test_momentum_of_the_debiased_kind_comes_nearer_in_equal_steps() -> None:
    n, reg, steps = 40, 4e-3, 150
    boxes = torch.zeros(2, n, dtype=torch.float64)
    boxes[0, 4:12], boxes[1, 20:36] = 1 / 8, 1 / 16
    grid = transport.Grid(n)
    places = np.linspace(0, 1, n)
    kernel = np.exp(-((places[:, None] - places) ** 2) / reg)
    with pytest.warns(NotConvergedWarning):
        found = transport.barycenter(boxes, grid, reg, kind="debiased", max_steps=steps)

    def loss(q: Tensor) -> float:
        each = transport.sinkhorn_divergence(boxes, q.expand(2, n), grid, reg, tolerance=1e-10)
        return float(each.mean())

    few, many = (
        torch.from_numpy(plain_debiased(boxes.numpy(), kernel, k)) for k in (steps, 3 * steps)
    )
    assert loss(found.mass) < loss(many) < loss(few)
    assert distance(found.mass, many) < distance(found.mass, few)


def test_where_mass_must_split_the_debiased_kind_turns_sharper_than_its_inputs() -> None:
    n, reg = 40, 0.016
    two = (gaussian((n,), (0.2,), 0.04) + gaussian((n,), (0.5,), 0.04)) / 2
    pair = torch.stack([two, gaussian((n,), (0.7,), 0.06)])
    grid = transport.Grid(n)
    with pytest.warns(NotConvergedWarning, match="residual"):
        found = transport.barycenter(pair, grid, reg, kind="debiased", max_steps=300)
    assert bool(found.oversharp)
    assert "SHARPER THAN ITS INPUTS" in repr(found)
    floor = float(found.input_entropy)
    near = transport.barycenter(pair, grid, reg, kind="debiased", entropy_floor=floor)
    assert near.steps < 300
    assert float(near.entropy) == pytest.approx(floor, abs=0.05)
    levels = torch.linspace(0.01, 0.99, 50, dtype=torch.float64)

    def quantiles(mass: Tensor) -> Tensor:
        return torch.searchsorted(mass.cumsum(0), levels).double()

    exact = (quantiles(pair[0]) + quantiles(pair[1])) / 2
    errors = [float((quantiles(part.mass) - exact).square().mean()) for part in (near, found)]
    assert errors[0] < errors[1] / 1.5


@pytest.mark.parametrize("kind", LOSSES)
def test_one_step_is_one_step(kind: str) -> None:
    with pytest.warns(NotConvergedWarning, match="1 steps for 1 of 1"):
        found = transport.barycenter(
            torch.from_numpy(INPUTS), transport.Grid(SMALL), REG, kind=kind, max_steps=1
        )
    assert found.steps == 1
    assert found.reason == "stopped after 1 steps"
    assert float(found.mass.sum()) == pytest.approx(1)


def test_float32_and_the_random_state_left_alone() -> None:
    state = torch.get_rng_state()
    masses, grid = torch.from_numpy(INPUTS), transport.Grid(SMALL)
    for kind in LOSSES:
        narrow = transport.barycenter(masses.float(), grid, REG, kind=kind, tolerance=1e-5)
        wide = transport.barycenter(masses, grid, REG, kind=kind, tolerance=1e-5)
        assert narrow.mass.dtype == narrow.residual.dtype == torch.float32
        assert distance(narrow.mass, wide.mass) < 1e-4
    assert torch.equal(torch.get_rng_state(), state)


BAD: list[tuple[dict[str, object], type[Exception], str]] = [
    ({"masses": INPUTS}, UsageTypeError, r"masses must be a tensor of histograms \(M, ...\)"),
    ({"masses": torch.ones(2, 4)}, UsageError, r"masses must have shape \(M, 5\)"),
    ({"masses": torch.ones(5)}, UsageError, r"masses must have shape \(M, 5\)"),
    ({"masses": torch.ones(2, 5).long()}, UsageError, "masses must be float32 or float64"),
    ({"masses": -torch.ones(2, 5)}, UsageError, "masses must be at least 0 everywhere"),
    ({"masses": torch.ones(2, 5) * torch.nan}, UsageError, "masses must be finite"),
    ({"masses": torch.tensor([[1.0] * 5, [2.0] * 5])}, UsageError, "masses must have one total"),
    ({"weights": [0.5, 0.5]}, UsageTypeError, "weights must be a tensor of a number for each"),
    ({"weights": torch.ones(3) / 3}, UsageError, r"weights must have shape \(2,\) or \(1, 2\)"),
    ({"weights": torch.tensor([1.5, -0.5])}, UsageError, "weights must be at least 0, got -0.5"),
    ({"weights": torch.tensor([torch.nan, 1])}, UsageError, "weights must be at least 0, got nan"),
    ({"weights": torch.tensor([0.5, 0.6])}, UsageError, "weights must have sum 1, got 1.1"),
    ({"kind": "sharp"}, UsageError, "kind must be one of entropic, debiased, lambda"),
    ({"reg": 0.0}, UsageError, "reg must be a positive number"),
    ({"max_steps": 0}, UsageError, "max_steps must be a whole number from 1 on"),
    ({"tolerance": 2.0}, UsageError, "tolerance must lie between 0 and 1"),
    ({"entropy_floor": 1.0}, UsageError, "entropy_floor must be left out for this kind"),
    ({"kind": "lambda", "entropy_floor": -1.0}, UsageError, "entropy_floor must be a positive"),
]


@pytest.mark.parametrize(("changed", "error", "text"), BAD)
def test_bad_input_is_refused_in_one_sentence(
    changed: dict[str, object], error: type[Exception], text: str
) -> None:
    given: dict[str, object] = {"masses": torch.from_numpy(INPUTS), "reg": REG, **changed}
    with pytest.raises(error, match=text):
        transport.barycenter(cost=transport.Grid(SMALL), **given)  # type: ignore[arg-type]


WIDE = "reg is so large that the loss hardly depends on the barycenter"


@pytest.mark.parametrize("kind", ["debiased", "lambda"])
@pytest.mark.parametrize("reg", [10.0, 1e3, 1e8])
def test_a_blur_that_leaves_nothing_to_find_is_not_converged(kind: str, reg: float) -> None:
    """The barycenter of one input is that input: the largest error there is, at any residual."""
    p, grid = gaussian((60,), (0.3,), 0.04), transport.Grid(60)
    with pytest.warns(NotConvergedWarning, match=r"reg .* is so large .* lower reg or") as warned:
        found = transport.barycenter(p[None], grid, reg, kind=kind)
    assert "raise reg" not in str(warned[0].message)
    assert distance(found.mass, p) > 1.5
    assert (bool(found.converged), found.reason) == (False, WIDE)
    assert float(found.residual) == 2
    assert found.steps < 20


@pytest.mark.parametrize("kind", ["debiased", "lambda"])
def test_where_it_is_converged_it_is_near(kind: str) -> None:
    p, grid, ended = gaussian((60,), (0.3,), 0.04), transport.Grid(60), []
    for reg in (0.005, 0.02, 0.1, 1.0, 3.0):
        with warnings.catch_warnings(record=True) as given:
            warnings.simplefilter("always")
            found = transport.barycenter(p[None], grid, reg, kind=kind, max_steps=500)
        ended.append(bool(found.converged))
        assert not ended[-1] or distance(found.mass, p) < 1e-3
        assert not any("raise reg" in str(one.message) for one in given)
        assert ("lower reg" in str(given[-1].message)) if reg > 0.05 else True
    assert ended[0]
    assert ended[2:] == [False] * 3
    with pytest.warns(NotConvergedWarning, match=r"raise max_steps, raise tolerance or raise reg"):
        transport.barycenter(torch.stack([p, p.flip(0)]), grid, 1e-3, max_steps=4)


@pytest.mark.parametrize("reg", [0.1, 1.0, 1e4, 1e8])
@pytest.mark.parametrize("cost", ["line", "plane", "cloud", "distances"])
def test_the_share_undone_is_the_square_of_the_second_eigenvalue(cost: str, reg: float) -> None:
    cloud = torch.rand(50, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    geometry = {
        "line": transport.Grid(40), "plane": transport.Grid((8, 12)),
        "cloud": transport.Points(cloud), "distances": transport.Points(cloud, power=1.0),
    }[cost]  # fmt: skip
    like = torch.ones(2, *geometry.shape, dtype=torch.float64)
    kernel = np.exp(-dense_cost(geometry, like.flatten(1)).numpy() / reg)
    values = np.linalg.eigvals(kernel / kernel.sum(1, keepdims=True))
    wanted = np.sort(np.abs(values))[-2] ** 2
    found = undone(kernel_of(geometry, reg, like, 1 << 30), like)
    assert 0.6 * wanted < found < 1.001 * wanted


def test_without_a_blur_the_lambda_barycenter_is_the_input_and_one_point_is_fine() -> None:
    """All other pairs forbidden: ``K~`` is the identity, and its second eigenvalue 1."""
    alone = torch.full((4, 4), torch.inf, dtype=torch.float64).fill_diagonal_(0)
    p = torch.tensor([[0.1, 0.2, 0.3, 0.4]], dtype=torch.float64)
    for kind in ("debiased", "lambda"):
        found = transport.barycenter(p, transport.Matrix(alone), 1.0, kind=kind)
        assert bool(found.converged)
        assert distance(found.mass, p[0]) < 1e-6
        one = transport.barycenter(torch.ones(2, 1), transport.Grid(1), 0.1, kind=kind)
        assert (float(one.mass), one.reason) == (1, "converged")
    flat = transport.Matrix(torch.ones(4, 4, dtype=torch.float64))
    with pytest.warns(NotConvergedWarning, match="so large"):
        assert not bool(transport.barycenter(p, flat, 1.0, kind="lambda").converged)


def test_oversharp_is_told_where_entropies_compare() -> None:
    """Nearly uniform on 100 points is not sharper than uniform on 400."""
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.rand(n, 2, generator=generator, dtype=torch.float64) for n in (400, 100))
    mass = torch.full((2, 400), 1 / 400, dtype=torch.float64)
    found = transport.barycenter(mass, transport.Points(x, y), 0.05)
    assert math.log(100) - 0.1 < float(found.entropy) < float(found.input_entropy) - 1
    assert not bool(found.oversharp)
    assert "SHARPER" not in repr(found)
    # dense clouds at both ends and few points between: less entropy at an equal spread
    ends = torch.cat([torch.linspace(0, 0.1, 50), torch.tensor([0.5]), torch.linspace(0.9, 1, 50)])
    two = torch.zeros(2, 101, dtype=torch.float64)
    two[0, :50] = two[1, 51:] = 1 / 50
    middle = transport.barycenter(two, transport.Points(ends.double()[:, None]), 0.002)
    assert float(middle.entropy) < float(middle.input_entropy) - 1
    assert not bool(middle.oversharp)
