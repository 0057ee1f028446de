"""The critical gain of gated nets against eigenvalues of random Jacobians."""

import math

import numpy as np
import pytest

from nakami.results import UsageError
from nakami.theory import critical_gain

H = 700


def radius(kind: str, gain: float, std: float, seed: int) -> float:
    """Spectral radius at rest of one net, from the gates' formulas."""
    rng = np.random.default_rng(seed)
    w = gain * rng.normal(size=(H, H)) / math.sqrt(H)
    first, second, third = 1 / (1 + np.exp(-std * rng.normal(size=(3, H))))
    if kind == "rnn":
        jacobian = w
    elif kind == "gru":
        jacobian = np.diag(first) + ((1 - first) * second)[:, None] * w
    else:
        jacobian = np.diag(first) + second[:, None] * w * third
    return float(np.abs(np.linalg.eigvals(jacobian)).max())


@pytest.mark.parametrize("kind", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("std", [0.0, 0.8])
def test_random_jacobians_cross_one_at_the_gain(kind, std):
    gain = critical_gain(kind, std)
    # single LSTMs of this width scatter by 10 %: their forget gates have a heavy tail
    low, high = (0.85, 1.15) if kind == "lstm" else (0.93, 1.07)
    assert radius(kind, low * gain, std, 0) < 1 < radius(kind, high * gain, std, 1)


def test_without_biases_it_is_two_and_the_grus_is_independent_of_the_update_gate():
    assert critical_gain("gru") == pytest.approx(2, abs=1e-12)
    assert critical_gain("lstm") == pytest.approx(2, abs=1e-12)
    draws = 1 / (1 + np.exp(-3 * np.random.default_rng(0).normal(size=10**6)))
    assert critical_gain("gru", 3.0) == pytest.approx((draws**2).mean() ** -0.5, rel=3e-3)
    assert critical_gain("lstm", 3.0) < 0.01 < critical_gain("gru", 3.0)


def test_wrong_arguments_are_named():
    with pytest.raises(UsageError, match="kind must be one of rnn, gru, lstm, got 'mgu'; pass"):
        critical_gain("mgu")
    with pytest.raises(UsageError, match="bias_std must be a number from 0 on, got -1; 0 is the"):
        critical_gain("gru", -1)
