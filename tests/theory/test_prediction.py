"""All of the theory for one network, against its parts and against drawn networks."""

import numpy as np
import pytest
from scipy.special import softmax

from nakami.results import UsageError
from nakami.theory import meanfield

NET = (784, 300, 200, 10)


@pytest.mark.parametrize(
    ("loss", "reduction"), [("half", "half"), ("mse", "mean"), ("mse_sum", "sum")]
)
def test_squared_error_is_what_the_parts_say(loss, reduction):
    found = meanfield.predict(NET, "tanh", 3, 0.64, samples=50, loss=loss)
    order = meanfield.order_parameters(NET, "tanh", 3, 0.64)
    rate = meanfield.learning_rate(order, 50, reduction)
    assert found.rates.limit == rate.limit
    assert found.rates.advised == pytest.approx(rate.advised)
    assert found.rates.advised < found.rates.safe < found.rates.limit
    assert found.statistics == meanfield.fisher_statistics(order, 50)
    assert found.softmax is None
    assert found.criticality.chi_1 == pytest.approx(meanfield.criticality("tanh", 3, 0.64).chi_1)


def test_the_map_holds_the_network_and_falls_like_one_over_width():
    for loss in ("mse", "cross_entropy"):
        found = meanfield.predict((500, 500, 500, 5), "relu", 2, samples=20, loss=loss)
        here = found.widths.index(500)
        assert found.by_width[here].limit == pytest.approx(found.rates.limit, rel=1e-9)
        assert found.by_width[here].safe == pytest.approx(found.rates.safe, rel=1e-9)
        assert list(found.widths) == sorted(found.widths)
        limits = [r.limit for r in found.by_width]
        assert np.all(np.diff(limits) < 0)
        ratio = found.by_width[-1].limit / found.by_width[-3].limit  # half the width
        assert ratio == pytest.approx(0.5, rel=0.05)
        assert all(r.safe < r.limit for r in found.by_width)


def test_cross_entropy_bounds_of_drawn_outputs():
    found = meanfield.predict(NET, "tanh", 3, 0.64, samples=60, loss="cross_entropy")
    order = found.order
    lower = []
    rng = np.random.default_rng(5)
    for _ in range(30):  # random functions with the outputs' covariance, by Cholesky
        covariance = np.full((60, 60), order.q2[-1]) + np.eye(60) * (order.q1[-1] - order.q2[-1])
        f = np.linalg.cholesky(covariance) @ rng.standard_normal((60, 10))
        lower.append(meanfield.cross_entropy_bounds(order, softmax(f, axis=1)).lower)
    error = (found.softmax_sd.lower**2 / 20 + np.var(lower) / 30) ** 0.5
    assert found.softmax.lower == pytest.approx(np.mean(lower), abs=4 * error)
    assert found.rates.limit == pytest.approx(2 / found.softmax.lower)
    assert found.rates.fastest is None
    again = meanfield.predict(NET, "tanh", 3, 0.64, samples=60, loss="cross_entropy")
    assert again.softmax == found.softmax


def test_no_depth_scale_for_layers_that_differ():
    found = meanfield.predict((50, 50, 50, 50, 5), "relu", [2, 2, 1, 1], samples=5)
    assert found.criticality is None


def test_wrong_loss():
    with pytest.raises(UsageError, match=r"loss 'mze' is unknown; nearest.*'mse'"):
        meanfield.predict(NET, "tanh", 3, samples=5, loss="mze")
    with pytest.raises(UsageError, match="loss '3' is unknown"):
        meanfield.predict(NET, "tanh", 3, samples=5, loss=3)
    with pytest.raises(UsageError, match="seed must be a whole number from 0"):
        meanfield.predict(NET, "tanh", 3, samples=5, loss="cross_entropy", seed=-1)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("loss", ["mse", "half", "cross_entropy"])
def test_without_curvature_every_rate_is_stable(loss):
    found = meanfield.predict(NET, "tanh", 0.0, samples=5, loss=loss)
    assert found.statistics.largest == 0
    assert found.rates.limit == found.rates.safe == found.rates.advised == np.inf
    assert found.criticality is None
