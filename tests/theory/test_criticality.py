"""Order and chaos: known values, slopes by differences, and deep networks drawn and run."""

import numpy as np
import pytest

from nakami.results import UsageError
from nakami.theory import meanfield as mf

WIDTH, DEPTH = 1000, 300


@pytest.mark.parametrize("start", [1e-13, 1e-6, 1e6, 1e9])
@pytest.mark.parametrize(("w", "b"), [(1.5, 0.0), (3.0, 0.2)])
def test_a_far_start_leads_to_the_fixed_point(start, w, b):
    found = mf.criticality("tanh", w, b, start=start)
    z, weights = np.polynomial.hermite_e.hermegauss(99)  # another quadrature
    mean = float(weights @ np.tanh(found.q_star**0.5 * z) ** 2 / weights.sum())
    assert found.q_star > 0.1
    assert w * mean + b == pytest.approx(found.q_star, rel=1e-4)
    assert mf.criticality("tanh", 0.5, start=1e9).q_star == 0.0


def deep(laws, seed, depth=DEPTH, width=WIDTH, c=0.6):
    """Variance and 1 - correlation of two inputs through tanh networks, weights drawn in full.

    The networks of several laws share their random numbers. Returns ``(laws, 2, depth)``.
    """
    rng, f32 = np.random.default_rng(seed), np.float32
    scales = [(w / width) ** 0.5 for w, _ in laws]
    z = rng.standard_normal((width, 2), dtype=f32)
    pair = np.stack([z[:, 0], c * z[:, 0] + (1 - c**2) ** 0.5 * z[:, 1]], axis=1)
    states, track = [pair.astype(f32) for _ in laws], []
    for _ in range(depth):
        weight = rng.standard_normal((width, width), dtype=f32)
        bias = rng.standard_normal((width, 1), dtype=f32)
        inputs = [
            s * (weight @ h) + bias * b**0.5
            for s, (_, b), h in zip(scales, laws, states, strict=True)
        ]
        track.append([measure(u[:, 0], u[:, 1]) for u in inputs])
        states = [np.tanh(u) for u in inputs]
    return np.transpose(track, (1, 2, 0))


def sampled(law, seed, depth=DEPTH, width=WIDTH, networks=40):
    """The same in law: given the states, the inputs of a layer's units are Gaussian pairs."""
    rng = np.random.default_rng(seed)
    h = np.stack([np.ones((networks, width)), np.ones((networks, width))])
    h[1, :, ::5] = -1  # correlation 0.6
    track = []
    for _ in range(depth):
        cov = np.einsum("anw,bnw->nab", h, h) / width * law[0] + law[1]
        root = np.linalg.cholesky(cov + 1e-300 * np.eye(2))
        u = np.einsum("nab,bnw->anw", root, rng.standard_normal((2, networks, width)))
        track.append(measure(u[0], u[1]))
        h = np.tanh(u)
    return np.transpose(track, (1, 0, 2))  # (2, depth, networks)


def measure(first, second):
    """Mean square of the first, and 1 - correlation without cancellation."""
    first, second = first.astype(np.float64), second.astype(np.float64)
    a, b = (np.sqrt((x**2).mean(axis=-1, keepdims=True)) for x in (first, second))
    return np.stack([(a**2)[..., 0], ((first / a - second / b) ** 2).mean(axis=-1) / 2])


def test_edge_of_chaos_by_a_deep_network():
    """Below it two inputs become one, at the rate chi_1; above it they stay apart, at c*."""
    b = 0.05
    edge = mf.edge_of_chaos("tanh", b)
    assert edge.weight_variance == pytest.approx(1.761, abs=1e-3)
    below, above = (mf.criticality("tanh", f * edge.weight_variance, b) for f in (0.85, 1.3))
    laws = [(point.weight_variance, b) for point in (below, above)]
    (q_below, gap_below), (q_above, gap_above) = deep(laws, 0)
    assert gap_below[-1] < 1e-6
    assert abs(q_below[50:].mean() / below.q_star - 1) < 0.03
    assert abs(q_above[50:].mean() / above.q_star - 1) < 0.03
    assert abs(1 - gap_above[100:].mean() - above.c_star) < 0.05
    assert above.c_star < 0.8
    assert (below.phase, above.phase) == ("ordered", "chaotic")


