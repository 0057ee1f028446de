"""The gradient-noise scale against problems whose covariance is known."""

import math

import pytest
import torch
from torch import nn

import nakami
from nakami.geometry.rate._noise import NoiseScale, noise_of, noise_scale
from nakami.results import UsageError

DEVIATION = torch.tensor([3.0, 1.0, 0.5, 0.0, 2.0], dtype=torch.float64)
MEAN = torch.tensor([1.0, -0.5, 0.0, 0.2, 0.3], dtype=torch.float64)
TRACE, SQUARED = float(DEVIATION.square().sum()), float(MEAN.square().sum())


def draw(generator, sizes, mean=MEAN):
    """Mean gradients of batches of Gaussian samples with known mean and covariance."""
    noise = torch.randn(len(sizes), 5, generator=generator, dtype=torch.float64)
    root = torch.tensor(sizes, dtype=torch.float64).sqrt()
    return list(mean + DEVIATION * noise / root[:, None])


def many(n, sizes, mean=MEAN):
    generator = torch.Generator().manual_seed(0)
    return [noise_scale(draw(generator, sizes, mean), sizes) for _ in range(n)]


@pytest.mark.parametrize("sizes", [[4] * 6, [1, 2, 9, 30], [7, 7]])
def test_both_parts_are_unbiased(sizes):
    found = many(1500, sizes)
    for name, wanted in (("trace", TRACE), ("squared_norm", SQUARED)):
        values = torch.tensor([getattr(f, name) for f in found])
        error = float(values.std()) / len(found) ** 0.5
        assert float(values.mean()) == pytest.approx(wanted, abs=4 * error)
        assert error < 0.1 * wanted
    naive = torch.tensor([f.squared_norm + f.trace / sum(sizes) for f in found])  # |m|^2
    assert float(naive.mean()) > SQUARED + 8 * float(naive.std()) / len(found) ** 0.5


def test_value_and_jackknife_error_of_many_batches():
    found = many(200, [20] * 40)
    values = torch.tensor([f.value for f in found])
    wanted = TRACE / SQUARED
    assert float(values.median()) == pytest.approx(wanted, rel=0.05)
    said = torch.tensor([f.error for f in found]).mean()
    assert float(said) == pytest.approx(float(values.std()), rel=0.15)
    assert all(f.at_least < f.value for f in found)


def test_bound_holds_as_often_as_it_says():
    for sizes in ([20] * 10, [2] * 30, [3, 3, 10, 20, 20]):
        found = many(600, sizes)
        held = sum(f.at_least <= TRACE / SQUARED for f in found) / len(found)
        assert held >= 0.88  # jackknife errors of few batches are rough
        assert sum(f.value is not None and f.value <= TRACE / SQUARED for f in found) < 0.7 * 600


def test_no_gradient_no_value():
    found = many(500, [5] * 8, torch.zeros(5))
    told = [f for f in found if f.value is not None]
    assert len(told) <= 0.08 * len(found)  # 5 % would be by chance
    one = next(f for f in found if f.value is None)
    assert one.error is None
    assert "cannot be distinguished from 0 with 8 batches" in one.reason
    assert one.at_least > one.batch
    assert "at least" in one.advice or "noise" in one.advice


def test_two_batches_have_no_error():
    found = noise_scale([torch.ones(3), torch.tensor([1.0, 1.0, 2.0])], [4, 4])
    assert found.trace == pytest.approx(4 * 0.5)
    assert found.squared_norm == pytest.approx(4.0)  # the product of the two
    assert found.value == pytest.approx(0.5)
    assert found.error is None
    assert "no standard error" in found.reason
    opposed = noise_scale([torch.ones(3), -torch.ones(3)], [4, 4])
    assert opposed.value is None
    assert "cannot be distinguished from 0" in opposed.reason


def test_equal_gradients_have_no_noise():
    found = noise_scale([torch.ones(3)] * 4, [2] * 4)
    assert (found.value, found.error, found.trace) == (0.0, 0.0, 0.0)
    assert "diminish" in found.advice


