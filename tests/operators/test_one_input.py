"""One input that is not a batch of one: sequences with time along axis 0, graphs, time steps."""

import pytest
import torch
from torch import nn

import gauntlet
import nakami
from nakami.results import UsageError

DOUBLE = torch.float64


class Last(nn.Module):
    """The last state of an LSTM in torch's default order."""

    def __init__(self):
        super().__init__()
        self.cell, self.out = nn.LSTM(3, 4), nn.Linear(4, 2)

    def forward(self, x):
        return self.out(self.cell(x)[0][-1])


class Timed(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.out = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x, t):
        return self.out(torch.tanh(self.a(x) + t))


def dense(model, x):
    """By torch.autograd, of all outputs by all floating tensors."""
    parts = x if isinstance(x, tuple) else (x,)
    floats = [p for p in parts if p.is_floating_point()]

    def outputs(*values):
        left = iter(values)
        return model(*[next(left) if p.is_floating_point() else p for p in parts]).reshape(-1)

    blocks = torch.autograd.functional.jacobian(outputs, tuple(floats))
    return torch.cat([block.reshape(len(block), -1) for block in blocks], 1)


def sequence():
    torch.manual_seed(0)
    return Last().double(), torch.randn(7, 1, 3, dtype=DOUBLE)


def tagged():
    model, x = gauntlet.network("LSTM, time first")
    return model, x[:, :1]


def nodes():
    return gauntlet.network("graph")


def nodes_and_edges():
    model, x = nodes()
    return model, (x, model.edges)


def pooled_to_one():
    model, x = nodes()
    return nn.Sequential(model, nn.Flatten(0), nn.Linear(24, 2).double()), x


def timed():
    torch.manual_seed(0)
    x = torch.randn(1, 3, dtype=DOUBLE)
    return Timed().double(), (x, torch.tensor(0.3, dtype=DOUBLE))


@pytest.mark.parametrize("make", [sequence, tagged, nodes, nodes_and_edges, pooled_to_one, timed])
def test_an_input_whose_rows_mix_is_taken_whole(make):
    model, x = make()
    op = nakami.jacobian(model, x)
    torch.testing.assert_close(op.dense(), dense(model, x), rtol=1e-9, atol=1e-12)
    assert nakami.stages(model, x)[0].size == op.shape[1]
    torch.testing.assert_close(op.at_current_weights().dense(), op.dense(), rtol=0, atol=0)


def test_the_parameters_of_a_network_at_one_sequence():
    model, x = sequence()
    op = nakami.jacobian(model, x, wrt="parameters")
    reference = gauntlet.Reference(model)
    want = torch.autograd.functional.jacobian(
        lambda flat: reference.outputs(flat, x).reshape(-1), reference.point
    )
    torch.testing.assert_close(op.dense(), want, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("make", [sequence, nodes])
def test_an_xray_of_one_input(make):
    model, x = make()
    run = nakami.xray(model, x, stages=["output"])
    want = torch.linalg.svdvals(dense(model, x))
    assert len(run.spectra) == 1
    assert tuple(run.inputs.shape) == (1, *x.shape)
    torch.testing.assert_close(torch.as_tensor(run.spectra[0].values), want, rtol=1e-7, atol=1e-12)


def test_rows_that_are_examples_are_a_batch():
    model, x = gauntlet.network("sorted")
    with pytest.raises(UsageError, match=r"x must hold one example, .* got shape \(8, 4\)"):
        nakami.jacobian(model, x)
    assert nakami.xray(model, x, stages=["output"]).settings["n_inputs"] == 8
    with pytest.raises(UsageError, match=r"x must hold one example, .* got shape \(5, 3\)"):
        nakami.jacobian(Timed(), (torch.ones(5, 3), torch.tensor(1.0)))


def test_a_time_step_belongs_to_all_examples():
    model, (x, t) = timed()
    x, y = torch.randn(6, 3, dtype=DOUBLE), torch.randn(6, 2, dtype=DOUBLE)
    want = gauntlet.Reference(model, lambda m, x: m(x, t)).ggn(x, y, nn.MSELoss())
    for budget in (None, 3000):
        op = nakami.ggn(model, [((x, t), y)], "mse", memory_budget=budget)
        torch.testing.assert_close(op.dense(), want, rtol=1e-9, atol=1e-12)
