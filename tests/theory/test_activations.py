"""Gaussian averages against simulation, quadrature written otherwise, and known values."""

import numpy as np
import pytest
from scipy.integrate import quad

from nakami.results import NakamiWarning, UsageError
from nakami.theory import meanfield as mf

PAIRS = [(1.0, 1.0, 0.5), (3.64, 0.7, -1.2), (0.3, 2.0, 0.7)]


def by_quadrature(f, q):
    """E[f(sqrt(q) z)] by an adaptive rule."""
    value, error = quad(
        lambda z: f(np.sqrt(q) * z) * np.exp(-z * z / 2) / np.sqrt(2 * np.pi),
        -12,
        12,
        points=np.array([-0.3, -0.1, -0.03, 0, 0.03, 0.1, 0.3]),
        epsabs=0,
        epsrel=1e-12,
        limit=2000,
    )
    assert error < 1e-10 * abs(value)
    return value


@pytest.mark.parametrize("name", mf.ACTIVATIONS)
def test_pairs_match_a_simulation(name):
    phi, z = mf.activation(name), np.random.default_rng(0).standard_normal((2, 200_000))
    for q_s, q_t, q_st in PAIRS:
        x = np.sqrt(q_s) * z[0]
        y = q_st / q_s * x + np.sqrt(q_t - q_st**2 / q_s) * z[1]
        for f, found in (
            (phi, phi.second_moment(q_s, q_t, q_st)),
            (phi.derivative, phi.derivative_moment(q_s, q_t, q_st)),
        ):
            products = f(x) * f(y)
            assert abs(products.mean() - found) < 5 * products.std() / 200_000**0.5 + 1e-12
            assert abs(products.mean() - 1.05 * found) > 1e-5 or abs(found) < 1e-3


