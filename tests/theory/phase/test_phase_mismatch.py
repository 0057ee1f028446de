"""A student whose margin is not the teacher's."""

import numpy as np
import pytest

from nakami.results import UsageError
from nakami.theory import phase

# alpha, beta, student's margin: R, q of another double-precision computation, teacher's margin 0.5
TABLE = [
    (0.3, 2, 0.3, 0.3637, 0.3017),
    (1, 1, 0.2, 0.6251, 0.5418),
    (2, 0, 0.0, 0.7194, 0.6068),
    (2, 0, 0.3, 0.8073, 0.7595),
]


def test_table():
    alpha, beta, student, overlap, q = np.array(TABLE).T
    found = phase.mismatched_evolution(0.5, student, alpha, beta)
    assert found.converged.all()
    np.testing.assert_allclose(found.overlap, overlap, atol=5.1e-5)
    np.testing.assert_allclose(found.q, q, atol=5.1e-5)
    assert (found.replicon < 1).all()
    best = phase.state_evolution(0.5, alpha, beta)
    assert (found.error > best.bayes_error).all()  # nobody does better than the right margin


@pytest.mark.parametrize("start", ["uninformed", "informed"])
def test_equal_margins_are_the_optimal_student(start):
    alpha, beta = np.array([0.1, 0.1, 0.5]), np.array([2.0, 3.85, 50.0])
    found = phase.mismatched_evolution(0.5, 0.5, alpha, beta, start)
    wanted = phase.state_evolution(0.5, alpha, beta, start)
    np.testing.assert_allclose(found.overlap, wanted.q, rtol=1e-9)
    np.testing.assert_allclose(found.gap, wanted.gap, rtol=1e-8)
    np.testing.assert_allclose(found.replicon, wanted.slope, rtol=1e-7)
    np.testing.assert_allclose(found.margin_error, wanted.margin_error, rtol=1e-7)


def test_one_step_by_drawn_patterns():
    """R and q agree with themselves when the averages are taken over drawn patterns."""
    kappa, student, alpha, beta = 0.5, 0.2, 1.0, 1.0
    found = phase.mismatched_evolution(kappa, student, alpha, beta)
    overlap, q, gap = float(found.overlap), float(found.q), float(found.gap)
    draw = np.random.default_rng(0)
    xi, u = draw.standard_normal((2, 1_000_000))
    field = overlap / q**0.5 * xi + (1 - overlap**2 / q) ** 0.5 * u  # of the teacher
    seen = np.abs(field) >= kappa
    omega, label = q**0.5 * xi[seen], np.sign(field[seen])
    at = overlap / q * omega, 1 - overlap**2 / q, kappa
    m_hat = q_hat = 0.0
    for size, teacher, pupil in (
        (beta, phase.unlabelled(*at), phase.unlabelled(omega, gap, student)),
        (alpha, phase.labelled(*at, label), phase.labelled(omega, gap, student, label)),
    ):
        m_hat += size * (teacher.g * pupil.g).mean()
        q_hat += size * (pupil.g**2).mean()
    variance = 2 / (1 + (1 + 4 * (m_hat**2 + q_hat)) ** 0.5)
    assert variance == pytest.approx(gap, rel=0.01)
    assert variance * m_hat == pytest.approx(overlap, rel=0.01)
    assert abs(overlap - q) > 0.05


def test_message_passing_with_another_margin():
    alpha, beta, student, overlap, q = TABLE[1]
    instance = phase.draw_instance(0.5, alpha, beta, 1000, seed=5)
    found = phase.gamp(instance, student_kappa=student)
    assert abs(found.overlap - overlap) < 0.04
    assert abs(found.q - q) < 0.04
    too_wide = phase.gamp(phase.draw_instance(0.5, 3, 0, 300), student_kappa=1.5)
    assert not too_wide.converged  # no student keeps this margin
    assert too_wide.variance < 0.01


def test_gibbs_learning_of_a_perceptron():
    """One student that agrees with all labels: error 0.625 / alpha (Gyorgyi, Tishby 1990)."""
    found = phase.mismatched_evolution(0.0, 0.0, 300.0)
    assert float(found.gibbs_error) * 300 == pytest.approx(0.625, rel=0.01)


def test_a_margin_that_nobody_keeps():
    found = phase.mismatched_evolution(0.5, [0.7, 0.4], [1.0, 5.0], [5.0, 1.0])
    assert found.converged.tolist() == [False, True]
    assert found.gap[0] < 1e-9
    assert found.replicon[0] > 1
    few = phase.mismatched_evolution(0.5, 0.7, 0.2, 0.2)
    assert few.converged


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"student_kappa": -1}, r"student_kappa must lie from 0 to 5, got -1"),
        ({"start": 0.5}, r"start must be one of uninformed, informed, got 0.5; pass \"uninf"),
        ({"damping": 1}, r"damping must lie from 0 to below 1, got 1; 0.5 is the default"),
        ({"beta": np.inf}, r"beta must lie from 0 to 1e5, got inf"),
    ],
)
def test_what_no_mismatch_has(more, text):
    with pytest.raises(UsageError, match=text):
        phase.mismatched_evolution(**{"kappa": 0.5, "student_kappa": 0.3, **more})
