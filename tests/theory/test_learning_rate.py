"""Learning rates that the order parameters predict, against training by torch's own SGD."""

import numpy as np
import pytest
import torch

from nakami.results import UsageError
from nakami.theory import meanfield as mf
from wide_networks import LAWS, draw, forward, kernel

SAMPLES = 100


def test_learning_rates_follow_the_loss_and_the_method():
    order = mf.order_parameters((50, 50, 50, 10), "tanh", 3, 0.64)
    half, largest = mf.learning_rate(order, 100), mf.fisher_statistics(order, 100).largest
    assert half.limit == 2 / largest
    assert half.fastest == pytest.approx(2 / (largest + half.statistics.bulk))
    assert half.advised == pytest.approx(0.75 * 2 / half.statistics.largest_edge)
    assert half.statistics.largest_edge > 1.3 * half.statistics.largest
    assert mf.learning_rate(order, 100, "mean").limit == pytest.approx(half.limit * 5)
    assert mf.learning_rate(order, 100, "sum").limit == pytest.approx(half.limit / 200)
    assert mf.learning_rate(order, 100, 4).limit == pytest.approx(half.limit / 4)
    heavy = mf.learning_rate(order, 100, momentum=0.9)
    assert (heavy.limit, heavy.fastest) == (pytest.approx(1.9 * half.limit), None)
    nesterov = mf.learning_rate(order, 100, momentum=0.9, nesterov=True)
    assert nesterov.limit == pytest.approx(1.9 / 2.8 * half.limit)
    assert mf.learning_rate(order, 10).limit < half.limit  # a small batch is sharper
    assert mf.learning_rate(order, 10).statistics.largest == mf.fisher_statistics(order, 10).largest


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_training_settles_below_the_limit_and_not_far_above(reduction):
    """Teacher and student of one law, torch's own loss and SGD, 60 full steps."""
    rng, widths = np.random.default_rng(5), (150,) * 4 + (10,)
    student, x = draw(widths, *LAWS["tanh"], rng), rng.standard_normal((SAMPLES, 150))
    targets = torch.tensor(forward(draw(widths, *LAWS["tanh"], rng), x, "tanh")[1][-1])
    order = mf.order_parameters(widths, "tanh", *LAWS["tanh"])
    limit = mf.learning_rate(order, SAMPLES, reduction).limit

    def train(rate):
        parameters = [torch.tensor(a, requires_grad=True) for layer in student for a in layer]
        step, losses = torch.optim.SGD(parameters, rate), []
        for _ in range(60):
            h = torch.tensor(x)
            for i in range(0, len(parameters), 2):
                h = torch.addmm(parameters[i + 1], h if i == 0 else h.tanh(), parameters[i].T)
            loss = torch.nn.functional.mse_loss(h, targets, reduction=reduction)
            step.zero_grad()
            loss.backward()
            step.step()
            losses.append(float(loss.detach()))
        return losses[-1] / losses[0]

    assert train(0.9 * limit) < 0.2
    assert not train(4 * limit) < 1


@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.5, False), (0.9, True)])
def test_limits_with_momentum_are_those_of_torchs_sgd(momentum, nesterov):
    """One direction of curvature a lambda_max: shrinks just below the limit, grows above."""
    order = mf.order_parameters((50, 50, 50, 10), "tanh", 3, 0.64)
    found = mf.learning_rate(order, 100, "mean", momentum=momentum, nesterov=nesterov)

    def size_after(rate):
        x = torch.ones(1, dtype=torch.float64, requires_grad=True)
        sgd = torch.optim.SGD([x], rate, momentum=momentum, nesterov=nesterov)
        for _ in range(2000):
            sgd.zero_grad()
            (found.factor * found.statistics.largest * x**2 / 2).sum().backward()
            sgd.step()
        return abs(float(x.detach()))

    assert size_after(0.99 * found.limit) < 1e-2
    assert size_after(1.01 * found.limit) > 1e2


def test_batches_are_sharper_as_told():
    rng, widths = np.random.default_rng(1), (800,) * 4 + (1,)
    net, x = draw(widths, *LAWS["tanh"], rng), rng.standard_normal((SAMPLES, 800))
    theta, _ = kernel(net, x, "tanh")
    batches = [rng.choice(SAMPLES, 10, replace=False) for _ in range(50)]
    found = np.mean([np.linalg.eigvalsh(theta[np.ix_(b, b)] / 10)[-1] for b in batches])
    order = mf.order_parameters(widths, "tanh", *LAWS["tanh"])
    expected = [mf.learning_rate(order, n).statistics.largest for n in (10, SAMPLES)]
    assert expected[0] > 1.3 * expected[1]
    assert abs(found / expected[0] - 1) < 0.12


def test_wrong_use_is_told():
    order = mf.order_parameters((5, 5, 1), "relu", 2)
    with pytest.raises(
        UsageError, match=r"reduction must be one of .*, got 'none'; pass one of them, or a number"
    ):
        mf.learning_rate(order, 5, "none")
    for bad in (np.inf, None):
        with pytest.raises(UsageError, match="reduction must be above 0"):
            mf.learning_rate(order, 5, bad)
    with pytest.raises(UsageError, match=r"momentum must lie in \[0, 1\), got 'a'"):
        mf.learning_rate(order, 5, momentum="a")
    with pytest.raises(UsageError, match="reduction must be above 0, got -1"):
        mf.learning_rate(order, 5, -1)
    with pytest.raises(UsageError, match=r"momentum must lie in \[0, 1\), got 1"):
        mf.learning_rate(order, 5, momentum=1)
