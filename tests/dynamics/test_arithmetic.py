"""Float64 beside float32, on networks whose difference is known in closed form."""

import json

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import nakami
from nakami import dynamics
from nakami.report.page._kinds import page_of
from nakami.results import Arithmetic, NakamiWarning, UsageError

TINY = 1e-9  # lost beside 1 in float32


class AtAKink(nn.Module):
    """``diag(3, 2, 1)`` behind ReLUs; the second unit is on by 1e-9, which float32 rounds to 0."""

    def __init__(self, act):
        super().__init__()
        self.first, self.last = nn.Linear(4, 3), nn.Linear(3, 3, bias=False)
        self.first.weight.data = torch.tensor([[1.0, 0, 0, 0], [0, 1, 0, 1], [0, 0, 1, 0]])
        self.first.bias.data = torch.tensor([0.0, -1, 0])
        self.last.weight.data = torch.diag(torch.tensor([3.0, 2, 1]))
        self.act = act

    def forward(self, x):
        return self.last(self.act(self.first(x)))


AT = torch.tensor([[1.0, 1, 1, TINY], [1.0, 2, 1, TINY]])


@pytest.mark.parametrize(
    ("act", "low"),
    [
        (nn.ReLU(), 0.0),
        (nn.ReLU(inplace=True), 0.0),
        (nn.LeakyReLU(0.25), 0.25),
        (nn.PReLU(init=0.5), 0.5),
        (lambda x: (x + x.abs()) / 2, 0.5),
        (lambda x: torch.where(x > 0, x, 0.1 * x), 0.1),
        (lambda x: functional.relu6(x), 0.0),
    ],
)
def test_a_unit_at_its_kink_is_found_and_explains_the_difference(act, low):
    net = AtAKink(act)
    found = dynamics.arithmetic(net, AT, nakami.xray(net, AT, ["output"]))
    # the second row of W1 has length sqrt(2); values 3, 2 sqrt(2), 1 where the unit is on
    on = np.array([3, 2 * 2**0.5, 1])
    off = np.sort([3, 2 * 2**0.5 * low, 1])[::-1]
    np.testing.assert_allclose(found.arrays["double"][:, 0], [on, on], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.arrays["single"][:, 0], [off, on], rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(found.arrays["held"][:, 0], [off, on], rtol=1e-6, atol=1e-12)
    assert found.arrays["flipped"][:, 0].tolist() == [1, 0]
    assert found.arrays["units"][:, 0].tolist() == [3, 3]
    at = found.largest()
    assert (at.input, at.cause, at.explained) == (0, "kinks", True)
    assert at.total == pytest.approx(np.abs(off / on - 1).max(), abs=1e-6)
    assert at.rest < 1e-6 < 0.1 < at.kinks
    assert found.explained() == 1


def test_a_pool_whose_largest_entry_is_another_in_float32():
    net = nn.Sequential(nn.Linear(4, 2), nn.Flatten(), nn.Unflatten(1, (1, 2)), nn.MaxPool1d(2))
    net[0].weight.data = torch.tensor([[1.0, 0, 0, 0], [0, 2, 0, 1]])
    net[0].bias.data = torch.tensor([1.0, 0])
    x = torch.tensor([[1.0, 1, 0, TINY]])  # 2 against 2 + 1e-9
    found = dynamics.arithmetic(net, x, nakami.xray(net, x, ["output"]))
    assert found.arrays["single"][0, 0, 0] == pytest.approx(1)
    assert found.arrays["double"][0, 0, 0] == pytest.approx(5**0.5)
    assert found.arrays["held"][0, 0, 0] == pytest.approx(1)
    assert found.flipped() == (1, 1)
    assert found.largest().cause == "kinks"


def test_a_smooth_network_differs_by_rounding_alone():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(20, 30), nn.GELU(), nn.Linear(30, 20), nn.Tanh())
    x = torch.randn(3, 20)
    found = dynamics.arithmetic(net, x, nakami.xray(net, x), count=3)
    assert found.inputs == (0, 1, 2)
    assert found.flipped()[0] == 0
    dense = [
        torch.linalg.svdvals(torch.autograd.functional.jacobian(net.double(), one[None].double())
                             .reshape(20, 20))
        for one in x
    ]  # fmt: skip
    np.testing.assert_allclose(found.arrays["double"][:, -1], np.stack(dense), rtol=1e-9)
    at = found.largest()
    assert 0 < at.total < 1e-4
    assert at.kinks == 0
    assert at.cause != "kinks"
    assert found.explained() == 1


