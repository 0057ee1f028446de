"""Spinodals, transitions and the critical end point of the margin perceptron."""

import numpy as np
import pytest

from nakami.results import UsageError
from nakami.theory import phase

# Of another double-precision computation: a scan of beta(q) with averages on 6001 points.
# kappa, alpha, beta_appears, beta_t, beta_ends, q before, q after
TABLE = [
    (0.3, 0, 8.239, 10.134, 15.216, 0, 0.988),
    (0.3, 0.5, 7.511, 8.164, 9.310, 0.650, 0.981),
    (0.4, 0, 5.530, 6.233, 7.693, 0.108, 0.972),
    (0.4, 0.2, 5.228, 5.553, 6.086, 0.538, 0.963),
    (0.5, 0, 3.911, 4.129, 4.490, 0.291, 0.940),
    (0.5, 0.05, 3.831, 3.977, 4.201, 0.452, 0.933),
    (0.5, 0.1, 3.748, 3.838, 3.964, 0.559, 0.923),
    (0.5, 0.2, 3.571, 3.585, 3.600, 0.730, 0.891),
    (0.55, 0, 3.324, 3.422, 3.567, 0.392, 0.912),
    (0.6, 0, 2.833, 2.861, 2.897, 0.511, 0.866),
]
CRITICAL = [
    (0.3, 1.123, 6.449), (0.4, 0.562, 4.603), (0.5, 0.241, 3.489), (0.55, 0.134, 3.077),
    (0.6, 0.054, 2.726),
]  # fmt: skip


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row[0]}-{row[1]}")
def test_table_of_transitions(row):
    found = phase.transition(row[0], row[1])
    got = [found.beta_appears, found.beta_t, found.beta_ends, found.q_before, found.q_after]
    np.testing.assert_allclose(got, row[2:], atol=1e-3)
    assert found.first_order
    assert found.residual < 1e-12


@pytest.mark.parametrize(("kappa", "alpha", "beta"), CRITICAL)
def test_table_of_critical_end_points(kappa, alpha, beta):
    found = phase.critical_point(kappa)
    np.testing.assert_allclose([found.alpha, found.beta], [alpha, beta], atol=2e-3)
    before, after = (phase.transition(kappa, found.alpha + step) for step in (-1e-3, 1e-3))
    assert before.first_order
    assert not after.first_order
    assert after.reason.startswith("beta(q) does not turn back")
    assert before.beta_appears < before.beta_t < before.beta_ends
    assert before.beta_t == pytest.approx(found.beta, abs=0.01)


def test_weak_recovery():
    kappa = [0.2, 0.3, 0.4, 0.5, 0.8, 1.0, 1.5]
    wanted = [28.94, 11.15, 5.472, 3.072, 0.836, 0.4299, 0.1183]
    np.testing.assert_allclose(phase.weak_recovery(kappa), wanted, rtol=5e-4)
    for k in (0.3, 0.8):  # just below nothing is learned, just above something
        beta = phase.weak_recovery(k) * np.array([0.9, 1.1])
        q = phase.state_evolution(k, 0, beta).q
        assert q[0] < 1e-6 < 1e-3 < q[1]
    assert phase.weak_recovery(0) == np.inf


def test_the_jump_may_come_before_weak_recovery():
    early, late = phase.transition(0.33), phase.transition(0.34)
    np.testing.assert_allclose([early.beta_t, early.weak_recovery], [8.667, 8.841], atol=1e-3)
    np.testing.assert_allclose([late.beta_t, late.weak_recovery], [8.245, 8.215], atol=1e-3)
    assert early.q_before == 0 < late.q_before


def test_margin_above_which_nothing_jumps():
    most = phase.critical_margin()
    assert most == pytest.approx(0.645, abs=1e-3)
    assert phase.critical_point(most - 0.002).exists
    gone = phase.critical_point(most + 0.002)
    assert not gone.exists
    assert np.isnan(gone.alpha)
    assert gone.reason.startswith("the margin is above critical_margin")
    assert phase.transition(most - 0.004).first_order
    assert not phase.transition(most + 0.004).first_order
    curve = phase.curve([most - 0.004, most + 0.004], 0.0, n=1000)
    assert [(np.diff(row) < 0).any() for row in curve.beta] == [True, False]


def test_spinodals_are_where_iterations_fall():
    found = phase.transition(0.5, 0.1)
    high = phase.state_evolution(0.5, 0.1, [found.beta_ends - 0.01, found.beta_ends + 0.01])
    low = phase.state_evolution(
        0.5, 0.1, [found.beta_appears - 0.01, found.beta_appears + 0.01], "informed"
    )
    assert high.q[0] < found.q_ends < high.q[1]
    assert low.q[0] < found.q_appears < low.q[1]
    at = phase.fixed_points(0.5, 0.1, found.beta_t)
    assert len(at.q) == 3
    assert at.free_entropy[0] == pytest.approx(at.free_entropy[2], abs=1e-9)
    assert at.free_entropy[1] < at.free_entropy[0]


def test_phase_diagram():
    found = phase.phase_diagram(0.5, n=4)
    assert found.alpha[0] == 0
    assert found.alpha[-1] == pytest.approx(found.critical.alpha, rel=1e-3)
    assert (np.diff(found.beta_t) < 0).all()
    assert (found.beta_appears < found.beta_t).all()
    assert (found.beta_t < found.beta_ends).all()
    given = phase.phase_diagram(0.5, [0.05, 1.0])
    assert given.beta_t[0] == phase.transition(0.5, 0.05).beta_t
    assert np.isnan(given.beta_t[1])
    assert [row["alpha"] for row in given.rows()] == [0.05, 1.0]
    assert phase.phase_diagram(0.8).alpha.tolist() == [0]


def test_small_margins_and_large_loads():
    """Laws of scale: beta_c grows as kappa^-2, the low-error state needs about 1 / kappa."""
    found = [phase.transition(k) for k in (1e-3, 1e-2)]
    assert found[0].weak_recovery / found[1].weak_recovery == pytest.approx(100, rel=0.05)
    assert found[0].beta_appears / found[1].beta_appears == pytest.approx(10, rel=0.05)
    many = phase.fixed_points(0.5, 0.0, 1e5)
    assert many.gap[-1] < 1e-10
    error = phase.state_evolution(0.5, 0.0, [1e4, 1e5], "informed").bayes_error
    assert error[0] / error[1] == pytest.approx(10, rel=1e-3)
    assert many.bayes_error[-1] == pytest.approx(error[1], rel=1e-6)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: phase.transition(0.0), r"kappa must lie from 0.0001 to 5, got 0"),
        (lambda: phase.transition(0.5, -0.1), r"alpha must lie from 0 to 1e5, got -0.1"),
        (lambda: phase.critical_point(9), r"kappa must lie from 0.0001 to 5, got 9"),
        (lambda: phase.phase_diagram(0.5, 0.1), r"alpha must be of shape \(n,\), got \(\)"),
        (lambda: phase.weak_recovery(-1), r"kappa must lie from 0 to 5, got -1"),
    ],
)
def test_what_no_diagram_has(call, text):
    with pytest.raises(UsageError, match=text):
        call()
