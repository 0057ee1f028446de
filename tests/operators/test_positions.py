"""Jacobians that end at one position of a sequence, or at the mean over all."""

import numpy as np
import pytest
import torch
from torch import nn

import nakami
from nakami import View
from nakami.dynamics.experiments.perturbation import perturbation
from nakami.results import UsageError

T, D, KINDS = 5, 4, 3


class Mixer(nn.Module):
    """Sequences (1, T, D): layers and sums over earlier positions; logits (1, T, KINDS)."""

    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(D, D), nn.Linear(D, KINDS)

    def forward(self, x):
        return self.head(torch.tanh(self.body(x.cumsum(1))).cumsum(1))


class Pooled(Mixer):
    """One vector at the end."""

    def forward(self, x):
        return super().forward(x).mean(1)


READ = {"last": lambda z: z[0, -1], "mean": lambda z: z[0].mean(0), 1: lambda z: z[0, 1]}


def made(kind=Mixer):
    torch.manual_seed(0)
    return kind().double(), torch.randn(1, T, D, dtype=torch.float64)


def dense(model, x, read):
    found = torch.autograd.functional.jacobian(lambda v: read(model(v)), x)
    return found.reshape(KINDS, T * D)


@pytest.mark.parametrize("positions", READ)
def test_jacobians_end_where_they_are_asked_to(positions):
    model, x = made()
    wanted = dense(model, x, READ[positions])
    op = nakami.jacobian(View(model, positions=positions), x)
    assert op.shape == (KINDS, T * D)
    torch.testing.assert_close(op.dense(), wanted, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(op.T @ (op @ wanted[0]), wanted.T @ (wanted @ wanted[0]))
    with pytest.raises(AssertionError, match="Tensor-likes are not close"):
        torch.testing.assert_close(op.dense(), 1.001 * wanted, rtol=1e-10, atol=1e-12)
    with torch.no_grad():
        model.body.weight.mul_(2)
    wanted = dense(model, x, READ[positions])
    torch.testing.assert_close(op.at_current_weights().dense(), wanted, rtol=1e-10, atol=1e-12)


def test_of_a_position_from_the_end():
    model, x = made()
    last, other = (nakami.jacobian(View(model, positions=p), x).dense() for p in ("last", -1))
    assert torch.equal(last, other)


def test_by_the_parameters():
    model, x = made()
    op = nakami.jacobian(View(model, positions="last"), x, wrt="parameters", params="head.*")
    found = torch.func.jacrev(lambda p: torch.func.functional_call(model, p, (x,))[0, -1])(
        dict(model.named_parameters())
    )
    wanted = torch.cat([found[n].reshape(KINDS, -1) for n in ("head.weight", "head.bias")], 1)
    torch.testing.assert_close(op.dense(), wanted, rtol=1e-10, atol=1e-12)


def test_an_xray_reads_every_stage_there():
    model, x = made()
    run = nakami.xray(View(model, positions="last"), x, stages=["body", "output"], layers=True)
    assert run.settings["positions"] == "last"
    assert [s.shape for s in run.stages] == [(T, D), (D,), (KINDS,)]
    wanted = torch.linalg.svdvals(dense(model, x, READ["last"])).numpy()
    np.testing.assert_allclose(run.at("output")[0].values, wanted, rtol=1e-9)
    own = run.at("output", None)[0]  # from all positions of the stage before
    assert own.shape == (KINDS, T * D)


def test_decisions_at_one_position():
    model, x = made()
    view = View(model, positions="last")
    run = nakami.xray(view, x, stages=["output"])
    assert perturbation(view, x, run).settings["decides"]
    with pytest.raises(UsageError, match=r"positions must be those of the x-ray, got 'all'"):
        perturbation(model, x, run)


def test_a_stage_that_is_one_vector_is_read_as_it_is():
    model, x = made(Pooled)
    view = View(model, positions="last")
    assert torch.equal(nakami.jacobian(view, x).dense(), nakami.jacobian(model, x).dense())


def test_a_run_at_other_positions_is_another(tmp_path):
    model, x = made()
    nakami.xray(View(model, positions="last"), x, stages=["output"], out=tmp_path)
    for other in (View(model, positions="mean"), model):
        with pytest.raises(UsageError, match="positions"):
            nakami.xray(other, x, stages=["output"], out=tmp_path)


@pytest.mark.parametrize("bad", ["first", 1.5, None, True])
def test_what_names_no_position(bad):
    with pytest.raises(
        UsageError, match=r"positions must be 'all', 'last', 'mean' or the number of a position"
    ):
        View(nn.Identity(), positions=bad)


def test_positions_that_are_not_there():
    model, x = made()
    with pytest.raises(UsageError, match=r"positions must be from -5 to 4, .* 'output', got 5"):
        nakami.jacobian(View(model, positions=5), x, to="output")
    with pytest.raises(UsageError, match=r"come with a network whose stages have positions"):
        nakami.jacobian(View(nn.Linear(4, 2), positions="last"), torch.randn(1, 4))
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(2))
    with pytest.raises(UsageError, match=r"come with stages \(positions, components\), got '0' of"):
        nakami.jacobian(View(net, positions="last"), torch.randn(1, 1, 5, 5), to="0")


def test_a_lens_has_positions_of_its_own():
    model, x = made()
    with pytest.raises(UsageError, match=r"model must be read at all positions, got a View"):
        nakami.lens(View(model, positions="last"), x, "body", "output")
