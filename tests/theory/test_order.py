"""Order parameters against the published-style table, another quadrature, and random networks."""

import numpy as np
import pytest

from nakami import data
from nakami.results import UsageError
from nakami.theory import meanfield as mf
from wide_networks import draw, forward

TABLE = {  # kappa_1, kappa_2 at L = 2, 3, 4, 6; all widths equal, inputs N(0, 1)
    ("relu", 2, 0): (
        (2, 0.31830989),
        (1.5, 0.34285432),
        (1.33333333, 0.35346270),
        (1.2, 0.35843919),
    ),
    ("linear", 1, 0.1): ((2.1, 0.1), (1.65, 0.15), (1.53333333, 0.2), (1.5, 0.3)),
    ("erf-sqrt2", 3, 0.64): (
        (1.23786494, 0.08809046),
        (0.74201604, 0.11264598),
        (0.57086955, 0.13000244),
        (0.41745011, 0.14786275),
    ),
}
TANH = (  # by Gauss-Hermite with 101 nodes an axis, which is wrong in the fifth digit
    (1.42275675, 0.09245388),
    (0.95558760, 0.11861564),
    (0.80832459, 0.13675059),
    (0.69307689, 0.15578418),
)


class GaussHermite(mf.Activation):
    """Averages by Gauss-Hermite with a product rule, n nodes an axis."""

    name = "tanh by Gauss-Hermite"

    def __init__(self, n):
        self.z, self.weights = np.polynomial.hermite_e.hermegauss(n)
        self.weights = self.weights / self.weights.sum()

    __call__ = staticmethod(np.tanh)

    @staticmethod
    def derivative(x):
        return 1 - np.tanh(x) ** 2

    def second_moment_rate(self, q):
        raise NotImplementedError

    def _square(self, q, slopes):
        f = self.derivative if slopes else np.tanh
        return self.weights @ f(np.sqrt(q) * self.z) ** 2

    def _pair(self, q_s, q_t, c, slopes):
        f, u, v = self.derivative if slopes else np.tanh, self.z[:, None], self.z
        second = f(np.sqrt(q_t) * (c * u + np.sqrt(1 - c**2) * v))
        return self.weights @ (f(np.sqrt(q_s) * u) * second) @ self.weights


def kappas(phi, w, b, depth):
    order = mf.order_parameters((50,) * depth + (1,), phi, w, b)
    assert order.alpha == depth - 1
    return order.kappa1, order.kappa2


@pytest.mark.parametrize("law", TABLE)
def test_reference_table(law):
    for depth, row in zip((2, 3, 4, 6), TABLE[law], strict=True):
        np.testing.assert_allclose(kappas(*law, depth), row, rtol=0, atol=6e-9)
    assert kappas("relu", 2, 0, 2)[1] == pytest.approx(1 / np.pi, rel=1e-15)


def test_tanh_against_gauss_hermite():
    """The table's rule gives the table's digits; with four times the nodes it gives ours."""
    for depth, row in zip((2, 3, 4, 6), TANH, strict=True):
        np.testing.assert_allclose(
            kappas(GaussHermite(101), 3, 0.64, depth), row, rtol=0, atol=6e-9
        )
        fine = kappas(GaussHermite(321), 3, 0.64, depth)
        np.testing.assert_allclose(kappas("tanh", 3, 0.64, depth), fine, rtol=3e-9)
        assert abs(kappas("tanh", 3, 0.64, depth)[0] / row[0] - 1) < 1e-4


@pytest.mark.parametrize("phi", ["relu", "tanh", "erf-sqrt2"])
def test_random_networks_have_these_order_parameters(phi):
    """Unequal widths, variances by layer, correlated inputs: all six by layer, within 5 %."""
    rng = np.random.default_rng(3)
    widths, w, b = (600, 1200, 900, 700, 1), (1.5, 2.0, 1.2, 0.8), (0.1, 0.0, 0.3, 0.2)
    x = rng.standard_normal((12, 600)) + 0.7
    order = mf.order_parameters(widths, phi, w, b, mf.start_values(x))
    found = []
    for _ in range(3):
        net = draw(widths, w, b, rng)
        states, inputs = forward(net, x, phi)
        delta = [np.ones((12, 1))]
        for i in (2, 1, 0):
            slope = mf.activation(phi).derivative(inputs[i])
            delta.append((delta[-1] @ net[i + 1][0]) * slope)
        values = [mf.start_values(h) for h in states]
        back = [mf.start_values(d) for d in delta[:0:-1]]  # means per unit: times the width
        sizes = widths[1:-1]
        found.append(
            [
                [v.same for v in values],
                [v.other for v in values],
                [*(m * v.same for m, v in zip(sizes, back, strict=True)), 1.0],
                [*(m * v.other for m, v in zip(sizes, back, strict=True)), 1.0],
            ]
        )
    measured = np.mean(found, axis=0)
    theory = np.stack([order.q_hat1, order.q_hat2, order.q_tilde1, order.q_tilde2])
    np.testing.assert_allclose(measured[:2], theory[:2], rtol=0.05)
    np.testing.assert_allclose(measured[2:], theory[2:], rtol=0.2)  # one number an output
    assert not np.allclose(measured, theory[::-1], rtol=0.2)
    alike = mf.order_parameters(widths, phi, np.mean(w), np.mean(b), mf.start_values(x))
    assert not np.allclose(measured[:2, 1:], [alike.q_hat1[1:], alike.q_hat2[1:]], rtol=0.05)