def test_the_rate_of_convergence_is_chi():
    point = mf.criticality("tanh", 1.5, 0.05)
    q, gap = sampled((1.5, 0.05), 1, depth=140)
    rate = np.log(gap[120].mean() / gap[20].mean()) / 100
    spread = np.log(gap[120] / gap[20]).std() / 100 / 40**0.5
    assert abs(q[60:].mean() / point.q_star - 1) < 0.01
    assert abs(rate - np.log(point.chi_1)) < 5 * spread + 1e-3  # finite width: order 1/M
    assert 5 * spread + 1e-3 < 0.006
    assert abs(rate - np.log(point.variance_slope)) > 0.3  # not the slope of the variance map
    assert point.xi_c == pytest.approx(-1 / np.log(point.chi_1))


def test_propagation_follows_a_network_layer_by_layer():
    law = [(2.2, 0.1)]
    found = np.mean([deep(law, s, depth=12, width=700, c=0.9)[0] for s in range(4)], axis=0)
    q, c = mf.propagate("tanh", 2.2, 0.1, 12, q=1.0, c=0.9)
    np.testing.assert_allclose(found[0], q, rtol=0.06)
    np.testing.assert_allclose(1 - found[1], c, atol=0.04)
    other, _ = mf.propagate("tanh", 2.2, 0.3, 12, q=1.0, c=0.9)
    assert not np.allclose(found[0], other, rtol=0.06)


def test_gradients_and_singular_values_follow_chi():
    """Jacobian of twenty layers of real weights, started at the fixed point."""
    point, rng, found = mf.criticality("tanh", 2.0, 0.1), np.random.default_rng(1), []
    for _ in range(6):
        h = np.tanh(rng.standard_normal(400) * point.q_star**0.5)
        jacobian = np.eye(400)
        for _ in range(20):
            weight = rng.standard_normal((400, 400)) * (2.0 / 400) ** 0.5
            u = weight @ h + rng.standard_normal(400) * 0.1**0.5
            h = np.tanh(u)
            jacobian = (1 - h**2)[:, None] * (weight @ jacobian)
        found.append((jacobian**2).sum() / 400)
    assert point.mean_squared_singular_value(20) == pytest.approx(point.chi_1**20)
    assert abs(np.log(np.mean(found)) / 20 - np.log(point.chi_1)) < 0.015
    assert abs(np.log(np.mean(found)) / 20 - np.log(point.variance_slope)) > 0.2


@pytest.mark.parametrize(
    ("phi", "edge"),
    [
        ("tanh", 1),
        ("sin", 1),
        ("linear", 1),
        ("relu", 2),
        ("erf", np.pi / 4),
        ("erf-sqrt2", np.pi / 2),
    ],
)
def test_edges_known_without_biases(phi, edge):
    assert mf.edge_of_chaos(phi).weight_variance == pytest.approx(edge, rel=1e-12)
    for factor, phase in ((0.98, "ordered"), (1.02, "chaotic")):
        assert mf.criticality(phi, factor * edge).phase == phase


@pytest.mark.parametrize("b", [0.01, 0.05, 0.3, 1.0])
@pytest.mark.parametrize("phi", ["tanh", "erf", "sigmoid", "sin"])
def test_chi_is_one_on_the_edge(phi, b):
    edge = mf.edge_of_chaos(phi, b)
    point = mf.criticality(phi, edge.weight_variance, b)
    assert point.chi_1 == pytest.approx(1, abs=1e-7)
    assert point.q_star == pytest.approx(edge.q_star, rel=1e-6)
    assert point.variance_slope < 0.99  # the slope of the variance map is another number
    assert mf.criticality(phi, 1.1 * edge.weight_variance, b).chi_1 > 1.01


