"""Errors of functions of a mean matrix, against their scatter over many simulated samples."""

import numpy as np
import pytest

from nakami.dynamics._jackknife import Running
from nakami.dynamics._lens_numbers import entropy_rank, participation

D, N, TRIALS = 5, 24, 150
TRUTH = np.diag([4.0, 2.5, 1.5, 0.8, 0.4]) + 0.3


def sample(generator, n, noise=0.3):
    """Matrices with a common mean, and noise of which a part points one way in each."""
    own = generator.standard_normal((n, 1, 1)) * np.outer(np.ones(D), np.arange(D)) * 0.1
    return TRUTH + own + noise * generator.standard_normal((n, D, D))


def statistics(mean, top):
    """Singular values; then norm, trace, both effective ranks, agreement."""
    s = np.linalg.svd(mean, compute_uv=False)
    more = (np.linalg.norm(s), np.trace(mean) / D, participation(s), entropy_rank(s), s[0] / top)
    return np.array([*s, *more])


def read(matrices, most=64):
    running = Running(most)
    for one in matrices:
        running.add(one, float(np.linalg.norm(one, 2)))
    return running


def test_mean_and_variance_are_those_of_the_sample():
    matrices = sample(np.random.default_rng(0), 30) + 1e6  # in one pass, far from zero
    running = read(matrices)
    np.testing.assert_allclose(running.mean, matrices.mean(0), rtol=1e-14)
    np.testing.assert_allclose(running.variance, matrices.var(0, ddof=1), rtol=1e-8)


@pytest.mark.parametrize("most", [64, 8])
def test_errors_are_the_scatter_over_samples(most):
    generator = np.random.default_rng(1)
    found = [read(sample(generator, N), most).jackknife(statistics) for _ in range(TRIALS)]
    values, errors, _ = (np.stack(part) for part in zip(*found, strict=True))
    scatter = values.std(0, ddof=1)
    typical = np.sqrt((errors**2).mean(0))
    # scatter of 150 trials: 6 %; the smallest value, within noise of zero, is no smooth function
    np.testing.assert_allclose(typical[:4] / scatter[:4], 1, atol=0.25)
    np.testing.assert_allclose(typical[D:] / scatter[D:], 1, atol=0.35)


def test_bias_is_taken_off():
    generator = np.random.default_rng(2)
    found = [read(sample(generator, N, 1.5)).jackknife(statistics) for _ in range(TRIALS)]
    values, _, biases = (np.stack(part).mean(0) for part in zip(*found, strict=True))
    raw = values[D] - np.linalg.norm(TRUTH)
    assert raw > 0.15  # noise makes norms larger
    assert abs(raw - biases[D]) < 0.3 * raw


def test_groups_put_together_hold_every_matrix():
    matrices = sample(np.random.default_rng(3), 37)
    running = read(matrices, 8)
    assert sum(running.sizes) == 37
    assert len(running.sizes) <= 8
    np.testing.assert_allclose(sum(running.sums), matrices.sum(0), rtol=1e-12)
    many, few = (read(matrices, most).jackknife(statistics) for most in (64, 8))
    np.testing.assert_allclose(many[0], few[0])
    at = D + 1  # of a mean the jackknife is the textbook's error
    traces = np.trace(matrices, axis1=1, axis2=2) / D
    assert many[1][at] == pytest.approx(traces.std(ddof=1) / 37**0.5)


def test_half_difference_is_as_large_as_the_error():
    generator = np.random.default_rng(4)
    noise, error = [], []
    for _ in range(60):
        running = read(sample(generator, N))
        noise.append(np.linalg.norm(running.half_difference, 2))
        error.append(np.linalg.norm(running.mean - TRUTH, 2))
    assert np.mean(noise) == pytest.approx(np.mean(error), rel=0.15)
