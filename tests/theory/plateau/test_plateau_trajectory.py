"""Trajectories against simulated networks, plateaus, and solvers that stay on a saddle."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from nakami.results import UsageError
from nakami.theory import plateau
from nakami.theory.plateau._trajectory import _Flow


def networks(size, outputs, seed, first=0.5):
    rng = np.random.default_rng(seed)
    v = rng.standard_normal((2, outputs))
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    w = 0.3 * rng.standard_normal((2, outputs)) / outputs**0.5
    return first * rng.standard_normal((2, size)), size**0.5 * np.eye(2, size), w, v


def test_equations_follow_simulated_networks():
    """N = 1000, three outputs, rate 0.5; what is left shrinks with the size."""
    weights = networks(1000, 3, 0)
    run = plateau.simulate(*weights, 0.5, t_end=25, seed=3)
    found = plateau.trajectory(plateau.order_parameters(*weights), 0.5, t_end=25, times=run.times)
    assert found.converged
    assert np.abs(found.error - run.error).max() < 0.01
    assert run.error[-1] < 0.2 * run.error[0]
    other = plateau.trajectory(found.order[0], 0.6, t_end=25, times=run.times)
    assert np.abs(other.error - run.error).max() > 0.01  # another rate is seen


def test_plateau_of_one_output_stands_where_it_should():
    """Rate 0.5, N = 800: the error stays near 0.0142 before the students part."""
    j, b, w, _ = networks(800, 1, 1)
    v = np.ones((2, 1))
    run = plateau.simulate(j, b, w, v, 0.5, t_end=60, seed=1)
    found = plateau.trajectory(plateau.order_parameters(j, b, w, v), 0.5, t_end=60, times=run.times)
    late = run.times > 40
    assert found.error[late].mean() == pytest.approx(0.0142, abs=0.002)
    assert run.error[late].mean() == pytest.approx(0.0142, abs=0.006)


@pytest.mark.parametrize(("v", "rate", "learns"), [
    (np.ones((2, 1)), 2, True), (np.ones((2, 1)), 2.5, False), (np.eye(2), 4, True),
    (np.eye(2), 5, False),
])  # fmt: skip
def test_noise_keeps_fast_students_from_the_teacher(v, rate, learns):
    rng = np.random.default_rng(0)
    b = 10 * np.eye(2, 100)
    w = v + 0.01 * rng.standard_normal(v.shape)
    start = plateau.order_parameters(b + 0.1 * rng.standard_normal(b.shape), b, w, v)
    found = plateau.trajectory(start, rate, t_end=60, stop_at=1e-2, rtol=1e-6)
    assert (found.error[-1] <= 1e-2 * found.error[0]) == learns


def test_a_simulation_that_diverges_says_so():
    run = plateau.simulate(*networks(20, 2, 0, first=5.0), 0.0, 100.0, t_end=60)
    assert not run.finite
    assert run.times[-1] < 60


def near_symmetric(apart, one_output=True):
    """Two students that differ by ``apart`` along the teachers' difference."""
    v = np.ones((2, 1)) if one_output else np.eye(2)
    j = 0.5 * np.array([[1 + apart, 1 - apart, 0.0], [1 - apart, 1 + apart, 0.0]])
    b = 3**0.5 * np.eye(2, 3)
    w = np.full((2, v.shape[1]), 0.5)
    return plateau.order_parameters(3**0.5 * j, b, w, v)


def escape_time(apart, **settings):
    found = plateau.trajectory(near_symmetric(apart), t_end=4000, stop_at=0.01, **settings)
    return found, float(plateau.plateau_length(found).hit)


def test_time_on_the_saddle_grows_with_the_logarithm_of_the_difference():
    """A solver of the rows themselves leaves a tenth too early, and says success."""
    runs = [escape_time(apart) for apart in (1e-3, 1e-6, 1e-9)]
    assert all(found.converged for found, _ in runs)
    first, second, third = (hit for _, hit in runs)
    assert second - first > 500
    assert third - second == pytest.approx(second - first, rel=0.01)
    left, success = by_rows("BDF", 1e-9, 2500)
    assert success
    assert left < 0.95 * third


def test_slow_students_leave_the_saddle_as_the_hessian_says():
    """At a small rate differences grow as exp(rate |least eigenvalue| t)."""
    least = plateau.line_hessian(plateau.best_one_unit(np.ones((2, 2))), 0.5).least[0]
    hits = []
    for apart in (1e-7, 1e-9):
        found = plateau.trajectory(near_symmetric(apart), 0.005, t_end=4e5, stop_at=0.1)
        hits.append(0.005 * float(plateau.plateau_length(found, target=0.1).hit))
    assert hits[1] - hits[0] == pytest.approx(np.log(100) / -least, rel=0.01)


def test_nothing_moves_at_the_teacher():
    b, v = 3 * np.eye(2, 9), np.array([[1.0, 0.2], [0.3, 1.0]])
    at = plateau.velocity(plateau.order_parameters(b[::-1], b, v[::-1], v), 0.5)
    assert max(np.abs(x).max() for x in (at.Q, at.R, at.D, at.E, at.error)) < 1e-15


def by_rows(method, apart, t_end):
    """Time of the target, by a solver that sees rows instead of mean and difference."""
    start = near_symmetric(apart)
    flow = _Flow(start, 0.2, 0.2, None)
    flow.mix = flow.back = np.eye(2)
    y = flow.packed(*(x[None] for x in (start.Q, start.R, start.D, start.E)))
    found = solve_ivp(flow, (0, t_end), y, method=method)
    below = flow.order(found.y.T).generalisation_error[:, 0] <= 0.01 * start.generalisation_error
    return (found.t[below.argmax()] if below.any() else np.inf), found.success


