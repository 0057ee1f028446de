"""Gaussian integrals against drawn samples, and the equations against a loop over all indices."""

import itertools

import numpy as np
import pytest
from scipy.special import erf

from nakami.results import UsageError
from nakami.theory import plateau


def drawn(seed=0, size=4):
    half = np.random.default_rng(seed).standard_normal((size, size + 1))
    return half @ half.T / size


@pytest.fixture(scope="module")
def sample():
    """Means over 400,000 antithetic draws of a covariance (4, 4)."""
    c = drawn()
    rng = np.random.default_rng(1)
    half = rng.standard_normal((200_000, 4)) @ np.linalg.cholesky(c).T
    x = np.concatenate([half, -half])
    return c, x, erf(x / 2**0.5), (2 / np.pi) ** 0.5 * np.exp(-x * x / 2)


def test_second_and_third_integrals_are_means_over_samples(sample):
    c, x, g, slope = sample
    np.testing.assert_allclose(plateau.I2(c), g.T @ g / len(x), atol=3e-3)
    found = plateau.I3(c)
    for i in range(4):
        np.testing.assert_allclose(found[i], (x * slope[:, [i]]).T @ g / len(x), atol=4e-3)


def test_fourth_integrals_are_means_over_samples(sample):
    c, x, g, slope = sample
    found = plateau.I4(c)
    worst = 0.0
    for i, j in itertools.product(range(4), range(4)):
        mean = (g * (slope[:, i] * slope[:, j])[:, None]).T @ g / len(x)
        worst = max(worst, float(np.abs(found[i, j] - mean).max()))
    assert worst < 2.5e-3
    assert np.abs(found - found.swapaxes(0, 1)).max() < 1e-16
    wrong = plateau.I4(c + 0.05 * np.eye(4))  # the test can fail
    assert np.abs(found - wrong).max() > 5e-3


def test_integrals_of_independent_units_factor():
    c = np.diag([0.3, 2.0, 0.7])
    assert np.abs(plateau.I2(c) - np.diag(np.diagonal(plateau.I2(c)))).max() == 0
    alone = 2 / np.pi / np.sqrt(1 + 2 * 0.3)  # <g'(x)^2>
    assert plateau.I4(c)[0, 0, 1, 1] == pytest.approx(alone * plateau.I2(c)[1, 1], rel=1e-15)
    batch = np.stack([c, drawn(3, 3)])
    for f in (plateau.I2, plateau.I3, plateau.I4):
        np.testing.assert_array_equal(f(batch)[0], f(c))


def looped(order, rate, second):
    """The right-hand side, index by index."""
    (k, m), c = order.units, order.covariance
    n = k + m
    i2, i3, i4 = plateau.I2(c), plateau.I3(c), plateau.I4(c)
    coefficient = np.hstack([-order.D, order.E])
    q, r, d, e = (np.zeros(s) for s in ((k, k), (k, m), (k, k), (k, m)))
    for i in range(k):
        for a in range(n):
            sign = 1 if a >= k else -1
            for one in range(m):
                r[i, one] += rate * coefficient[i, a] * i3[i, k + one, a]
                other = order.F[a - k, one] if a >= k else order.E[a, one]
                e[i, one] += second * sign * i2[i, a] * other
            for j in range(k):
                q[i, j] += rate * coefficient[i, a] * i3[i, j, a]
                q[i, j] += rate * coefficient[j, a] * i3[j, i, a]
                of_j, of_i = (order.E[x, a - k] if a >= k else order.D[x, a] for x in (j, i))
                d[i, j] += second * sign * (i2[i, a] * of_j + i2[j, a] * of_i)
                for b in range(n):
                    q[i, j] += rate**2 * coefficient[i, a] * coefficient[j, b] * i4[i, j, a, b]
    return q, r, d, e


@pytest.mark.parametrize(("k", "m", "o"), [(1, 1, 1), (2, 2, 3), (3, 2, 2), (2, 4, 1)])
def test_right_hand_side_is_the_loop_over_all_indices(k, m, o):
    rng = np.random.default_rng(k + m)
    sizes = (k, 9), (m, 9), (k, o), (m, o)
    order = plateau.order_parameters(*(rng.standard_normal(s) for s in sizes))
    found = plateau.velocity(order, 0.4, 0.3)
    moving = found.Q, found.R, found.D, found.E
    for got, wanted in zip(moving, looped(order, 0.4, 0.3), strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e-15, rtol=1e-14)
    wrong = looped(order, 0.4 * (1 + 1e-12), 0.3)
    assert np.abs(found.R - wrong[1]).max() > 1e-15  # the comparison sees the last digits


