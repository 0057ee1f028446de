"""Eigenvalues of real random networks beside the theory; learning rates; normalised outputs."""

import numpy as np
import pytest
import torch

import nakami
from nakami.results import UsageError
from nakami.theory import meanfield as mf
from wide_networks import LAWS, draw, forward, kernel

SAMPLES, OUTPUTS = 100, 10


def ratios(phi, width, depth=4, outputs=OUTPUTS, seed=0, samples=SAMPLES):
    """Measured over theory: trace, trace of the square, top C, largest, bulk."""
    rng = np.random.default_rng(seed)
    widths = (width,) * depth + (outputs,)
    net, x = draw(widths, *LAWS[phi], rng), rng.standard_normal((samples, width))
    theta, _ = kernel(net, x, phi)
    values = np.linalg.eigvalsh(theta / samples)[::-1]
    theory = mf.fisher_statistics(mf.order_parameters(widths, phi, *LAWS[phi]), samples)
    assert theory.n_outliers + theory.n_bulk == len(values)
    found = values.sum(), (values**2).sum(), values[:outputs].mean(), values[0]
    expected = theory.trace, theory.trace_of_square, theory.largest, theory.largest
    return np.array([*found, values[outputs:].mean()]) / [*expected, theory.bulk]


def test_the_kernel_of_these_tests_is_the_jacobians_gram_matrix():
    rng = np.random.default_rng(1)
    net, x = draw((6, 9, 8, 3), 2.0, 0.3, rng), rng.standard_normal((4, 6))
    model = torch.nn.Sequential()
    for i, (weight, bias) in enumerate(net):
        linear = torch.nn.Linear(*weight.shape[::-1], dtype=torch.float64)
        linear.load_state_dict({"weight": torch.tensor(weight), "bias": torch.tensor(bias)})
        model.append(linear)
        if i < len(net) - 1:
            model.append(torch.nn.Tanh())
    rows = [
        nakami.jacobian(model, torch.tensor(x[t : t + 1]), wrt="parameters").dense()
        for t in range(4)
    ]
    jacobian = torch.stack(rows, dim=1).reshape(12, -1).numpy()  # output first, then sample
    np.testing.assert_allclose(kernel(net, x, "tanh")[0], jacobian @ jacobian.T, rtol=1e-10)


@pytest.mark.parametrize("phi", LAWS)
def test_random_networks_at_width_1000(phi):
    trace, square, top, largest, bulk = ratios(phi, 1000)
    assert abs(trace - 1) < 0.05
    assert abs(square - 1) < 0.3
    assert abs(top - 1) < 0.1
    assert 0.95 < largest < 1.3
    assert abs(bulk - 1) < 0.05


@pytest.mark.parametrize("phi", ["relu", "tanh", "linear"])
def test_the_deviation_falls_with_width(phi):
    narrow, wide = (
        np.mean([ratios(phi, m, outputs=5, seed=s, samples=50) for s in range(n)], axis=0)
        for m, n in ((60, 8), (500, 3))
    )
    assert (np.abs(wide - 1) < np.abs(narrow - 1))[[1, 2, 3]].all()
    assert narrow[3] > 1.2  # the largest of C nearly equal ones lies above theory


def test_another_law_does_not_fit():
    """The bounds above can fail: ReLU's networks under the theory of tanh."""
    relu, tanh = (mf.order_parameters((9,) * 4 + (1,), p, *LAWS[p]) for p in ("relu", "tanh"))
    assert relu.kappa1 / tanh.kappa1 > 1.5
    assert relu.kappa2 / tanh.kappa2 > 2.5


def test_unequal_widths_and_variances():
    rng, widths = np.random.default_rng(2), (500, 900, 600, 700, 5)
    w, b = (1.0, 2.5, 1.5, 2.0), (0.2, 0.0, 0.1, 0.3)
    net, x = draw(widths, w, b, rng), rng.standard_normal((60, 500)) + 0.5
    values = np.linalg.eigvalsh(kernel(net, x, "relu")[0] / 60)[::-1]
    order = mf.order_parameters(widths, "relu", w, b, mf.start_values(x))
    theory = mf.fisher_statistics(order, 60)
    assert abs(values.sum() / theory.trace - 1) < 0.08
    assert abs(values[:5].mean() / theory.largest - 1) < 0.1
    parameters = sum(m * n for m, n in zip(widths[1:-1], widths, strict=False))
    assert theory.parameters == pytest.approx(parameters)
    assert theory.mean == pytest.approx(theory.trace / parameters)


