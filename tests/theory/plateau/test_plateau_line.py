"""The overlap singularity: best one-unit students, Hessians, escapes, natural gradients."""

import numpy as np
import pytest
from scipy.special import erf

from nakami.results import UsageError
from nakami.theory import plateau


def products(overlap):
    return np.array([[1.0, overlap], [overlap, 1.0]])


@pytest.mark.parametrize(
    ("overlap", "error"), [(1, 0.0116), (0.9, 0.0277), (0.5, 0.0920), (0, 0.1667)]
)
def test_error_of_the_best_student_with_one_unit(overlap, error):
    found = plateau.best_one_unit(products(overlap))
    assert found.error == pytest.approx(error, abs=5e-5)
    assert found.converged
    assert found.gradient < 1e-9
    assert found.minima[0] == pytest.approx(found.error, rel=1e-12)
    rng = np.random.default_rng(0)
    for _ in range(20):  # nothing near is better, with its own best readout or another
        j = (found.first + 0.1 * rng.standard_normal(2))[None]
        w = (found.second + 0.1 * rng.standard_normal(2))[None]
        v = np.linalg.cholesky(products(overlap) + 1e-14 * np.eye(2))
        near = plateau.population_loss(2**0.5 * j, 2**0.5 * np.eye(2), w @ v, v)
        assert near >= found.error - 1e-12


# Of another double-precision computation, by automatic differentiation.
HESSIAN = [
    (1.0, [0, -0.015, -0.066, -0.015, 0]),
    (0.9, [-0.055, -0.116, -0.162, -0.116, -0.055]),
    (0.5, [-0.186, -0.261, -0.310, -0.261, -0.186]),
]


@pytest.mark.parametrize(("overlap", "least"), HESSIAN)
def test_least_curvature_on_the_line(overlap, least):
    one = plateau.best_one_unit(products(overlap))
    found = plateau.line_hessian(one, [-0.5, 0.1, 0.5, 0.9, 1.5])
    np.testing.assert_allclose(found.least, least, atol=6e-4)
    assert found.gradient.max() < 1e-14
    ends = "saddle" if overlap < 1 else "attracting"
    assert found.kind == (ends, "saddle", "saddle", "saddle", ends)
    more = plateau.line_hessian(one, 0.5, outputs=4, extra=3)
    assert more.least[0] == pytest.approx(found.least[2], abs=1e-12)


def small(seed=0):
    rng = np.random.default_rng(seed)
    return tuple(rng.standard_normal(s) for s in ((2, 5), (3, 5), (2, 2), (3, 2)))


def test_derivatives_of_the_loss_are_those_of_central_differences():
    j, b, w, v = small()
    theta, step = np.append(j / 5**0.5, w), 1e-5

    def at(point, f):
        return f(5**0.5 * point[:10].reshape(2, 5), b, point[10:].reshape(2, 2), v)

    slope = np.append(*at(theta, plateau.population_gradient))
    hessian = at(theta, plateau.population_hessian)
    for e in np.eye(len(theta)):
        ends = [theta + step * e, theta - step * e]
        up, down = (at(x, plateau.population_loss) for x in ends)
        assert e @ slope == pytest.approx((up - down) / (2 * step), abs=1e-9)
        up, down = (np.append(*at(x, plateau.population_gradient)) for x in ends)
        np.testing.assert_allclose(hessian @ e, (up - down) / (2 * step), atol=1e-8)


def test_fisher_matrix_is_the_mean_over_samples():
    j, _, w, _ = small()
    x = np.random.default_rng(1).standard_normal((200_000, 5))
    a = x @ j.T / 5**0.5
    g, slope = erf(a / 2**0.5), (2 / np.pi) ** 0.5 * np.exp(-a * a / 2)
    mean = np.zeros((14, 14))
    for out in range(2):
        second = np.zeros((len(x), 2, 2))
        second[:, :, out] = g
        first = ((slope * w[:, out])[:, :, None] * x[:, None]).reshape(len(x), 10)
        each = np.hstack([first, second.reshape(len(x), 4)])
        mean += each.T @ each / len(x)
    found = plateau.population_fisher(j, w)
    np.testing.assert_allclose(found, mean, atol=3e-3)
    assert np.abs(found).max() > 0.3
    assert np.linalg.eigvalsh(found)[0] > 1e-4


def test_fisher_matrix_is_singular_where_students_are_equal_or_silent():
    j, _, w, _ = small()
    equal, silent = j.copy(), w.copy()
    equal[1], silent[1] = j[0], 0
    assert np.linalg.eigvalsh(plateau.population_fisher(equal, w))[:2].max() < 1e-14
    assert np.linalg.eigvalsh(plateau.population_fisher(j, silent))[:5].max() < 1e-14


def test_fisher_matrix_is_the_hessian_at_the_teacher():
    """Where student and teacher agree, the second derivatives of the loss are the Fisher matrix."""
    j, _, w, _ = small(3)
    hessian = plateau.population_hessian(j, j, w, w)
    np.testing.assert_allclose(hessian, plateau.population_fisher(j, w), atol=1e-13)


def test_with_one_output_part_of_the_line_never_lets_go():
    one, other = (plateau.best_one_unit(products(x)) for x in (1.0, 0.5))
    stays = plateau.escape(one, 1.3, limit=70, count=2, size=10)
    assert not stays.escaped.any()
    assert stays.converged.all()
    leaves = plateau.escape(other, 1.3, limit=70, count=5, size=10)
    assert leaves.escaped.sum() >= 4
    assert leaves.converged.all()
    assert np.median(leaves.time) == pytest.approx(36, rel=0.3)  # of another computation


