"""Which stages lead to the output that is read, and how many weight layers are before each.

Compared with dense Jacobians in float64: a stage leads to an output where, with the stage moved,
the output moves.
"""

import pytest
import torch
from torch import nn

import nakami
from nakami.operators import FunctionalModel

X = torch.randn(1, 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


class Heads(nn.Module):
    def __init__(self):
        super().__init__()
        self.b, self.a, self.c = nn.Linear(5, 4), nn.Linear(4, 3), nn.Linear(4, 2)

    def forward(self, x):
        h = torch.tanh(self.b(x))
        return {"logits": self.a(h), "aux": {"boxes": self.c(h)}}


class Tuple(Heads):
    def forward(self, x):
        found = super().forward(x)
        return found["logits"], found["aux"]["boxes"]


class Named(nn.Module):
    """A head whose module is called output, run before another head."""

    def __init__(self):
        super().__init__()
        self.body, self.output, self.late = nn.Linear(5, 4), nn.Linear(4, 3), nn.Linear(4, 2)

    def forward(self, x):
        h = self.body(x).relu()
        return self.output(h), self.late(h)


class Skip(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(5, 4), nn.Linear(4, 4), nn.Linear(4, 3)
        self.side = nn.Linear(4, 2)

    def forward(self, x):
        h = self.a(x)
        self.side(h)
        return self.c(h + self.b(h).tanh())


class Branches(nn.Module):
    """Two branches, one of three layers and one of one, that join again."""

    def __init__(self):
        super().__init__()
        self.long = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 4), nn.Linear(4, 3))
        self.short, self.last = nn.Linear(5, 2), nn.Linear(5, 3)

    def forward(self, x):
        return self.last(torch.cat([self.long(x), self.short(x)], 1))


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down1, self.down2 = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 3, 3, padding=1)
        self.up = nn.ConvTranspose2d(3, 2, 2, stride=2)
        self.join, self.deep = nn.Conv2d(4, 2, 3, padding=1), nn.Conv2d(3, 1, 1)

    def forward(self, x):
        one = self.down1(x).tanh()
        two = self.down2(nn.functional.avg_pool2d(one, 2)).tanh()
        whole = self.join(torch.cat([one, self.up(two)], 1))
        return {"whole": whole, "deep": self.deep(two)}


class Detector(nn.Module):
    """A body, a neck whose module adds and returns two levels, three heads."""

    class Neck(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, 1)

        def forward(self, x):
            small = self.two(nn.functional.avg_pool2d(x, 2))
            return self.one(x) + nn.functional.interpolate(small, scale_factor=2.0), small

    def __init__(self):
        super().__init__()
        self.body, self.neck = nn.Conv2d(1, 2, 3, padding=1), self.Neck()
        self.classes, self.boxes = nn.Conv2d(2, 3, 1), nn.Conv2d(2, 4, 1)
        self.small = nn.Conv2d(2, 1, 1)

    def forward(self, x):
        large, small = self.neck(self.body(x).relu())
        return [{"classes": self.classes(large), "boxes": self.boxes(large)}, self.small(small)]


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.head = nn.LSTM(5, 4, batch_first=True), nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.lstm(x)[1][0][-1])


class Buried(nn.Module):
    """In-place steps, a layer called twice, a gate, a head that is cut off by detach."""

    def __init__(self):
        super().__init__()
        self.a, self.gate, self.cut = nn.Linear(5, 5), nn.Linear(5, 5), nn.Linear(5, 5)

    def forward(self, x):
        h = self.a(x).tanh_()
        h = self.a(h) * self.gate(h).sigmoid()
        h[:, :2] *= 2
        return h + self.cut(h).detach()


