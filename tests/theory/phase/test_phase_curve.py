"""Curves, fixed points, errors and state evolution against an independent computation."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from nakami.results import UsageError
from nakami.theory import phase

BETAS = (0, 2, 3, 3.5, 3.8, 3.9, 4.0, 4.2, 4.5, 5, 8)
# Bayes errors at kappa = 0.5 of another double-precision computation (a grid of 6001 points over
# the field, plain iteration): uninformed starts, and informed ones where they differ.
ERRORS = {
    0.01: "464 441 403 365 338 327/100 316/085 290/075 067 059 037",
    0.1: "387 342 300 268 237/093 220/084 079 072 065 057 036",
    0.5: "264 202 119 080 071 068 066 063 058 053 035",
}


def test_errors_by_beta_from_both_starts():
    alpha = np.array(list(ERRORS))[:, None]
    for place, start in enumerate(("uninformed", "informed")):
        found = phase.state_evolution(0.5, alpha, BETAS, start)
        assert found.converged.all()
        cells = [[cell.split("/") for cell in row.split()] for row in ERRORS.values()]
        wanted = [[int(cell[place % len(cell)]) for cell in row] for row in cells]
        assert np.abs(1000 * found.bayes_error - wanted).max() < 0.51  # printed with three digits


def test_overlaps_and_free_entropies():
    alpha = np.array([0.1, 0.1, 0.1, 0.1, 0.1, 0.0, 0.0, 0.05, 0.05, 0.5])
    beta = np.array([2, 3, 3.5, 3.8, 5, 4.4, 4.6, 5, 3.5, 2])
    found = phase.state_evolution(0.5, alpha, beta)
    np.testing.assert_allclose(found.q[:5], [0.227, 0.345, 0.445, 0.541, 0.968], atol=5.1e-4)
    np.testing.assert_allclose(found.q[5:7], [0.429, 0.9586], atol=5.1e-4)
    np.testing.assert_allclose(found.bayes_error[7:9], [0.058, 0.310], atol=5.1e-4)
    phi = found.free_entropy[[4, 9, 3]]
    np.testing.assert_allclose(phi, [-2.2016, -1.4051, -1.9239], atol=5.1e-5)
    high = phase.state_evolution(0.5, [0.1, 0.0], [3.8, 4.4], "informed")
    np.testing.assert_allclose(high.q, [0.916, 0.953], atol=5.1e-4)


def test_errors_by_alpha():
    found = phase.state_evolution(0.5, [0.01, 0.1, 0.5, 1, 2], np.array([0, 3, 5])[:, None])
    wanted = [
        [0.464, 0.387, 0.264, 0.192, 0.122],
        [0.403, 0.300, 0.119, 0.077, 0.058],
        [0.059, 0.057, 0.053, 0.048, 0.042],
    ]
    np.testing.assert_allclose(found.bayes_error, wanted, atol=5.1e-4)
    jump = phase.state_evolution(0.5, [0.03, 0.1], 4.0).bayes_error
    np.testing.assert_allclose(jump, [0.287, 0.079], atol=5.1e-4)


def test_the_curve_holds_every_fixed_point():
    """At three overlaps one beta: the S-shape. The free entropy is stationary there."""
    found = phase.fixed_points(0.5, 0.1, 3.85)
    np.testing.assert_allclose(found.q, [0.565, 0.810, 0.925], atol=6e-4)
    assert found.stable.tolist() == [True, False, True]
    assert found.residual.max() < 1e-12
    assert found.equilibrium == 2
    grid = np.linspace(0.01, 0.99, 2001)
    slope = np.gradient(phase.free_entropy(grid, 0.5, 0.1, 3.85), grid)
    crossings = grid[:-1][slope[1:] * slope[:-1] < 0]
    np.testing.assert_allclose(crossings, found.q, atol=1e-3)
    curve = phase.curve(0.5, 0.1)
    assert np.interp(found.q[2], curve.q, curve.beta) == pytest.approx(3.85, abs=1e-3)
    at = phase.curve(0.5, 0.1, q=found.q)
    np.testing.assert_allclose(at.beta, 3.85, rtol=1e-11)
    np.testing.assert_allclose(at.slope, found.slope, rtol=1e-9)
    assert at.stable.tolist() == found.stable.tolist()


def test_stable_is_where_the_curve_rises():
    by_beta, by_alpha = phase.curve(0.5, 0.05, n=400), phase.curve(0.5, beta=3.9, n=400)
    for curve, other in ((by_beta, by_beta.beta), (by_alpha, by_alpha.alpha)):
        rises = np.diff(other) > 0
        assert (rises == curve.stable[1:])[np.abs(curve.slope[1:] - 1) > 0.01].all()
        assert 0 < rises.mean() < 1


def test_curves_over_grids_are_the_curves_one_by_one():
    kappa, alpha = np.array([0.3, 0.8])[:, None], np.array([0.0, 0.1, 0.7])
    whole = phase.curve(kappa, alpha, n=30)
    assert whole.beta.shape == (2, 3, 30)
    one = phase.curve(0.8, 0.1, n=30)
    np.testing.assert_allclose(whole.beta[1, 1], one.beta, rtol=1e-9, atol=1e-9)
    assert np.abs(whole.beta[..., 1:, 0]).max() < 1e-9  # begins where there is no other data
    np.testing.assert_allclose(whole.beta[:, 0, 0], phase.weak_recovery([0.3, 0.8]), rtol=1e-12)
    np.testing.assert_allclose(whole.bayes_error[..., -1], 0.01, rtol=1e-12)
    alphas = phase.curve(0.5, beta=[0.0, 3.0], n=20)
    back = phase.curve(0.5, alphas.alpha[1, 7], q=alphas.q[1, 7:8])
    assert back.beta[0] == pytest.approx(3.0, rel=1e-10)


def test_a_curve_that_begins_with_a_small_error_still_falls():
    found = phase.curve(0.5, 1000.0, n=5)
    assert (np.diff(found.bayes_error) < 0).all()
    assert (np.diff(found.beta) > 0).all()
    assert abs(found.beta[0]) < 1e-6


def test_rows_are_the_entries():
    one = phase.state_evolution(0.5, 0.1, 5.0).rows()
    assert [(row["beta"], row["converged"]) for row in one] == [(5.0, True)]
    curve = phase.curve([0.3, 0.5], 0.1, n=4)
    rows = curve.rows()
    assert [row["kappa"] for row in rows] == [0.3] * 4 + [0.5] * 4
    assert rows[5]["beta"] == curve.beta[1, 1]
    assert "2 of 2 converged" in repr(phase.state_evolution(0.5, 0.1, [1, 5]))
    assert repr(curve) == f"Curve(2 x 4 points, {int(curve.stable.sum())} stable)"


def test_slope_by_differences_of_the_step():
    def step(q):
        at = phase.information(q, 0.4)
        q_hat = 5 * at.unlabelled + 0.2 * at.labelled
        return q_hat / (1 + q_hat)

    found = phase.fixed_points(0.4, 0.2, 5.0)
    slope = (step(found.q + 1e-6) - step(found.q - 1e-6)) / 2e-6
    np.testing.assert_allclose(found.slope, slope, rtol=1e-6)


def test_slow_runs_say_that_they_have_not_converged():
    """Just above the upper spinodal an uninformed run passes a bottleneck."""
    end = phase.transition(0.5, 0.1).beta_ends
    short = phase.state_evolution(0.5, 0.1, end + 1e-4, max_steps=100)
    assert not short.converged
    long = phase.state_evolution(0.5, 0.1, [end - 1e-3, end + 1e-3])
    assert long.converged.all()
    assert long.q[0] < 0.7 < long.q[1]
    assert (long.doubt <= 1e-10 * long.q / long.gap).all()
    assert short.doubt > 1e-3
    assert long.steps.max() > 100


def test_error_under_the_margin():
    assert phase.margin_error(0.8, 0.5) == pytest.approx(0.09968, abs=5e-6)
    assert phase.margin_error(0.8, 0) == pytest.approx(np.arccos(0.8) / np.pi, rel=1e-12)
    for rho, kappa in ((0.3, 0.2), (0.9, 0.5), (0.99, 1.0), (0.999, 0.5)):
        ratio = rho / (1 - rho**2) ** 0.5
        mean = quad(lambda z: norm.pdf(z) * norm.sf(ratio * z), kappa, kappa + 12, epsabs=0)[0]  # noqa: B023
        assert phase.margin_error(rho, kappa) == pytest.approx(mean / norm.sf(kappa), rel=1e-8)
    draw = np.random.default_rng(1)
    z, u = draw.standard_normal((2, 1_000_000))
    wrong = (0.8 * z + 0.6 * u < 0)[z >= 0.5]
    assert abs(wrong.mean() - 0.09968) < 4 * (0.09 / len(wrong)) ** 0.5
    assert phase.bayes_error(0.64) == pytest.approx(np.arccos(0.8) / np.pi, rel=1e-14)
    assert phase.gibbs_error(0.64) == pytest.approx(np.arccos(0.64) / np.pi, rel=1e-14)
    assert phase.bayes_error(1 - 2.0**-50) == pytest.approx(2.0**-25 / np.pi, rel=1e-9)
    assert phase.gibbs_error(1 - 2.0**-50) == pytest.approx(2.0**-24.5 / np.pi, rel=1e-9)


def test_many_labels_without_margin_learn_like_the_perceptron():
    """Bayes-optimal learning of a perceptron: error 0.442 / alpha (Opper, Haussler 1991)."""
    found = phase.state_evolution(0.0, [300.0, 3000.0], 0.0)
    np.testing.assert_allclose(found.bayes_error * found.alpha, 0.442, rtol=0.01)


REFUSED = [
    (
        lambda: phase.curve(0.5, 0.1, beta=1),
        r"alpha and beta must not both be given, got 0.1 and 1",
    ),
    (lambda: phase.curve(0, 0.1), r"kappa must lie from 0.0001 to 5, got 0; 0.5 is a good start"),
    (lambda: phase.curve(0.5, n=1), r"n must be a whole number from 2 on, got 1"),
    (lambda: phase.state_evolution(0.5, -1), r"alpha must lie from 0 to 1e5, got -1; pass the num"),
    (lambda: phase.state_evolution(0.5, 1, 1, "cold"), r"start must be one of .*, got 'cold'"),
    (lambda: phase.state_evolution(0.5, tolerance=2), r"tolerance must lie between 0 and 1, got 2"),
    (lambda: phase.fixed_points([0.5, 0.4], 0, 1), r"kappa must be one number, got shape \(2,\)"),
    (lambda: phase.fixed_points(0.5, 0, [1, 2]), r"beta must be one number, got shape \(2,\)"),
    (lambda: phase.margin_error(1.0, 0.5), r"rho must lie from 0 to below 1, got 1"),
]


@pytest.mark.parametrize(("call", "text"), REFUSED)
def test_what_no_curve_has(call, text):
    with pytest.raises(UsageError, match=text):
        call()
