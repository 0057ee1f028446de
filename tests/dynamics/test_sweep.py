"""Whole matrices of several stages from one sweep: the numbers of each stage alone."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

import nakami
from nakami.dynamics import SpectrumOptions, _sweep
from nakami.results import UsageError


class Net(nn.Module):
    """Stages of 40, 30, 24 and 5 components from 24."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        sizes = [24, 40, 30, 24, 5]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))

    def forward(self, x):
        for layer in self.layers:
            x = layer(x).sigmoid()
        return x


STAGES = ["layers.0", "layers.1", "layers.2", "layers.3"]


@pytest.fixture
def built(monkeypatch):
    """The stages that each sweep of several was built for."""
    ends, plain = [], _sweep.Jacobian

    def counted(network, x, places, to, *rest):
        ends.append(to)
        return plain(network, x, places, to, *rest)

    monkeypatch.setattr(_sweep, "Jacobian", counted)
    return ends


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_values_are_those_of_each_stage(dtype, built):
    net, x = Net().to(dtype), torch.randn(3, 24, dtype=dtype)
    run = nakami.xray(net, x, STAGES)
    assert built == [STAGES[:3]] * 3  # the last is wider than tall
    exact = Net().double()
    for spectrum in run.spectra:
        at, depth = x[spectrum.input].double(), STAGES.index(spectrum.stage)

        def stage(v, depth=depth):
            for layer in exact.layers[:depth]:
                v = layer(v).sigmoid()
            return exact.layers[depth](v)

        jac = torch.autograd.functional.jacobian(stage, at)
        eps = torch.finfo(dtype).eps
        true = torch.linalg.svdvals(jac)
        np.testing.assert_allclose(spectrum.values, true, rtol=0, atol=30 * eps * true[0])
        assert spectrum.route == "linearised"
        assert spectrum.converged


def test_a_run_that_goes_on_has_the_same_bits(tmp_path, monkeypatch):
    net, x = Net().double(), torch.randn(2, 24, dtype=torch.float64)
    whole = nakami.xray(net, x, STAGES)
    seen = []

    def stopped(done, total, left, what):
        seen.append(what)
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        nakami.xray(net, x, STAGES, out=tmp_path, progress=stopped)
    again = nakami.xray(net, x, STAGES, out=tmp_path)
    for one, other in zip(whole.spectra, again.spectra, strict=True):
        assert (one.stage, one.input) == (other.stage, other.input)
        assert np.array_equal(one.values, other.values)
        assert np.array_equal(one.right, other.right)


def test_each_alone_where_memory_or_the_number_asked_for_say_so(built):
    net, x = Net().double(), torch.randn(1, 24, dtype=torch.float64)
    nakami.xray(net, x, STAGES, k=3)
    small = SpectrumOptions(memory_budget=2 * 40 * 24 * 8 + 3 * 8 * 24 * 24 + 20000)
    nakami.xray(net, x, STAGES, spectrum=small)
    nakami.xray(net, x, STAGES[:1])
    assert built == []
    nakami.xray(net, x, STAGES[:2], layers=True)
    assert built == [STAGES[:2]]


def test_each_alone_where_no_route_takes_all(monkeypatch):
    net, x = Net().double(), torch.randn(1, 24, dtype=torch.float64)
    expected = nakami.xray(net, x, STAGES)

    def refused(*args):
        raise UsageError("to must name stages that one route can multiply.")

    monkeypatch.setattr(_sweep, "Jacobian", refused)
    found = nakami.xray(net, x, STAGES)
    for one, other in zip(expected.spectra, found.spectra, strict=True):
        np.testing.assert_allclose(one.values, other.values, rtol=1e-10)


def test_tasks_of_workers_hold_an_input_each_where_there_are_enough():
    from nakami.dynamics._plan import planned
    from nakami.operators import FunctionalModel

    net = Net().double()
    plan = planned(FunctionalModel(net), torch.randn(8, 24).double(), STAGES, None, False, None)
    pieces = [(i, source, stage) for i in range(8) for source, stage in plan.readings()]
    groups = _sweep.tasks(plan, pieces, 2)
    assert [len(group) for group in groups] == [3, 1] * 8
    assert [piece for group in groups for piece in group] == pieces
    assert [len(group) for group in _sweep.tasks(plan, pieces, 5)] == [1] * 32
