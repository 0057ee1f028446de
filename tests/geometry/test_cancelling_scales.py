"""Matrices in front of a normalisation: by their outputs in plain torch no factor matters there."""

import copy
import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional

import nakami
from nakami.cli import _init_tables
from nakami.geometry.scales._cancelling import cancelling
from nakami.operators import FunctionalModel


class Flow(nn.Module):
    """Layers of several kinds, with a normalisation, or none, behind each of two."""

    def __init__(self, norm, bias=True):
        super().__init__()
        self.conv = nn.Conv2d(2, 6, 3, padding=1, bias=bias)
        self.hidden, self.out = nn.Linear(6 * 16, 12, bias=bias), nn.Linear(12, 5)
        self.unused = nn.Linear(12, 3)
        self.first, self.second = norm(6), norm(12)

    def forward(self, x):
        h = torch.relu(self.first(self.conv(x)))
        h = functional.gelu(self.second(self.hidden(h.flatten(1))))
        self.unused(h)
        return self.out(h)


class Whisper(nn.Module):
    """A branch that moves the outputs by a millionth."""

    def __init__(self):
        super().__init__()
        self.loud, self.soft = nn.Linear(32, 12), nn.Linear(32, 12)

    def forward(self, x):
        return self.loud(x) + 1e-6 * torch.tanh(self.soft(x))


class UnitLength(nn.Module):
    def forward(self, x):
        return x / x.flatten(1).norm(dim=1).reshape(-1, *[1] * (x.ndim - 1))


def batch_norm(n):
    return nn.BatchNorm2d(n) if n == 6 else nn.BatchNorm1d(n)


def layer_norm(n):
    return nn.LayerNorm([n, 4, 4] if n == 6 else n, eps=1e-7)


def rms_norm(n):
    return nn.RMSNorm([n, 4, 4] if n == 6 else n, eps=1e-9)


NORMS = {
    "batch": batch_norm,
    "untracked": lambda n: (nn.InstanceNorm2d if n == 6 else nn.LayerNorm)(n),
    "layer": layer_norm,
    "group": lambda n: nn.GroupNorm(3, n),
    "rms": rms_norm,
    "unit length": lambda n: UnitLength(),
    "none": lambda n: nn.Identity(),
    "a fixed factor": lambda n: nn.Hardtanh(-9, 9),
}
X = torch.randn(16, 2, 4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def flow(name, bias=True):
    torch.manual_seed(0)
    return Flow(NORMS[name], bias).double()


def trained(net, x):
    """The output in training, by torch alone."""
    return copy.deepcopy(net).train()(x).detach()


def without_effect(net, x, factor=16.0):
    """Names of the matrices whose factor leaves the outputs as they are, with biases of 0."""
    net, found = copy.deepcopy(net), set()
    for name, p in net.named_parameters():
        if name.endswith("bias") and name.split(".")[0] not in ("first", "second"):
            p.data.zero_()
    before = trained(net, x)
    for name in ("conv", "hidden", "out"):
        other = copy.deepcopy(net)
        other.get_submodule(name).weight.data *= factor
        gap = (trained(other, x) - before).abs().max() / before.abs().max()
        if gap < 0.01:
            found.add(f"{name}.weight")
    return found


@pytest.mark.parametrize("name", NORMS)
def test_what_cancels_is_left_out(name):
    net = flow(name)
    view = nakami.View(net, batch_statistics=name == "batch" or None)
    proposal = nakami.initialisation(view, X, method="data").proposal
    expected = without_effect(net, X)
    assert set(proposal.plan.cancels) == expected
    normalises = name not in ("none", "a fixed factor")
    assert expected == ({"conv.weight", "hidden.weight"} if normalises else set())
    assert not set(proposal.factors) & expected
    assert expected <= set(proposal.left)
    assert {"out.weight", "unused.weight"} <= set(proposal.factors)
    assert any("a factor cancels, since" in note for note in proposal.plan.notes) == normalises


@pytest.mark.parametrize("name", ["batch", "rms"])
def test_other_scales_do_not_depend_on_one_that_cancels(name):
    net = flow(name)
    louder = copy.deepcopy(net)
    louder.conv.weight.data *= 7
    louder.hidden.weight.data /= 3
    found = [
        nakami.initialisation(nakami.View(n, batch_statistics=name == "batch" or None), X).proposal
        for n in (net, louder)
    ]
    assert found[0].factors == pytest.approx(found[1].factors, rel=1e-3)  # eps
    assert found[0].plan.cancels["conv.weight"] == pytest.approx(
        7 * found[1].plan.cancels["conv.weight"]
    )
    full = copy.deepcopy(net)  # with the scales that are left out the outputs are the same
    found[0].apply(net)
    found[0].apply(full)
    for weight, factor in found[0].plan.cancels.items():
        full.get_parameter(weight).data *= factor
    torch.testing.assert_close(trained(net, X), trained(full, X), rtol=1e-3, atol=1e-3)


def test_a_bias_that_is_kept_beside_layer_norm_makes_the_scale_count():
    net = flow("layer")
    for part in (net.conv, net.hidden):
        part.bias.data.normal_()
    assert set(nakami.initialisation(net, X, biases="keep").proposal.factors) >= {"conv.weight"}
    zero = nakami.initialisation(net, X, biases="zero").proposal
    assert set(zero.plan.cancels) == {"conv.weight", "hidden.weight"}


def test_statistics_that_training_does_not_use():
    net = flow("batch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        proposal = nakami.initialisation(net, X).proposal
    assert set(proposal.plan.cancels) == {"conv.weight", "hidden.weight"}
    assert "a factor cancels in training, where batch normalisation" in proposal.plan.notes[-1]
    kept = nakami.initialisation(nakami.View(net, batch_statistics=False), X).proposal
    assert kept.plan.cancels == {}  # asked for: as in a training with frozen statistics
    assert {"conv.weight", "hidden.weight"} <= set(kept.factors)


def test_a_branch_that_hardly_moves_the_output_does_not_cancel():
    torch.manual_seed(0)
    assert cancelling(FunctionalModel(Whisper()), X.flatten(1).float(), seed=0) == frozenset()


def test_a_scale_as_small_as_the_norms_eps_counts():
    net = flow("batch")
    net.conv.weight.data *= 1e-4  # variance far below eps: the norm leaves it small
    proposal = nakami.initialisation(nakami.View(net, batch_statistics=True), X).proposal
    assert "conv.weight" in proposal.factors
    assert "conv.weight" not in without_effect(net, X)


def test_a_network_that_normalises_all():
    net = nn.Sequential(nn.Linear(32, 8), nn.RMSNorm(8)).double()
    found = nakami.initialisation(net, X.flatten(1))
    assert found.proposal.factors == {}
    assert found.proposal.plan.rule.startswith("no factor: every matrix that could be scaled")


def test_the_table_says_so():
    found = nakami.initialisation(nakami.View(flow("batch"), batch_statistics=True), X)
    table = _init_tables.table(found, "net")
    shown = {row[0]: row[list(table.head).index("×")] for row in table.rows}
    assert shown["conv"] == shown["hidden"] == "cancels"
    assert float(shown["out"]) == pytest.approx(found.proposal.factors["out.weight"], rel=0.01)
    assert "cancels: normalised afterwards" in table.caption
    lines = "\n".join(_init_tables.sentences(found))
    assert "since what follows normalises: conv.weight, hidden.weight." in lines
