"""The pure functions against closed forms, against simulation and against each other."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from companions import companion, growth, spectral_radius
from nakami.geometry.rate._rule import Rule

RULES = [
    Rule(),
    Rule(0.5),
    Rule(0.9),
    Rule(0.9, 0.3),
    Rule(0.5, nesterov=True),
    Rule(0.9, nesterov=True),
    Rule(0.9, 0.1),
]


@pytest.mark.parametrize(
    ("rule", "reach"),
    [
        (Rule(), 2),
        (Rule(0.9), 3.8),
        (Rule(0.9, nesterov=True), 3.8 / 2.8),
        (Rule(0.9, 0.1), 38),  # Adam
    ],
)
def test_closed_forms(rule, reach):
    assert rule.limit(4.0) == pytest.approx(reach / 4)
    assert rule.stability_threshold / rule.limit(4.0) == pytest.approx(4)


@given(st.floats(0, 0.999), st.floats(0.01, 1), st.floats(0.01, 100), st.booleans())
def test_the_border_is_where_the_spectral_radius_is_one(momentum, weight, curvature, nesterov):
    rule = Rule(momentum, 1.0 if nesterov else weight, nesterov)
    border = rule.limit(curvature)
    assert spectral_radius(companion(rule, border, curvature)) == pytest.approx(1, abs=1e-6)
    assert growth(rule, 1.001 * border, curvature) > 1
    for share in (0.01, 0.3, 0.7, 0.999):
        assert growth(rule, share * border, curvature) < 1


@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize("rule", RULES)
def test_one_step_against_the_update_written_out(rule, decay):
    rate, h, u, m = 0.7, 1.3, 0.4, -0.2
    g = h * u
    average = rule.momentum * m + rule.weight * g
    step = g + rule.momentum * average if rule.nesterov else average
    wanted = torch.tensor([(1 - rate * decay) * u - rate * step, average], dtype=torch.float64)
    found = companion(rule, rate, h, decay) @ torch.tensor([u, m], dtype=torch.float64)
    assert found == pytest.approx(wanted)


@pytest.mark.parametrize("rule", RULES)
def test_where_few_batches_curve_the_mean_square_grows_beyond_the_noise_threshold(rule):
    """One batch in 10,000 has curvature 1, the others 0: exact second moments of the state."""

    def radius(rate):
        def squared(curvature):
            step = companion(rule, rate, curvature).numpy()
            return np.kron(step, step)

        moments = 1e-4 * squared(1.0) + (1 - 1e-4) * squared(0.0)
        return max(abs(np.linalg.eigvals(moments)))

    assert radius(0.99 * rule.noise_threshold) < 1 < radius(1.01 * rule.noise_threshold)
    assert rule.noise_threshold <= rule.stability_threshold


def test_no_curvature_has_no_limit():
    assert Rule().limit(0.0) == float("inf")


def test_growth_of_plain_descent():
    assert growth(Rule(), 1.1, 2.0) == pytest.approx(1.2**2)
    assert growth(Rule(0.9), 1.1, 2.0) != pytest.approx(1.2**2)


@pytest.mark.parametrize("share", [0.98, 1.02, 1.1])
@pytest.mark.parametrize("rule", [Rule(), Rule(0.9), Rule(0.9, nesterov=True), Rule(0.9, 0.1)])
def test_growth_is_that_of_the_recurrence_of_positions(rule, share):
    rate, h, mu = share * rule.limit(3.0), 3.0, rule.momentum
    still = 1 - rate * h  # momentum eliminated: u'' = a u' - b u
    a, b = 1 + mu - rate * rule.weight * h, mu
    if rule.nesterov:
        a, b = (1 + mu) * still, mu * still
    wanted = np.abs(np.roots([1, -a, b])).max() ** 2
    assert growth(rule, rate, h) == pytest.approx(wanted, rel=1e-9)
    assert (wanted > 1) == (share > 1)
