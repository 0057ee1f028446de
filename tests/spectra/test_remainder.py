"""The values that were not computed, against spectra known by construction."""

import numpy as np
import pytest
import torch

from nakami.results import UsageError
from nakami.spectra import remainder, svd
from nakami.spectra._step_bounds import lanczos, mass_above

N = 150
AT = np.arange(1, N + 1)
SPECTRA = {
    "over decades": 10 ** np.linspace(1, -2, N),
    "slow": 8 / AT**0.5,
    "steep": 30 / AT,
    "flat": np.full(N, 2.0),
    "rank-deficient": np.where(AT <= 60, 6 * np.exp(-AT / 25), 0),
    "copies": np.repeat(10.0 / np.arange(1, N // 10 + 1), 10),
    "one": np.repeat([4.0, 1.0, 0.5], N // 3),  # a third of the values stands at the border
}


def matrix(values, shape=None, dtype=torch.float64, seed=0):
    """A dense matrix with these singular values and random vectors."""
    m, n = shape or (len(values), len(values))
    generator = torch.Generator().manual_seed(seed)
    sides = [torch.randn(side, min(m, n), generator=generator).double() for side in (m, n)]
    u, v = (torch.linalg.qr(side)[0] for side in sides)
    return ((u * torch.as_tensor(values.copy())) @ v.T).to(dtype)


def sums(values):
    return float((values**2).sum()), float((values**4).sum())


def test_bounds_of_the_mass_above_a_level_hold_and_close_in():
    rng = np.random.default_rng(0)
    for _ in range(40):
        points = 10 ** rng.uniform(-3, 1, 60) * (rng.random(60) > 0.3)
        points = np.unique(points)
        masses = rng.dirichlet(np.ones(len(points)))
        alpha, beta = lanczos(points, masses)
        level, before = rng.uniform(0.1, 5), 1.0
        true = masses[points > level].sum()
        for steps in (1, 4, 8, 12):
            known = alpha[:steps], beta[:steps], level
            plain, closer = mass_above(*known), mass_above(*known, points.max())
            for low, high in (plain, closer):
                assert low - 1e-9 <= true <= high + 1e-9
            assert closer[1] - closer[0] <= plain[1] - plain[0] + 1e-9
            assert closer[1] - closer[0] <= before + 1e-9  # more moments never leave more open
            before = closer[1] - closer[0]


def test_the_mass_is_known_once_the_run_has_ended():
    points, masses = np.array([0.0, 0.5, 1.0, 3.0]), np.array([0.4, 0.3, 0.2, 0.1])
    alpha, beta = lanczos(points, masses)
    low, high = mass_above(alpha, np.append(beta, 0.0), 0.75)
    assert (low, high) == pytest.approx((0.3, 0.3))
    assert mass_above(alpha[:2], beta[:2], 5.0, 3.0) == (0, 0)
    assert mass_above(alpha[:2], beta[:2], 0.0) == (0, 1)


@pytest.mark.parametrize("name", SPECTRA)
def test_intervals_hold_the_truth_over_seeds(name):
    values = SPECTRA[name]
    op, runs = matrix(values), 60
    found = svd(op, 12, method="dense")
    known = found.values.numpy()
    count, ranks = int((values > 1 + 1e-9).sum()), []
    most = int((values > 1 - 1e-9).sum())  # values at the border count or not
    rank, counts = sums(values)[0] ** 2 / sums(values)[1], []
    for seed in range(runs):
        rest = remainder(op, found, steps=8, seed=seed)
        low, high = rest.rank_interval(*sums(known))
        ranks.append(low * (1 - 1e-9) <= rank <= high * (1 + 1e-9))
        low, high = rest.above_interval
        counts.append(12 + low <= count + 1e-6 and most <= 12 + high + 1e-6)
    assert np.mean(ranks) >= 0.85  # 0.95 less 3.5 standard errors of a share over 60 runs
    assert np.mean(counts) >= 0.85


def test_the_coverage_can_fail():
    values = SPECTRA["slow"]
    op = matrix(values)
    found = svd(op, 12, method="dense")
    wrong = sums(1.1 * values)
    true = wrong[0] ** 2 / wrong[1] * 1.15
    rests = [remainder(op, found, steps=2, seed=s) for s in range(30)]
    ends = [r.rank_interval(*sums(found.values.numpy())) for r in rests]
    assert np.mean([low <= true <= high for low, high in ends]) < 0.7


@pytest.mark.parametrize("shape", [(N, 400), (400, N)])
def test_both_sides_and_the_means_of_both_sums(shape):
    values = SPECTRA["over decades"]
    op = matrix(values, shape)
    found = svd(op, 12)
    rests = [remainder(op, found, steps=2, seed=s) for s in range(40)]
    for of, true in zip(("squares", "fourths"), sums(values[12:]), strict=True):
        each = np.array([getattr(r, of) for r in rests])
        assert abs(each.mean() - true) < 4 * each.std() / 40**0.5
    spread = np.mean([r.covariance[0] for r in rests]) ** 0.5
    assert spread == pytest.approx(np.std([r.squares for r in rests]), rel=0.35)


def test_few_values_that_are_left_are_all_computed():
    values = SPECTRA["over decades"]
    op = matrix(values)
    for k in (N - 1, N - 5):
        found = svd(op, k)
        rest = remainder(op, found)
        assert rest.exact
        assert (rest.size, rest.n_products) == (N - k, 2 * (N - k))
        assert (rest.squares, rest.fourths) == pytest.approx(sums(values[k:]), rel=1e-6)
        assert rest.above == (0, 0)
    found = svd(op, 20)
    rest = remainder(op, found, steps=100)  # a count by so many steps costs more than all of it
    assert rest.exact
    assert 20 + rest.above[0] == 20 + rest.above[1] == (values > 1).sum()


def test_nothing_is_left():
    values = SPECTRA["steep"]
    whole = remainder(matrix(values), svd(matrix(values)))
    assert (whole.size, whole.exact, whole.n_products) == (0, True, 0)
    low_rank = np.where(AT <= 10, 3.0, 0.0)
    op = matrix(low_rank, dtype=torch.float32)
    rest = remainder(op, svd(op, 20))
    assert rest.exact
    assert (rest.size, rest.squares, rest.above) == (N - 20, 0, (0, 0))
    zero = torch.zeros(40, 30)
    assert remainder(zero, svd(zero, 3)).squares == 0


def test_a_remainder_of_zeros_is_zero():
    values = np.where(AT <= 30, 2.0, 0.0)
    op = matrix(values, dtype=torch.float32)
    found = svd(op, 30)
    rest = remainder(op, found)
    assert not rest.exact
    assert rest.squares <= 1e-9 * sums(values)[0]
    assert rest.above_interval[1] < 1  # none


@pytest.mark.parametrize("size", [1e-30, 1e15])
def test_squares_do_not_leave_the_range_of_the_numbers(size):
    values = SPECTRA["slow"]
    op = matrix(values, dtype=torch.float32)
    plain = remainder(op, svd(op, 12, method="gram"))
    far = remainder(op * size, svd(op * size, 12, method="gram"))
    assert far.squares == pytest.approx(plain.squares * size**2, rel=1e-4)
    assert far.fourths == pytest.approx(plain.fourths * size**4, rel=1e-4)
    low, high = far.above  # a floor above 1 hides what lies between
    assert (low, high) == pytest.approx((N - 12, N - 12) if size > 1 else (0, 0), abs=2)
    assert low <= N - 12 <= high or size < 1


def test_more_steps_are_made_where_they_bring_the_bounds_near():
    near = 10 ** np.linspace(0.5, -0.5, 400)
    far = 10 ** np.linspace(3, -3, 400)
    for values in (near, far):
        op = matrix(values, dtype=torch.float32)
        rest = remainder(op, svd(op, 20, method="gram"))
        assert (rest.steps > 24) == (values is near)
        assert rest.n_products == 16 + 4 * (rest.steps - 1)
        few = remainder(op, svd(op, 20, method="gram"), memory_budget=4 * 400 * 4 * 5)
        assert few.steps == 5
        assert few.above[0] <= rest.above[0]
        assert few.above[1] >= rest.above[1]


def test_a_seed_repeats_and_leaves_the_global_state():
    op = matrix(SPECTRA["slow"])
    found = svd(op, 12)
    torch.manual_seed(7)
    first = remainder(op, found, seed=3)
    drawn = torch.randn(1)
    assert first == remainder(op, found, seed=3)
    assert first != remainder(op, found, seed=4)
    torch.manual_seed(7)
    assert torch.equal(drawn, torch.randn(1))


def test_wrong_use():
    op = matrix(SPECTRA["slow"])
    found = svd(op, 12, vectors=False)
    with pytest.raises(UsageError, match=r"found must hold singular vectors, got none; call svd"):
        remainder(op, found)
    with pytest.raises(UsageError, match=r"probes must be a whole number from 2 on, got 1; use 8"):
        remainder(op, svd(op, 12), probes=1)