PICTURE = torch.randn(1, 1, 4, 4, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
LINE = torch.randn(1, 3, 5, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
CASES = {
    "dict, first": (Heads, None, X, ("b.tanh", "a"), {"b": 1, "a": 2, "c": 2}),
    "dict, by name": (Heads, "logits", X, ("b.tanh", "a"), {"a": 2, "c": 2, "output": 2}),
    "nested": (Heads, "aux.boxes", X, ("b.tanh", "c"), {"a": 2, "c": 2, "output": 2}),
    "tuple": (Tuple, 1, X, ("b.tanh", "c"), {"a": 2}),
    "module output": (Named, None, X, ("body.relu", "output"), {"output": 2, "late": 2}),
    "late output": (Named, 1, X, ("body.relu", "late"), {"output": 2, "late": 2}),
    "skip": (Skip, None, X, ("a", "b.tanh", "c"), {"a": 1, "b": 2, "side": 2, "c": 3}),
    "branches": (
        Branches, None, X, ("long.1", "long.2", "long.3", "short", "last"),
        {"long.0": 1, "long.3": 3, "short": 1, "last": 4},
    ),
    "u-net": (
        UNet, "whole", PICTURE, ("down1.tanh", "down2.tanh", "up", "join"),
        {"down1": 1, "down2": 2, "up": 3, "join": 4, "deep": 3},
    ),
    "u-net, deep": (UNet, "deep", PICTURE, ("down1.tanh", "down2.tanh", "deep"), {"deep": 3}),
    "detector": (
        Detector, "0.classes", PICTURE, ("body.relu", "neck", "classes"),
        {"neck": 2, "classes": 3, "small": 3},
    ),
    "detector, boxes": (Detector, "0.boxes", PICTURE, ("body.relu", "neck", "boxes"), {}),
    "detector, small": (
        Detector, "1", PICTURE, ("body.relu", "neck.two", "small"), {"neck.two": 2, "small": 3},
    ),
    "lstm": (Recurrent, None, LINE, ("lstm", "head"), {"lstm": 1, "head": 2}),
    "buried": (Buried, None, X, ("a.tanh", "a:2", "gate.sigmoid"), {"a": 1, "a:2": 2, "gate": 2}),
}  # fmt: skip


def _made(name):
    make, select, x, *_ = CASES[name]
    torch.manual_seed(0)
    return nakami.View(make().double(), select=select), x


@pytest.mark.parametrize("name", CASES)
def test_stages_on_the_way_to_the_output(name):
    view, x = _made(name)
    stages = nakami.stages(view, x)
    *_, auto, depths = CASES[name]
    assert stages.auto == auto
    assert {stage: stages.layers(stage) for stage in depths} == depths


@pytest.mark.parametrize("name", [name for name in CASES if name not in ("lstm", "buried")])
def test_a_stage_leads_where_the_dense_jacobian_is_not_zero(name):
    """The output by the state at a stage, all else held: by torch.func in float64."""
    view, x = _made(name)
    network, stages = FunctionalModel(view), nakami.stages(view, x)
    end = stages.names[-1]
    for stage in stages.names[1:-1]:
        state = network.activations(x, (stage,))[0]

        def moved(value, stage=stage):
            return network.activations(x, (end,), stage, value)[0]

        dense = torch.func.jacrev(moved)(state)
        assert stages.leads(stage) == bool(dense.abs().max() > 0), stage


def test_stages_lead_to_each_other():
    view, x = _made("branches")
    stages = nakami.stages(view, x)
    assert stages.leads("long.3", "last")
    assert not stages.leads("long.3", "short")
    assert not stages.leads("last", "short")


def test_a_detached_head_is_not_on_the_way():
    """Where the derivative stops, no direction goes on."""
    view, x = _made("buried")
    assert not nakami.stages(view, x).leads("cut")


def test_finding_the_way_leaves_no_trace():
    view, x = _made("nested")
    model = view.model
    state = {name: value.clone() for name, value in model.state_dict().items()}
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()]
    random = torch.get_rng_state()
    assert nakami.stages(view, x).auto
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert hooks == [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()]
    assert torch.equal(random, torch.get_rng_state())