@pytest.mark.parametrize(("overlap", "time"), [(1.0, 116), (0.9, 40), (0.5, 22)])
def test_escape_from_the_middle_of_the_line(overlap, time):
    """Times of another computation, of one start each; those of several starts scatter by 15 %."""
    found = plateau.escape(plateau.best_one_unit(products(overlap)), 0.5, count=11, size=10)
    assert found.escaped.all()
    assert found.converged.all()
    assert np.median(found.time) == pytest.approx(time, rel=0.2)


def test_start_on_the_line_is_the_best_student():
    one = plateau.best_one_unit(products(0.5))
    start = plateau.line_start(one, 0.3, noise=0, size=50)
    assert start.generalisation_error[0] == pytest.approx(one.error, abs=1e-12)
    assert plateau.line_start(one, 0.5, noise=0).asymmetry[0] < 1e-15


def descents(overlap, sampled=False):
    """Median steps of gradients and natural gradients, 5 starts."""
    v = np.ones((2, 1)) if overlap == 1 else np.linalg.cholesky(products(overlap))
    found = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        w = 0.3 * rng.standard_normal((2, v.shape[1])) / v.shape[1] ** 0.5
        inputs = rng.standard_normal((1000, 10)) if sampled else None
        at = (0.5 * rng.standard_normal((2, 10)), 10**0.5 * np.eye(2, 10), w, v)
        plain = plateau.descend(*at, "gradient", rate=0.5, max_steps=500, inputs=inputs)
        natural = plateau.descend(*at, "natural", rate=0.2, max_steps=60, inputs=inputs)
        found.append([d.hit if d.reached else np.inf for d in (plain, natural)])
    return np.median(found, axis=0)


def test_natural_gradients_have_no_plateau():
    plain, natural = descents(1.0)
    assert plain > 150
    assert natural < 20
    plain, natural = descents(0.5)
    assert 24 <= plain <= 150
    assert natural <= 13


def test_natural_gradients_that_end_at_the_best_student_with_one_unit_say_so():
    rng = np.random.default_rng(7)
    j, w = 0.5 * rng.standard_normal((2, 10)), 0.3 * rng.standard_normal((2, 1))
    b, v = 10**0.5 * np.eye(2, 10), np.ones((2, 1))
    found = plateau.descend(j, b, w, v, "natural", max_steps=400)
    assert not found.reached
    assert found.losses[-1] == pytest.approx(plateau.best_one_unit(products(1)).error, abs=1e-8)
    assert np.abs(found.w).min() < 1e-3
    assert found.reason.startswith("the loss stands at 0.032 of the first after 400 steps")


def test_a_sample_behaves_as_the_population():
    plain, natural = descents(0.5, sampled=True)
    assert 24 <= plain <= 150
    assert natural <= 13


def test_a_sample_has_the_population_in_its_mean():
    j, b, w, v = small()
    x = np.random.default_rng(0).standard_normal((100_000, 5))
    many = plateau.descend(j, b, w, v, "natural", rate=0.1, max_steps=3, inputs=x)
    all_of_it = plateau.descend(j, b, w, v, "natural", rate=0.1, max_steps=3)
    np.testing.assert_allclose(many.losses, all_of_it.losses, rtol=0.03)
    assert all_of_it.reason.startswith("the target was not reached in 3 steps")
    assert all_of_it.condition > 1


def test_a_descent_that_diverges_says_so():
    found = plateau.descend(*small(), rate=1e4)
    assert not found.reached
    assert found.hit == -1
    assert found.reason.startswith("the loss grew beyond")


ONE = plateau.best_one_unit(np.eye(2), starts=0)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: plateau.best_one_unit(np.eye(2), np.eye(3)), r"F and T must be two matrices"),
        (lambda: plateau.best_one_unit(np.eye(2), np.ones((2, 2))), r"T must be positive definite"),
        (lambda: plateau.best_one_unit(np.zeros((2, 2))), r"F must belong to a teacher with an"),
        (lambda: plateau.line_hessian(np.eye(2), 0.5), r"one must be a OneUnit, got ndarray; pass"),
        (lambda: plateau.escape(None, 0.5), r"one must be a OneUnit, got NoneType; pass the"),
        (lambda: plateau.line_hessian(ONE, [[0.5]]), r"z must be one number or a row, got shape"),
        (lambda: plateau.line_start(ONE, np.inf), r"z must be a finite number, got inf"),
        (lambda: plateau.line_start(ONE, 0.5, noise=-1), r"noise must be a number from 0 to 1"),
        (lambda: plateau.escape(ONE, 0.5, rate=0), r"rate must be a number above 0"),
        (lambda: plateau.escape(ONE, 0.5, limit=0), r"limit must be a number above 0"),
        (lambda: plateau.descend(*small(), "newton"), r"rule must be one of gradient, natural"),
        (lambda: plateau.descend(*small(), damping=0), r"damping must be a number above 0, got 0"),
        (
            lambda: plateau.descend(*small(), inputs=np.ones((3, 4))),
            r"inputs must have the shape \(S, 5\), got shape \(3, 4\)",
        ),
        (
            lambda: plateau.population_hessian(np.ones((1, 2, 5)), *small()[1:]),
            r"J, B, w and v must have two axes",
        ),
    ],
)
def test_what_no_line_has(call, text):
    with pytest.raises(UsageError, match=text):
        call()