def test_slope_of_the_error_is_its_derivative():
    order = plateau.random_start(np.eye(2), students=3, count=2, size=30, seed=2)
    at = plateau.velocity(order, 0.3)
    step = 1e-6

    def error(sign):
        moved = {n: getattr(order, n) + sign * step * getattr(at, n) for n in "QRDE"}
        return plateau.OrderParameters(**moved, T=order.T, F=order.F).generalisation_error

    np.testing.assert_allclose(at.error, (error(1) - error(-1)) / (2 * step), atol=1e-9)


def test_order_parameters_say_the_error_of_the_networks():
    rng = np.random.default_rng(5)
    j, b, w, v = (rng.standard_normal(s) for s in ((2, 6), (3, 6), (2, 2), (3, 2)))
    order = plateau.order_parameters(j, b, w, v)
    x = rng.standard_normal((200_000, 6)) / 6**0.5
    rest = erf(x @ b.T / 2**0.5) @ v - erf(x @ j.T / 2**0.5) @ w
    half = (rest**2).sum(1) / 2
    error = half.std() / len(half) ** 0.5
    assert abs(half.mean() - order.generalisation_error) < 4 * error
    assert order.units == (2, 3)
    assert plateau.population_loss(j, b, w, v) == order.generalisation_error


def test_students_that_are_equal_opposite_or_zero_have_no_asymmetry():
    j, b, v = np.ones((3, 4)), 2 * np.eye(2, 4), np.eye(2)
    w = np.array([[0.3, 0.1], [0.3, 0.1], [0.4, 0.1]])
    assert plateau.order_parameters(j, b, w, v).asymmetry == 0
    w[0] += 1e-3
    assert plateau.order_parameters(j, b, w, v).asymmetry == pytest.approx(1e-3, rel=1e-9)
    j[1], w[1] = -j[0], -w[0]  # opposite students are as equal ones
    assert plateau.order_parameters(j, b, w, v).asymmetry == 0
    j[1], w[1] = 0, 0
    assert plateau.order_parameters(j, b, w, v).asymmetry == 0
    assert plateau.order_parameters(j[:1], b, w[:1], v).asymmetry == pytest.approx(1)


ONE, TWO = np.eye(1), np.eye(2)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: plateau.I2(np.ones(3)), r"C must be square in its last two axes, got shape"),
        (lambda: plateau.I2([[1, 2], [0, 1]]), r"C must be symmetric, got a difference of 2"),
        (lambda: plateau.I4([[1, 2], [2, 1]]), r"C must be positive semidefinite, got an eigenv"),
        (lambda: plateau.I3([[np.nan]]), r"C must be finite, got nan"),
        (
            lambda: plateau.OrderParameters(TWO, 2 * TWO, TWO, TWO, TWO, TWO),
            r"\[\[Q, R\], \[R\^T, T\]\] must be positive semidefinite",
        ),
        (
            lambda: plateau.OrderParameters(ONE, TWO, TWO, TWO, TWO, TWO),
            r"Q must have the shape \(..., 2, 2\) that belongs to R, got shape \(1, 1\)",
        ),
        (
            lambda: plateau.order_parameters(np.ones((2, 4)), np.ones((2, 5)), TWO, TWO),
            r"B must have 4 columns, as many as columns of J, got shape \(2, 5\)",
        ),
        (lambda: plateau.random_start(TWO, first=0), r"first must be a number above 0, got 0"),
        (lambda: plateau.random_start(TWO, outputs=1), r"outputs must be a whole number from 2 on"),
        (
            lambda: plateau.random_start(np.stack([TWO] * 3), count=2),
            r"count must be the number of teachers in F, 3, or be left out, got 2",
        ),
        (lambda: plateau.random_readouts(0), r"outputs must be a whole number from 1 on, got 0"),
        (lambda: plateau.velocity(plateau.random_start(TWO), -1), r"rate must be a number from 0"),
    ],
)
def test_what_no_networks_have(call, text):
    with pytest.raises(UsageError, match=text):
        call()