@pytest.mark.parametrize(("phi", "width"), [("tanh", 500), ("tanh", 1000), ("relu", 1000)])
def test_subtracting_the_mean_removes_the_outlier(phi, width):
    found = []
    for seed in range(2):
        rng = np.random.default_rng(seed)
        net = draw((width,) * 4 + (1,), *LAWS[phi], rng)
        theta, _ = kernel(net, rng.standard_normal((SAMPLES, width)), phi)
        centre = np.eye(SAMPLES) - 1 / SAMPLES
        found.append(
            [np.linalg.eigvalsh(a / SAMPLES)[-1] for a in (theta, centre @ theta @ centre)]
        )
    before, after = np.mean(found, axis=0)
    order = mf.order_parameters((width,) * 4 + (1,), phi, *LAWS[phi])
    theory = mf.mean_subtracted(order, SAMPLES)
    assert before > 8 * after
    assert 1 < after / theory.largest < theory.edge / theory.largest * 1.05
    assert theory.edge / theory.largest == pytest.approx((1 + (SAMPLES / width) ** 0.5) ** 2)


def test_batch_normalisation_behind_the_last_layer():
    """Against autograd through the normalisation, summed over ten outputs of one network."""
    rng = np.random.default_rng(0)
    net, x = draw((400, 400, 400, 10), 3, 0.64, rng), rng.standard_normal((40, 400))
    theta, f = kernel(net, x, "tanh")
    values = []
    for k in range(10):
        block = theta[40 * k : 40 * k + 40, 40 * k : 40 * k + 40]
        centred = f[:, k] - f[:, k].mean()
        deviation = centred.std()
        out = centred / deviation
        gate = torch.autograd.functional.jacobian(
            lambda v: (v - v.mean()) / v.std(correction=0), torch.tensor(f[:, k])
        ).numpy()
        projector = np.eye(40) - (np.ones((40, 40)) + np.outer(out, out)) / 40
        np.testing.assert_allclose(gate, projector / deviation, atol=1e-12)
        values.append((np.linalg.eigvalsh(gate @ block @ gate.T / 40)[-1], deviation**2))
    order = mf.order_parameters((400, 400, 400, 10), "tanh", 3, 0.64)
    theory = mf.batch_normalised(order, 40)
    largest, variance = np.mean(values, axis=0)
    assert abs(variance / theory.output_variance - 1) < 0.25
    assert 1 < largest / theory.largest < 1.25 * theory.edge / theory.largest
    assert theory.largest < 0.2 * mf.fisher_statistics(order, 40).largest


def test_learning_rates_follow_the_loss_and_the_method():
    order = mf.order_parameters((50, 50, 50, 10), "tanh", 3, 0.64)
    half, largest = mf.learning_rate(order, 100), mf.fisher_statistics(order, 100).largest
    assert half.limit == 2 / largest
    assert half.fastest == pytest.approx(2 / (largest + half.bulk))
    assert half.advised == 0.75 * half.limit
    assert mf.learning_rate(order, 100, "mean").limit == pytest.approx(half.limit * 5)
    assert mf.learning_rate(order, 100, "sum").limit == pytest.approx(half.limit / 200)
    assert mf.learning_rate(order, 100, 4).limit == pytest.approx(half.limit / 4)
    heavy = mf.learning_rate(order, 100, momentum=0.9)
    assert (heavy.limit, heavy.fastest) == (pytest.approx(1.9 * half.limit), None)
    nesterov = mf.learning_rate(order, 100, momentum=0.9, nesterov=True)
    assert nesterov.limit == pytest.approx(1.9 / 2.8 * half.limit)
    assert mf.learning_rate(order, 10).limit < half.limit  # a small batch is sharper
    assert mf.learning_rate(order, 10).largest == mf.fisher_statistics(order, 10).largest


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


def test_batches_are_sharper_as_told():
    rng, widths = np.random.default_rng(1), (800,) * 4 + (1,)
    net, x = draw(widths, *LAWS["tanh"], rng), rng.standard_normal((SAMPLES, 800))
    theta, _ = kernel(net, x, "tanh")
    batches = [rng.choice(SAMPLES, 10, replace=False) for _ in range(50)]
    found = np.mean([np.linalg.eigvalsh(theta[np.ix_(b, b)] / 10)[-1] for b in batches])
    order = mf.order_parameters(widths, "tanh", *LAWS["tanh"])
    expected = [mf.learning_rate(order, n).largest for n in (10, SAMPLES)]
    assert expected[0] > 1.3 * expected[1]
    assert abs(found / expected[0] - 1) < 0.12


def test_wrong_use_is_told():
    order = mf.order_parameters((5, 5, 1), "relu", 2)
    with pytest.raises(UsageError, match="samples must be a whole number of at least 1, got 0"):
        mf.fisher_statistics(order, 0)
    with pytest.raises(UsageError, match=r"reduction must be one of .*, got 'none'; or a number"):
        mf.learning_rate(order, 5, "none")
    with pytest.raises(UsageError, match="reduction must be above 0, got -1"):
        mf.learning_rate(order, 5, -1)
    with pytest.raises(UsageError, match=r"momentum must lie in \[0, 1\), got 1"):
        mf.learning_rate(order, 5, momentum=1)
    flat = mf.order_parameters((5, 5, 1), "relu", 2, 0, (1, 1))
    with pytest.raises(UsageError, match="order must give outputs that differ between inputs"):
        mf.batch_normalised(flat, 5)
