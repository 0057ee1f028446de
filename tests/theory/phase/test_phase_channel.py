"""Output channels of the margin perceptron: derivatives by differences, limits, many digits."""

import numpy as np
import pytest
from scipy.special import erfc

from nakami.theory import phase

OMEGA = np.linspace(-3, 3, 41)


def log_z(omega, variance, kappa, label=0):
    """Plainly, where nothing underflows."""

    def tail(x):
        return erfc(x / 2**0.5) / 2

    root = variance**0.5
    if label:
        return np.log(tail((kappa - label * omega) / root))
    return np.log(tail((kappa - omega) / root) + tail((kappa + omega) / root))


@pytest.mark.parametrize("label", [0, -1, 1])
@pytest.mark.parametrize(("variance", "kappa"), [(0.3, 0.5), (0.05, 0.2), (1.0, 1.5)])
def test_derivatives_of_log_z_by_central_differences(label, variance, kappa):
    def channel(omega):
        if label:
            return phase.labelled(omega, variance, kappa, label)
        return phase.unlabelled(omega, variance, kappa)

    at, h = channel(OMEGA), 1e-5
    np.testing.assert_allclose(
        at.log_z, log_z(OMEGA, variance, kappa, label), rtol=1e-9, atol=1e-12
    )
    slope = (channel(OMEGA + h).log_z - channel(OMEGA - h).log_z) / (2 * h)
    bend = -(channel(OMEGA + h).g - channel(OMEGA - h).g) / (2 * h)
    np.testing.assert_allclose(at.g, slope, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(at.gamma, bend, rtol=1e-6, atol=1e-7)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        np.testing.assert_allclose(1.0001 * at.g, slope, rtol=1e-7, atol=1e-8)


def test_what_is_far_in_the_tail_stays_finite_and_right():
    """Both H(a) and H(b) are below the smallest double; g is (kappa - omega) / V on one side."""
    at = phase.unlabelled([0.25, 0.0, -0.25], 1e-6, 0.5)
    far = (0.5 - 0.25) / 1e-6
    np.testing.assert_allclose(at.g, [far, 0, -far], rtol=1e-4)
    np.testing.assert_allclose(
        phase.labelled([0.25, -0.25], 1e-6, 0.5, [1, -1]).g, [far, -far], rtol=1e-4
    )
    assert np.isfinite(at.log_z).all()
    assert at.gamma[1] < 0  # between two gaps a pattern without a label pushes away
    assert (phase.labelled(OMEGA, 0.2, 0.5).gamma > 0).all()


def test_symmetries():
    even = phase.unlabelled(OMEGA, 0.2, 0.5)
    np.testing.assert_allclose(even.g, -even.g[::-1], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(
        phase.labelled(OMEGA, 0.2, 0.5, -1).g, -phase.labelled(-OMEGA, 0.2, 0.5, 1).g, rtol=1e-12
    )
    without = phase.unlabelled(OMEGA, 0.2, 0.0)  # no margin: nothing said
    assert not without.g.any()
    assert np.abs(without.log_z).max() < 1e-15
    assert np.abs(without.gamma).max() < 1e-15