@pytest.mark.parametrize("method", ["Radau", "BDF"])
def test_stiff_solvers_stay_with_equal_students_and_call_it_success(method):
    left, success = by_rows(method, 0.0, 1500)
    assert success
    assert left == np.inf


def test_equal_students_stay_and_the_result_says_why():
    found = plateau.trajectory(near_symmetric(0.0), t_end=1000)
    assert not found.converged
    assert found.difference < 1e-4  # both tolerances agree: that alone does not show it
    assert found.reason.startswith("two students begin equal in all averages, or one is zero")
    assert found.error[-1] > 0.1 * found.error[0]
    assert not plateau.plateau_length(found).converged


def test_tolerances_that_disagree_are_reported():
    loose, _ = escape_time(1e-6, rtol=1e-4, atol=1e-4)
    assert not loose.converged
    assert loose.difference > 1e-3
    assert loose.reason.startswith("runs at two tolerances differ by up to")
    tight, _ = escape_time(1e-3)
    assert tight.converged
    assert not tight.reason


def test_steps_that_do_not_suffice_are_reported():
    found = plateau.trajectory(near_symmetric(1e-3), t_end=3000, max_steps=5)
    assert not found.converged
    assert found.steps == 5
    assert found.times[-1] < 3000
    assert found.reason == "5 steps did not lead to the end; pass a larger max_steps"


def test_rows_of_a_batch_run_as_alone():
    start = plateau.random_start(np.eye(2), students=3, count=3, seed=4)
    batch = plateau.trajectory(start, t_end=50, times=np.linspace(0, 50, 21))
    assert batch.error.shape == (3, 21)
    assert batch.order.Q.shape == (3, 21, 3, 3)
    for i in range(3):
        alone = plateau.trajectory(start[i], t_end=50, times=batch.times)
        np.testing.assert_allclose(batch.error[i], alone.error, atol=1e-8)
    np.testing.assert_allclose(batch.error, batch.order.generalisation_error, atol=1e-15)
    np.testing.assert_allclose(batch.order.Q[:, 0], start.Q, atol=1e-15)


def test_length_and_time_of_a_known_curve():
    """error = 1 - t / 10 for t < 4, then flat for 6, then exp: slow where it is flat."""
    t = np.linspace(0, 40, 4001)
    error = np.where(t < 4, 1 - t / 10, np.where(t < 10, 0.6, 0.6 * np.exp(-(t - 10) / 4)))
    slope = np.where(t < 4, -0.1, np.where(t < 10, 0.0, -error / 4))
    from nakami.theory.plateau._plateau_length import measured

    length, hit = measured(t, error[None], slope[None], 0.05, 0.01)
    assert length[0] == pytest.approx(6, abs=0.02)
    assert hit[0] == pytest.approx(10 + 4 * np.log(60), abs=1e-3)
    length, hit = measured(t, error[None], slope[None], 0.05, 1e-9)
    assert hit[0] == np.inf


def test_teachers_of_rank_two_shorten_the_plateau():
    """Medians of 6 starts; another computation's of 20 are 589 and 3."""
    lengths = []
    for overlap in (1.0, 0.5):
        f = np.array([[1, overlap], [overlap, 1]])
        found = plateau.trajectory(plateau.random_start(f, count=6), stop_at=0.01, rtol=1e-8)
        lengths.append(np.median(plateau.plateau_length(found).length))
    assert 350 < lengths[0] < 800
    assert lengths[1] < 10


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda s: plateau.trajectory(s.Q), r"start must be OrderParameters, got ndarray; make"),
        (lambda s: plateau.velocity(None), r"order must be OrderParameters, got NoneType; make"),
        (lambda s: plateau.plateau_length(s), r"trajectory must be a Trajectory, got OrderParam"),
        (lambda s: plateau.trajectory(s, t_end=0), r"t_end must be a number above 0"),
        (lambda s: plateau.trajectory(s, rtol=0.1), r"rtol must be a number from 1e-13 to 0.001"),
        (
            lambda s: plateau.trajectory(s, times=[0, 5, 4]),
            r"times must be increasing, in one row, from 0 to t_end = 3000",
        ),
        (lambda s: plateau.trajectory(s, stop_at=2), r"stop_at must lie between 0 and 1, got 2"),
        (lambda s: plateau.trajectory(s, max_steps=0), r"max_steps must be a whole number from 1"),
        (
            lambda s: plateau.plateau_length(plateau.trajectory(s, t_end=1), threshold=0),
            r"threshold must be a number above 0, got 0",
        ),
        (
            lambda s: plateau.plateau_length(plateau.trajectory(s, t_end=1), target=1),
            r"target must lie between 0 and 1, got 1",
        ),
        (
            lambda s: plateau.simulate(np.ones((1, 2, 3)), np.ones((2, 3)), np.eye(2), np.eye(2)),
            r"J, B, w and v must have two axes",
        ),
        (
            lambda s: plateau.simulate(*networks(9, 1, 0), t_end=-1),
            r"t_end must be a number above 0, at most 1e6, got -1",
        ),
    ],
)
def test_what_no_trajectory_has(call, text):
    with pytest.raises(UsageError, match=text):
        call(plateau.random_start(np.eye(2))[0])