def test_scaling_of_the_loss_changes_nothing():
    one = draw(torch.Generator().manual_seed(1), [8] * 5)
    a, b = (noise_scale([c * g for g in one], [8] * 5) for c in (1.0, 1e-3))
    assert a.value == pytest.approx(b.value)
    assert a.advice == b.advice


@pytest.mark.parametrize(
    ("scale", "words"), [(1000, "linear"), (50, "begins to fade"), (2, "diminish")]
)
def test_advice_follows_the_scale(scale, words):
    generator = torch.Generator().manual_seed(0)
    deviation = math.sqrt(scale / 500)  # |G| = 1
    noise = torch.randn(400, 500, generator=generator, dtype=torch.float64) * deviation
    gradients = torch.eye(500, dtype=torch.float64)[0] + noise / 10**0.5
    found = noise_scale(list(gradients), [10] * 400)
    assert found.value == pytest.approx(scale, rel=0.15)
    assert words in found.advice
    assert "at these weights" in found.advice
    assert ". " not in found.advice  # one sentence
    assert isinstance(found, NoiseScale)


def test_batches_of_a_network_against_gradients_of_each_sample():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(24, 4, generator=generator, dtype=torch.float64)
    y = torch.randint(0, 3, (24,), generator=generator)
    model = nn.Linear(4, 3).double()
    each = [nakami.fisher(model, (x[i : i + 1], y[i : i + 1]), "cross_entropy") for i in range(24)]
    gradients = torch.stack([op.gradient() for op in each])
    parts = [slice(0, 6), slice(6, 8), slice(8, 20), slice(20, 24)]
    wanted = noise_scale([gradients[s].mean(0) for s in parts], [6, 2, 12, 4])
    for reduction in ("mean", "sum"):
        loss = nn.CrossEntropyLoss(reduction=reduction)
        found = noise_of(nakami.ggn(model, [(x[s], y[s]) for s in parts], loss))
        assert found.trace == pytest.approx(wanted.trace)
        assert found.squared_norm == pytest.approx(wanted.squared_norm)
        assert found.batch == 6
    assert noise_of(nakami.ggn(model, (x, y), "cross_entropy")) is None


@pytest.mark.parametrize(
    ("gradients", "samples", "message"),
    [
        ([torch.ones(3)], [4], "gradients must come from two batches or more, got 1"),
        ([torch.ones(3)] * 2, [4], "samples must be 2 whole numbers"),
        ([torch.ones(3)] * 2, [4, 0], "samples must be 2 whole numbers"),
        ([torch.ones(3)] * 2, [4, math.nan], "samples must be 2 whole numbers"),
        ([torch.ones(3)] * 2, [4, math.inf], "samples must be 2 whole numbers"),
        ([torch.ones(3)] * 2, [4, "a"], "samples must be 2 whole numbers"),
        ([torch.ones(3)] * 2, [4, True], "samples must be 2 whole numbers"),
        ([torch.ones(3)] * 2, 4, "samples must be 2 whole numbers"),
        ([torch.ones(3), torch.ones(3) * 1j], [4, 4], "must be flat tensors of real numbers"),
        (
            [torch.ones(3), torch.ones(2)],
            [4, 4],
            "must have the length 3 of the first, got 2 in number 1",
        ),
        ([torch.ones(3), torch.ones(3) * torch.nan], [4, 4], "NaN or infinity in number 1"),
    ],
)
def test_wrong_use(gradients, samples, message):
    with pytest.raises(UsageError, match=message):
        noise_scale(gradients, samples)


def test_gradients_beyond_the_budget_are_left_out():
    torch.manual_seed(0)
    model, x = torch.nn.Linear(4, 3).double(), torch.randn(12, 4, dtype=torch.float64)
    data = [(x[i : i + 3], torch.tensor([0, 1, 2])) for i in range(0, 12, 3)]
    op = nakami.ggn(model, data, "cross_entropy")
    assert noise_of(op).n_batches == 4
    assert noise_of(op, 3 * 4 * 15 * 8).n_batches == 3  # three gradients of 15 numbers
    assert noise_of(op, 1).n_batches == 2
