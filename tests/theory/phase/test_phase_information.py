"""Averages of the margin perceptron against adaptive quadrature, 30 digits and sampling."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from nakami.results import UsageError
from nakami.theory import phase

NAMES = tuple(phase.Information.__dataclass_fields__)


def by_quadrature(q, kappa):
    """The six averages over xi as they are defined, by scipy's adaptive rule."""
    gap, root = 1 - q, q**0.5

    def mean(function, label):
        def integrand(xi):
            at = (
                phase.labelled(root * xi, gap, kappa, 1)
                if label
                else phase.unlabelled(root * xi, gap, kappa)
            )
            return norm.pdf(xi) * np.exp(at.log_z) * function(at)

        edges = [s * kappa / root + j * gap**0.5 for s in (-1, 1) for j in (-8, -3, 0, 3, 8)]
        inside = sorted({0.0, *(e for e in edges if abs(e) < 11)})
        found = quad(integrand, -12, 12, points=inside, limit=400, epsabs=0, epsrel=1e-11)[0]
        return found * (2 if label else 1) / (2 * norm.sf(kappa))

    squares = lambda at: at.g**2  # noqa: E731
    slopes = lambda at: at.gamma**2  # noqa: E731
    logs = lambda at: at.log_z  # noqa: E731
    return [mean(f, label) for f in (squares, slopes, logs) for label in (0, 1)]


@pytest.mark.parametrize("q", [0.02, 0.5, 0.97, 1 - 1e-4])
@pytest.mark.parametrize("kappa", [0.1, 0.5, 1.5])
@pytest.mark.filterwarnings("ignore::scipy.integrate.IntegrationWarning")
def test_averages_equal_their_definition(q, kappa):
    found = phase.information(q, kappa)
    wanted = by_quadrature(q, kappa)
    order = [NAMES[i] for i in (0, 1, 2, 3, 4, 5)]
    for name, value in zip(order, wanted, strict=True):
        assert getattr(found, name) == pytest.approx(value, rel=1e-8), name


@pytest.mark.parametrize(("q", "kappa"), [(0.999, 0.5), (1 - 2.0**-40, 3.0)])
def test_thirty_digits_near_full_overlap(q, kappa):
    """The integrand over xi is as narrow as sqrt(1 - q); ours is not taken over xi."""
    mp = pytest.importorskip("mpmath")
    with mp.workdps(30):
        gap, k = 1 - mp.mpf(q), mp.mpf(kappa)
        root, width = mp.sqrt(1 - gap), mp.sqrt(gap)

        def tail(x):
            return mp.erfc(x / mp.sqrt(2)) / 2

        def unlabelled(xi):
            a, b = (k - root * xi) / width, (k + root * xi) / width
            return mp.npdf(xi) * (mp.npdf(a) - mp.npdf(b)) ** 2 / (gap * (tail(a) + tail(b)))

        edges = [s * (k / root + j * width) for s in (-1, 1) for j in (-12, -4, 0, 4, 12)]
        value = mp.quad(unlabelled, sorted([mp.mpf(-12), *edges, mp.mpf(12), mp.mpf(0)]))
        wanted = float(value / (2 * tail(k)))
    assert phase.information(q, kappa).unlabelled == pytest.approx(wanted, rel=1e-12)


def test_a_uniform_grid_over_the_field_fails_near_full_overlap():
    """6001 points on [-9, 9] are enough at q = 0.995, and fail where sqrt(1 - q) is below one."""

    def on_a_grid(q, kappa, points=6001):
        xi = np.linspace(-9, 9, points)
        at = phase.unlabelled(q**0.5 * xi, 1 - q, kappa)
        each = norm.pdf(xi) * np.exp(at.log_z) * at.g**2
        return each.sum() * (xi[1] - xi[0]) / (2 * norm.sf(kappa))

    right = [float(phase.information(q, 0.5).unlabelled) for q in (0.995, 1 - 1e-8)]
    assert on_a_grid(0.995, 0.5) == pytest.approx(right[0], rel=1e-12)
    assert abs(on_a_grid(1 - 1e-8, 0.5) / right[1] - 1) > 0.1
    assert on_a_grid(1 - 1e-8, 0.5, 600_001) == pytest.approx(right[1], rel=1e-9)


def test_slopes_are_derivatives_and_entropies_their_integral():
    q, h = np.linspace(0.05, 0.95, 19), 1e-5
    at, up, down = (phase.information(x, 0.5) for x in (q, q + h, q - h))
    for kind in ("unlabelled", "labelled"):
        low, high = getattr(down, kind), getattr(up, kind)
        slope = getattr(at, kind + "_slope")
        np.testing.assert_allclose((high - low) / (2 * h), slope, rtol=1e-7)
        entropy = getattr(up, kind + "_entropy") - getattr(down, kind + "_entropy")
        np.testing.assert_allclose(entropy / (2 * h), getattr(at, kind) / 2, rtol=1e-7)
        with pytest.raises(AssertionError, match="Not equal to tolerance"):
            np.testing.assert_allclose(entropy / (2 * h), getattr(at, kind), rtol=1e-2)


def test_information_of_drawn_patterns():
    """E[g^2] over patterns of a teacher whose field is sqrt(q) xi + sqrt(1 - q) u, margin met."""
    q, kappa, draw = 0.6, 0.5, np.random.default_rng(0)
    xi, u = draw.standard_normal((2, 2_000_000))
    field = q**0.5 * xi + (1 - q) ** 0.5 * u
    seen = np.abs(field) >= kappa
    omega, label = q**0.5 * xi[seen], np.sign(field[seen])
    at = phase.information(q, kappa)
    for channel, wanted in (
        (phase.unlabelled(omega, 1 - q, kappa), at.unlabelled),
        (phase.labelled(omega, 1 - q, kappa, label), at.labelled),
    ):
        squares = channel.g**2
        error = squares.std() / len(squares) ** 0.5
        assert abs(squares.mean() - wanted) < 4 * error
        assert error < 0.01 * wanted


def test_labels_say_more_and_without_a_margin_only_they_do():
    q = np.linspace(0, 0.99, 50)
    at, without = phase.information(q, 0.5), phase.information(q, 0.0)
    assert (at.labelled > at.unlabelled).all()
    assert not without.unlabelled.any()
    assert at.unlabelled[0] == 0
    assert (np.diff(at.unlabelled) > 0).all()


@pytest.mark.parametrize(
    ("q", "kappa", "text"),
    [
        (1.0, 0.5, r"q must lie from 0 to below 1, got 1; 0.9 is one"),
        (-0.1, 0.5, r"q must lie from 0 to below 1, got -0.1"),
        (0.5, 6, r"kappa must lie from 0 to 5, got 6; 0.5 is a good start"),
        (0.5, np.nan, r"kappa must lie from 0 to 5, got nan"),
        ("half", 0.5, r"q must hold real numbers, got 'half'"),
    ],
)
def test_what_is_no_overlap_or_margin(q, kappa, text):
    with pytest.raises(UsageError, match=text):
        phase.information(q, kappa)