@pytest.mark.parametrize(
    "law", [("tanh", 1.5, 0.05), ("tanh", 3, 0.2), ("erf", 2, 0.1), ("relu", 1.5, 0.3)]
)
def test_slopes_are_those_of_the_maps(law):
    phi, w, b = mf.activation(law[0]), *law[1:]
    point, h = mf.criticality(*law), 1e-5
    q, c = point.q_star, point.c_star

    def variance(q):
        return w * phi.second_moment(q) + b

    def correlation(c):
        return (w * phi.second_moment(q, q, c * q) + b) / q

    assert variance(q) == pytest.approx(q, rel=1e-12)
    assert correlation(c) == pytest.approx(c, abs=1e-10)
    slope = (variance(q + h) - variance(q - h)) / (2 * h)
    assert slope == pytest.approx(point.variance_slope, rel=1e-6)
    at_one = (correlation(1) - correlation(1 - h)) / h
    assert at_one == pytest.approx(point.chi_1, rel=2e-2 if law[0] == "relu" else 1e-3)
    if c < 1:
        slope = (correlation(c + h) - correlation(c - h)) / (2 * h)
        assert slope == pytest.approx(point.correlation_slope, rel=1e-6)
    q_far, c_far = mf.propagate(*law, 400, q=0.5, c=0.1)
    assert q_far[-1] == pytest.approx(q, rel=1e-8)
    assert c_far[-1] == pytest.approx(c, abs=1e-4 if c < 1 else 1e-3)


def test_relu_at_its_edge_keeps_the_variance():
    point = mf.criticality("relu", 2.0, start=0.7)
    assert (point.q_star, point.chi_1, point.phase, point.xi_c) == (0.7, 1, "critical", np.inf)
    assert point.mean_squared_singular_value(50) == 1
    grown = mf.criticality("relu", 2.5)
    assert (grown.q_star, grown.chi_1) == (np.inf, 1.25)
    assert "grows without bound" in grown.reason
    assert "falls to 0" in mf.criticality("tanh", 0.5).reason
    assert mf.criticality("gelu", 3.0).phase == "unbounded"
    assert mf.criticality("tanh", 3.0).c_star == 0  # odd, no biases


def test_wrong_use_is_told():
    with pytest.raises(UsageError, match="weight_variance must be above 0, got 0"):
        mf.criticality("tanh", 0)
    with pytest.raises(UsageError, match="start must be a variance above 0, got -1"):
        mf.criticality("tanh", 1, start=-1)
    with pytest.raises(
        UsageError, match="phi must have an edge of chaos at bias_variance 0, got none"
    ):
        mf.edge_of_chaos("softplus")
    with pytest.raises(UsageError, match="depth must be a whole number from 1 on, got 0"):
        mf.propagate("tanh", 1, 0, 0)
    for bad in (2.5, None, "a"):
        with pytest.raises(UsageError, match="depth must be a whole number from 1 on"):
            mf.propagate("tanh", 1.0, 0.0, bad)
    with pytest.raises(UsageError, match="q_star must be a variance above 0, got 'a'"):
        mf.edge_at("tanh", "a")
    with pytest.raises(UsageError, match="q and c must be a variance above 0 and a correlation"):
        mf.propagate("tanh", 1, 0, 3, c=2)


@pytest.mark.parametrize("phi", ["tanh", "erf", "erf-sqrt2"])
def test_edge_at_a_variance_is_the_edge_with_its_biases(phi):
    point = mf.edge_at(phi, 0.1)
    back = mf.criticality(phi, point.weight_variance, point.bias_variance, start=0.1)
    assert back.q_star == pytest.approx(0.1, rel=1e-6)
    assert back.chi_1 == pytest.approx(1, abs=1e-9)
    edge = mf.edge_of_chaos(phi, point.bias_variance)
    assert edge.q_star == pytest.approx(0.1, rel=1e-6)
    assert edge.weight_variance == pytest.approx(point.weight_variance, rel=1e-6)


def test_edge_at_scale_free_activations_and_none():
    point = mf.edge_at("relu", 3.0)
    assert (point.weight_variance, point.bias_variance) == (2.0, 0.0)
    with pytest.raises(UsageError, match=r"holds the variance 0\.1, got sigma_b\^2 = -4"):
        mf.edge_at("sigmoid", 0.1)
    with pytest.raises(UsageError, match=r"slope 1\.0\d for gelu"):
        mf.edge_at("gelu", 0.1)  # the variance runs away from it
    with pytest.raises(UsageError, match="q_star must be a variance above 0, got 0"):
        mf.edge_at("tanh", 0)