def test_end_to_end_gain_is_the_jacobians_mean_square():
    rng, widths, found = np.random.default_rng(0), (300, 400, 500, 200), []
    x = rng.standard_normal((1, 300))
    x *= 300**0.5 / np.linalg.norm(x)
    for _ in range(8):
        net = draw(widths, 2.0, 0.1, rng)
        _, inputs = forward(net, x, "tanh")
        jacobian = net[0][0]
        for (weight, _), u in zip(net[1:], inputs, strict=False):
            jacobian = weight @ ((1 - np.tanh(u[0]) ** 2)[:, None] * jacobian)
        found.append((jacobian**2).sum() / 200)
    order = mf.order_parameters(widths, "tanh", 2.0, 0.1)
    assert np.std(found) < 0.15
    np.testing.assert_allclose(np.mean(found), order.end_to_end_gain, rtol=0.05)


def test_start_values_are_averages_over_pairs():
    x = np.random.default_rng(0).random((7, 2, 3))
    gram = x.reshape(7, 6) @ x.reshape(7, 6).T / 6
    found = mf.start_values(x)
    assert found.same == pytest.approx(np.trace(gram) / 7, rel=1e-14)
    assert found.other == pytest.approx((gram.sum() - np.trace(gram)) / 42, rel=1e-14)
    assert found.samples == 7


@pytest.mark.parametrize(
    ("phi", "w", "b", "raw", "standardised"),
    [
        ("relu", 2, 0, (0.1522, 0.0616, 171.4, 0.011671), (1.3592, 0.4938, 1374.9, 0.001455)),
        ("tanh", 3, 0.64, (0.5799, 0.3926, 1093.0, 0.00183), (0.8129, 0.2288, 637.1, 0.003139)),
        ("linear", 1, 0.1, (0.3677, 0.2763, 769.3, 0.0026), (1.5747, 0.6118, 1703.3, 0.001174)),
    ],
)
def test_mnist_predictions(phi, w, b, raw, standardised):
    """784-1000-1000-1000-10 on 60,000 digits, with start values rounded to five digits."""
    for start, expected in (((0.112, 0.04475), raw), ((1, 0.29156), standardised)):
        order = mf.order_parameters((784, 1000, 1000, 1000, 10), phi, w, b, start)
        found = mf.learning_rate(order, 60_000)
        assert order.alpha == pytest.approx(2.784)
        np.testing.assert_allclose(
            (order.kappa1, order.kappa2, found.statistics.largest, found.limit), expected, rtol=1e-3
        )


def test_start_values_of_all_digits(nakami_data):
    images = np.asarray(data.mnist(nakami_data / "mnist", flat=True).inputs)
    found = mf.start_values(images)
    assert (found.samples, *np.round((found.same, found.other), 5)) == (60_000, 0.112, 0.04475)


def test_wrong_use_is_told():
    with pytest.raises(UsageError, match=r"widths must name inputs, hidden layers and outputs"):
        mf.order_parameters((10, 1), "relu", 2)
    for widths in ((784.5, 500, 10), "abc", 5, (3, True, 2)):
        with pytest.raises(UsageError, match=r"widths must name inputs, .* whole numbers from 1"):
            mf.order_parameters(widths, "relu", 2.0)
    for start in ((np.inf, 0.0), (1.0, 2.0, 3.0), 1.0, ("a", 0.0)):
        with pytest.raises(UsageError, match=r"start must hold q_hat_1 > 0"):
            mf.order_parameters((4, 5, 2), "relu", 2.0, start=start)
    with pytest.raises(TypeError, match=r"weight_variance must be real numbers, got '2'"):
        mf.order_parameters((4, 5, 2), "relu", "2")
    with pytest.raises(UsageError, match=r"of real numbers, got \(3, 4\) of complex128"):
        mf.start_values(1j * np.ones((3, 4)))
    with pytest.raises(UsageError, match=r"weight_variance must be one number or 2, got \(3,\)"):
        mf.order_parameters((10, 10, 1), "relu", (1, 2, 3))
    with pytest.raises(UsageError, match=r"bias_variance must be finite and at least 0, got -1"):
        mf.order_parameters((10, 10, 1), "relu", 2, -1)
    with pytest.raises(UsageError, match=r"start must hold q_hat_1 > 0 and \|q_hat_2\| <= q_hat_1"):
        mf.order_parameters((10, 10, 1), "relu", 2, start=(1, 1.5))
    with pytest.raises(UsageError, match=r"phi must name 1 activation, got 2"):
        mf.order_parameters((10, 10, 1), ("relu", "tanh"), 2)
    with pytest.raises(UsageError, match=r"inputs must hold at least two examples .* got \(1, 4\)"):
        mf.start_values(np.ones((1, 4)))
    with pytest.raises(UsageError, match=r"inputs must be finite"):
        mf.start_values(np.full((3, 4), np.nan))