@pytest.mark.parametrize("name", mf.ACTIVATIONS)
@pytest.mark.parametrize("q", [0.05, 3.64, 30.0, 700.0])
def test_one_variable_matches_an_adaptive_rule(name, q):
    phi = mf.activation(name)
    square = by_quadrature(lambda x: float(phi(x)) ** 2, q)
    slopes = by_quadrature(lambda x: float(phi.derivative(x)) ** 2, q)
    rate = (phi.second_moment(q * 1.0005) - phi.second_moment(q * 0.9995)) / (q * 0.001)
    np.testing.assert_allclose(phi.second_moment(q), square, rtol=1e-9)
    np.testing.assert_allclose(phi.derivative_moment(q), slopes, rtol=1e-9)
    np.testing.assert_allclose(phi.second_moment(q, q, q), square, rtol=1e-9)  # a pair of one
    np.testing.assert_allclose(phi.second_moment_rate(q), rate, rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize("name", mf.ACTIVATIONS)
def test_the_average_of_slopes_is_the_derivative_by_the_covariance(name):
    """Price's theorem ties the two averages together."""
    phi, h = mf.activation(name), 1e-4
    up, down = (phi.second_moment(2.0, 1.1, 0.6 + e) for e in (h, -h))
    np.testing.assert_allclose((up - down) / (2 * h), phi.derivative_moment(2, 1.1, 0.6), rtol=2e-6)


def test_closed_forms_equal_the_product_rule():
    for closed, function in (("erf", mf.activation("erf")), ("linear", mf.activation("linear"))):
        phi, ruled = mf.activation(closed), mf.activation(lambda x, f=function: f(x))
        for pair in PAIRS:
            np.testing.assert_allclose(phi.second_moment(*pair), ruled.second_moment(*pair), 1e-11)
            np.testing.assert_allclose(
                phi.derivative_moment(*pair), ruled.derivative_moment(*pair), 1e-9
            )  # five-point differences


def test_known_values():
    relu, leaky = mf.activation("relu"), mf.activation("leaky_relu", slope=0.2)
    assert relu.second_moment(1, 1, 0) == pytest.approx(1 / (2 * np.pi), rel=1e-15)
    assert relu.derivative_moment(3.0) == 0.5
    assert leaky.second_moment(2.0) == pytest.approx((1 + 0.2**2) / 2 * 2, rel=1e-15)
    half = mf.activation("leaky_relu", slope=1.0)
    assert half.second_moment(2, 3, 1.1) == pytest.approx(1.1, rel=1e-15)
    assert mf.activation("erf-sqrt2").second_moment(1.0) == pytest.approx(
        2 / np.pi * np.arcsin(0.5)
    )
    assert mf.activation(relu) is relu


def test_many_pairs_at_once_and_variance_zero():
    phi, q = mf.activation("tanh"), np.linspace(0, 4, 90)
    many = phi.second_moment(q, q[::-1], 0.4 * np.sqrt(q * q[::-1]))
    single = [
        phi.second_moment(a, b, 0.4 * np.sqrt(a * b)) for a, b in zip(q, q[::-1], strict=True)
    ]
    np.testing.assert_allclose(many, single, atol=2e-8)
    for c in (0.4, 0.95):
        slopes = phi.derivative_moment(q, q[::-1], c * np.sqrt(q * q[::-1]))
        one = [
            phi.derivative_moment(a, b, c * np.sqrt(a * b)) for a, b in zip(q, q[::-1], strict=True)
        ]
        np.testing.assert_allclose(slopes, one, atol=1e-6)
    assert many[0] == 0
    assert mf.activation("sigmoid").second_moment(0.0) == pytest.approx(0.25)


@pytest.mark.parametrize("q", [1e3, 1e4, 1e6, 1e8])
def test_averages_at_large_variances(q):
    phi, root = mf.activation("tanh"), q**0.5
    # the density is flat where tanh moves: integrals of 1 - tanh^2 and of its square over the line
    flat = 1 / np.sqrt(2 * np.pi * q)
    assert phi.derivative_moment(q) == pytest.approx(4 / 3 * flat, rel=2 / q)
    assert 1 - phi.second_moment(q) == pytest.approx(2 * flat, rel=2 / q)
    slope = (phi.second_moment(q * 1.001) - phi.second_moment(q * 0.999)) / (0.002 * q)
    assert phi.second_moment_rate(q) == pytest.approx(float(slope), rel=1e-3)
    if root > 120:
        with pytest.warns(NakamiWarning, match="averages of tanh over two inputs are rough"):
            phi.second_moment(q, q, 0.3 * q)


def test_wrong_use_is_told():
    with pytest.raises(UsageError, match=r"derivative must come with a function, got it with 'tan"):
        mf.activation("tanh", np.cos)
    with pytest.raises(UsageError, match="slope must be a finite number, got 'a'"):
        mf.activation("leaky_relu", slope="a")
    with pytest.raises(UsageError, match=r"activation 'tanhh' is unknown; nearest.*'tanh'"):
        mf.activation("tanhh")
    with pytest.raises(UsageError, match="slope must come with 'leaky_relu', got it with 'tanh'"):
        mf.activation("tanh", slope=0.1)
    with pytest.raises(TypeError, match="activation must be a name or a function, got 3"):
        mf.activation(3)
    with pytest.raises(UsageError, match=r"must be smooth, got an average that moves by .* 'relu'"):
        mf.activation(lambda x: np.clip(x, -1, 1))
    with pytest.raises(UsageError, match=r"derivative must be the derivative of sin, got "):
        mf.activation(np.sin, np.tanh)
    with pytest.raises(UsageError, match="must map arrays elementwise to finite values"):
        mf.activation(lambda x: np.asarray(x).sum())
    with pytest.raises(UsageError, match=r"q_st must lie between -sqrt\(q_s q_t\)"):
        mf.activation("relu").second_moment(1, 1, 1.1)
    with pytest.raises(UsageError, match="q_s must be variances, finite and at least 0, got -1"):
        mf.activation("relu").second_moment(-1)