def test_what_float32_makes_of_the_network_is_no_residual():
    """A slope that float32 gets wrong without a kink: the network's rounding, not the engine's."""

    class Steep(nn.Module):
        def forward(self, x):
            return torch.sin(1e6 * x)  # the phase is lost by 1e6 eps

    x = torch.tensor([[0.3, 0.7, 0.11]])
    found = dynamics.arithmetic(Steep(), x, nakami.xray(Steep(), x, ["output"]))
    at = found.largest()
    assert at.total > 1e-3
    assert at.cause == "rounding"
    assert at.explained
    assert at.engine < at.total / 10


def test_it_comes_back_from_its_folder_and_refuses_what_it_cannot_compare(tmp_path):
    net = AtAKink(nn.ReLU())
    run = nakami.xray(net, AT, ["first", "output"], out=tmp_path)
    before = [p.clone() for p in net.parameters()]
    found = dynamics.arithmetic(net, AT, run, ["first", "output"], count=1)
    again = nakami.load(tmp_path).experiments["arithmetic"]
    assert isinstance(again, Arithmetic)
    assert again.rows() == found.rows()
    assert [row["cause"] == "kinks" for row in again.rows()] == [False, True]
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))
    assert json.dumps(again.as_dict())
    wide = nakami.View(net, dtype="float64")
    with pytest.raises(UsageError, match="dtype must be float32, to be compared with float64, got"):
        dynamics.arithmetic(wide, AT.double(), nakami.xray(wide, AT.double()))
    with pytest.raises(UsageError, match="count must be"):
        dynamics.arithmetic(net, AT, run, count=0)
    with pytest.raises(UsageError, match="tol must lie between 0 and 1"):
        dynamics.arithmetic(net, AT, run, tol=0)


def test_a_network_that_casts_is_left_out():
    class Casts(nn.Module):
        def forward(self, x):
            return (x.float() * x.float().sum()).sin().to(x.dtype)

    x = torch.tensor([[0.2, 0.5, 0.7]])
    run = nakami.xray(Casts(), x)
    with pytest.raises(UsageError, match="dtype must be what the network computes in throughout, "):
        dynamics.arithmetic(Casts(), x, run)
    with pytest.warns(NakamiWarning, match="arithmetic is left out: dtype must be what"):
        dynamics.experimented(Casts(), x, run, "all")


def test_a_network_that_does_something_else_in_float64_is_refused():
    class Other(nn.Module):
        def forward(self, x):
            return x.relu() if x.dtype == torch.float32 else x.relu().relu()

    x = torch.ones(1, 3)
    with pytest.raises(UsageError, match="model must pass the same functions in float32 and"):
        dynamics.arithmetic(Other(), x, nakami.xray(Other(), x))


def test_without_a_value_above_the_floor_no_cause_is_named():
    net, x = nn.Linear(4, 3), torch.ones(1, 4)
    nn.init.zeros_(net.weight)
    run = nakami.xray(net, x, ["output"])
    found = dynamics.arithmetic(net, x, run)
    at = found.largest()
    assert np.isnan(at.total)
    assert at.cause == "unknown"
    assert "Mostly: output, no value above the floor." in found.caption
    (section,) = [s for s in page_of(run.including(found)).sections if s.id == "arithmetic"]
    assert section.heading == "No value is above the floor of the arithmetic in float32"
    assert "nan" not in section.text.lower()
