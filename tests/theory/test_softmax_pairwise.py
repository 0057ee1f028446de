"""Softmax outputs and real inputs: bounds and the pairwise kernel against random networks."""

import numpy as np
import pytest
from scipy.special import softmax

from nakami import data
from nakami.results import UsageError
from nakami.theory import meanfield as mf
from wide_networks import LAWS, draw, kernel


def softmax_fisher(theta, g):
    """Dual Fisher matrix ``B Theta B / T`` of softmax outputs ``g (T, C)``."""
    samples, outputs = g.shape
    root = np.zeros((outputs, samples, outputs, samples))
    for t, row in enumerate(g):
        values, vectors = np.linalg.eigh(np.diag(row) - np.outer(row, row))
        root[:, t, :, t] = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    root = root.reshape(outputs * samples, -1)
    return root @ theta @ root / samples


@pytest.mark.parametrize("phi", ["tanh", "relu"])
def test_the_wide_kernel_lies_inside_the_bounds(phi):
    """Theory's own kernel with measured outputs: mean and second moment exact, bounds hold."""
    rng, widths = np.random.default_rng(0), (200, 200, 200, 6)
    order = mf.order_parameters(widths, phi, *LAWS[phi])
    size = order.alpha * order.reference_width
    k1, k2 = size * order.kappa1, size * order.kappa2
    for scale in (0.1, 1.0, 4.0):
        g = softmax(scale * rng.standard_normal((25, 6)), axis=1)
        theta = np.kron(np.eye(6), (k1 - k2) * np.eye(25) + k2)
        values = np.linalg.eigvalsh(softmax_fisher(theta, g))
        theory = mf.cross_entropy_bounds(order, g)
        parameters = size * order.reference_width
        assert theory.lower <= values[-1] <= theory.upper
        assert theory.mean * parameters == pytest.approx(values.sum(), rel=1e-9)
        assert theory.second_moment * parameters == pytest.approx((values**2).sum(), rel=1e-9)
        assert theory.limit_low == 2 / theory.upper
        assert theory.limit_high == 2 / theory.lower


def test_uniform_outputs_allow_about_c_times_the_rate():
    order = mf.order_parameters((100, 100, 100, 10), "tanh", 3, 0.64)
    theory = mf.cross_entropy_bounds(order, np.full((1000, 10), 0.1))
    squared = mf.learning_rate(order, 1000).limit
    assert theory.limit_low / squared == pytest.approx(10, rel=0.02)


def test_random_networks_with_a_softmax():
    found = []
    for seed in range(3):
        rng, widths = np.random.default_rng(seed), (500,) * 4 + (5,)
        net, x = draw(widths, 3, 0.64, rng), rng.standard_normal((50, 500))
        theta, f = kernel(net, x, "tanh")
        g = softmax(f, axis=1)
        values = np.linalg.eigvalsh(softmax_fisher(theta, g))
        theory = mf.cross_entropy_bounds(mf.order_parameters(widths, "tanh", 3, 0.64), g)
        trace = theory.mean * 3 * 500**2
        square = theory.second_moment * 3 * 500**2
        bounds = values[-1] / theory.lower, values[-1] / theory.upper
        found.append((values.sum() / trace, (values**2).sum() / square, *bounds))
    trace, square, above, below = np.mean(found, axis=0)
    assert abs(trace - 1) < 0.05
    assert abs(square - 1) < 0.15
    assert above > 0.95
    assert below < 1.05


@pytest.fixture(scope="module")
def digits():
    return data.digits("train", flat=True).inputs[:100].double().numpy()


@pytest.mark.parametrize("phi", ["relu", "tanh", "linear"])
@pytest.mark.parametrize("unit", ["raw", "standardised"])
def test_digits_as_inputs(digits, phi, unit):
    x = digits if unit == "raw" else (digits - digits.mean()) / digits.std()
    widths, found = (784, 500, 500, 500, 4), []
    for seed in range(2):
        net = draw(widths, *LAWS[phi], np.random.default_rng(seed))
        values = np.linalg.eigvalsh(kernel(net, x, phi)[0] / 100)
        found.append((values.sum(), values[-4:].mean()))
    trace, top = np.mean(found, axis=0)
    order = mf.order_parameters(widths, phi, *LAWS[phi], mf.start_values(x))
    theory = mf.fisher_statistics(order, 100)
    assert abs(trace / theory.trace - 1) < 0.1
    assert 0.9 < top / theory.largest < 1.25
    centred = mf.order_parameters(widths, phi, *LAWS[phi], (order.q_hat1[0], 0))
    if unit == "raw" and phi == "relu":  # pixel means are not zero, and it matters
        assert top / mf.fisher_statistics(centred, 100).largest > 1.3


@pytest.mark.parametrize("phi", ["relu", "erf-sqrt2"])
def test_pairwise_kernel_matches_networks_entry_by_entry(phi):
    rng, widths = np.random.default_rng(0), (300, 600, 500, 4)
    x = rng.random((20, 300)) * (rng.random((20, 300)) < 0.3) * 3  # sparse and positive
    blocks = []
    for _ in range(60):
        full = kernel(draw(widths, 2, 0.1, rng), x, phi)[0].reshape(4, 20, 4, 20)
        blocks += [full[k, :, k] for k in range(4)]
    theta = np.mean(blocks, axis=0)
    found = mf.pairwise(x, widths, phi, 2, 0.1)
    np.testing.assert_allclose(theta, found.kernel, rtol=0.08)
    order = mf.order_parameters(widths, phi, 2, 0.1, mf.start_values(x))
    pair = order.alpha * order.reference_width * order.kappa2
    assert np.abs(theta - pair).max() > 0.2 * pair  # the mean over pairs does not fit so well
    np.testing.assert_allclose(found.kernel, found.kernel.T, rtol=1e-14)
    measured = np.linalg.eigvalsh(theta / 20)
    assert abs(measured[-1] / found.largest - 1) < 0.06
    assert found.largest == found.eigenvalues[0]
    assert found.eigenvalues.sum() == pytest.approx(np.trace(found.kernel) / 20)


def test_pairwise_equals_the_mean_field_where_all_pairs_are_alike():
    """Orthogonal inputs of one length: every pair has the mean correlation."""
    x, widths = np.eye(30) * 30**0.5, (30, 500, 500, 3)
    found = mf.pairwise(x, widths, "tanh", 3, 0.64, biases=False)
    order = mf.order_parameters(widths, "tanh", 3, 0.64, mf.start_values(x))
    theory = mf.fisher_statistics(order, 30)
    assert found.largest == pytest.approx(theory.largest, rel=1e-7)
    np.testing.assert_allclose(found.eigenvalues[1:], theory.bulk, rtol=1e-6)
    with_biases = mf.pairwise(x, widths, "tanh", 3, 0.64)
    assert 0 < with_biases.largest / found.largest - 1 < 0.02


def test_wrong_use_is_told():
    order = mf.order_parameters((5, 5, 3), "relu", 2)
    with pytest.raises(UsageError, match=r"probabilities must have shape \(T, 3\), got \(4, 2\)"):
        mf.cross_entropy_bounds(order, np.ones((4, 2)))
    with pytest.raises(UsageError, match=r"probabilities must be at least 0 with rows of sum 1"):
        mf.cross_entropy_bounds(order, np.ones((4, 3)))
    with pytest.raises(UsageError, match=r"inputs must be finite, of shape \(T, 5\), got \(2, 4\)"):
        mf.pairwise(np.ones((2, 4)), (5, 5, 3), "relu", 2)
