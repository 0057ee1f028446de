"""X-rays of networks with several outputs: what is read is what leads to the output selected."""

import numpy as np
import pytest
import torch
from torch import nn

import nakami
from nakami.dynamics import noise, perturbation, subspaces, units


class Heads(nn.Module):
    def __init__(self):
        super().__init__()
        self.b, self.a, self.c = nn.Linear(6, 5), nn.Linear(5, 4), nn.Linear(5, 3)

    def forward(self, x):
        h = torch.tanh(self.b(x))
        return {"logits": self.a(h), "aux": {"boxes": self.c(h)}}


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.long = nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 4))
        self.short, self.last = nn.Linear(6, 3), nn.Linear(7, 4)

    def forward(self, x):
        return self.last(torch.cat([self.long(x), self.short(x)], 1))


class Skip(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(6, 5), nn.Linear(5, 5), nn.Linear(5, 4)

    def forward(self, x):
        h = self.a(x)
        return self.c(h + torch.tanh(self.b(h)))


X = torch.randn(3, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
HEADS = {"logits": lambda out: out["logits"], "aux.boxes": lambda out: out["aux"]["boxes"]}


def made(kind):
    torch.manual_seed(0)
    return kind().double()


def dense(function):
    """Singular values of the dense Jacobian at each input, by torch.func in float64."""
    rows = [torch.func.jacrev(lambda v: function(v[None])[0])(x) for x in X]
    return np.stack([torch.linalg.svdvals(row.detach()).numpy() for row in rows])


@pytest.mark.parametrize("select", HEADS)
def test_the_last_stage_is_the_head_selected(select):
    net, head = made(Heads), {"logits": "a", "aux.boxes": "c"}[select]
    run = nakami.xray(nakami.View(net, select=select), X)
    assert run.names == run.path == ("b.tanh", head)
    right = dense(lambda x: HEADS[select](net(x)))
    np.testing.assert_allclose(run.values(run.path[-1]), right, rtol=1e-6)


def test_experiments_take_the_last_stage_on_the_way():
    net = made(Heads)
    view = nakami.View(net, select="logits")
    run = nakami.xray(view, X, stages=["b.tanh", "a", "c"])
    assert (run.aside, run.path) == (("c",), ("b.tanh", "a"))
    assert perturbation(view, X, run).stage == "a"
    assert units(view, X, run).stages == ("a",)
    levels = {"gaussian": [0.1]}
    assert noise(view, X, run, levels).stages == ("b.tanh", "a")
    assert noise(view, X, run, levels, stages=["a", "c"]).stages == ("c", "a")


def test_a_stage_aside_is_no_next_depth_and_no_end():
    net = made(Heads)
    view = nakami.View(net, select="aux.boxes")
    run = nakami.xray(view, X, stages=["b.tanh", "a", "c"])
    assert subspaces(view, X, run, 2).stages == ("b.tanh", "c")
    found = subspaces(view, X, run, 2, stages=["a", "b.tanh", "c"])
    assert found.stages == ("a", "b.tanh", "c")
    assert found.following == (None, "c", None)
    rows = {row["stage"]: row for row in found.rows()}
    assert np.isnan(rows["a"]["to_next"])
    assert rows["b.tanh"]["to_next"] == found.overlap("b.tanh", "c").mean


@pytest.mark.parametrize(
    ("kind", "stages", "depths"),
    [
        (Heads, ("b.tanh", "a"), (1, 2)),
        (Skip, ("a", "b.tanh", "c"), (1, 2, 3)),
        (Branches, ("long.0", "long.1", "short", "last"), (1, 2, 1, 3)),
    ],
)
def test_exponents_are_by_layers_on_the_longest_way(kind, stages, depths):
    net = made(kind)
    run = nakami.xray(net, X)
    found = subspaces(net, X, run, 2)
    assert (found.stages, found.depths) == (stages, depths)
    first = (lambda x: net(x)["logits"]) if kind is Heads else net
    right = np.log(dense(first)[:, 0]).mean() / depths[-1]
    assert found.exponents(stages[-1])[0].mean == pytest.approx(right, rel=1e-4)


def test_siblings_have_one_depth():
    net = made(Heads)
    run = nakami.xray(net, X, stages=["b", "a", "c"])
    found = subspaces(net, X, run, 2, stages=["b", "a", "c"])
    assert dict(zip(found.stages, found.depths, strict=True)) == {"b": 1, "a": 2, "c": 2}
    right = np.log(dense(lambda x: net(x)["aux"]["boxes"])[:, 0]).mean() / 2
    assert found.exponents("c")[0].mean == pytest.approx(right, rel=1e-4)


def test_branches_are_compared_with_what_depends_on_them():
    net = made(Branches)
    found = subspaces(net, X, nakami.xray(net, X), 2)
    assert found.following == ("long.1", "last", "last", None)


def test_runs_of_before_open(tmp_path):
    """Without the names aside, and with depths and next stages in order of execution."""
    net = made(Heads)
    nakami.xray(net, X, stages=["b", "a"], out=tmp_path)
    subspaces(net, X, nakami.load(tmp_path), 2)
    assert '"aside"' not in (tmp_path / "run.json").read_text()
    run = nakami.load(tmp_path)
    assert run.path == ("b", "a")
    assert "next" not in run.experiments["subspaces"].settings
    assert run.experiments["subspaces"].following == ("a", None)


def test_own_jacobians_are_those_of_the_way():
    view = nakami.View(made(Heads), select="aux.boxes")
    run = nakami.xray(view, X, stages=["b.tanh", "a", "c"], layers=True)
    own = {(s.source, s.stage) for s in run.spectra if s.source != "input"}
    assert own == {("b.tanh", "c")}
    assert len(run.at("c", None)) == len(X)
    assert run.at("a", None) == ()
    assert run.converged


def test_stages_aside_alone_are_read():
    view = nakami.View(made(Heads), select="logits")
    run = nakami.xray(view, X, stages=["c"])
    assert run.aside == run.path == ("c",)
    assert perturbation(view, X, run).stage == "c"


def test_the_page_marks_what_is_aside(tmp_path):
    view = nakami.View(made(Heads), select="logits")
    run = nakami.xray(view, X, stages=["b.tanh", "a", "c"])
    nakami.report.write(run, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert "c (aside: not on the way to the output read)" in text
