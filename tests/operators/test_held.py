"""Graphs that stay for a while: the same products, fewer runs of the network, nothing left over."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import nakami

RUNS = []  # examples of each run; what a module holds itself is put back


class Counted(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Linear(4, 5), nn.Linear(5, 3)
        self.norm = nn.BatchNorm1d(5)

    def forward(self, x):
        RUNS.append(len(x))
        return self.last(torch.tanh(self.norm(self.first(x))))


@pytest.mark.parametrize(
    ("share", "runs"), [(1.5, 2), (0.8, 4), (0.3, 6)], ids=["all", "gradients", "none"]
)
def test_products_are_the_same_and_nothing_stays(share, runs):
    net = Counted().double()
    view = nakami.View(net, batch_statistics=True)
    x, y = torch.randn(24, 4, dtype=torch.float64), torch.arange(24) % 3
    data = [(x[:12], y[:12]), (x[12:], y[12:])]
    wanted = nakami.ggn(view, data, "cross_entropy").first(1).dense()
    each = nakami.ggn(view, data, "cross_entropy").parts[0].examples.each
    budget = int(share * 12 * each * 4 / 3) + 1
    op = nakami.ggn(view, data, "cross_entropy", memory_budget=budget).first(1)
    (part,) = op.parts
    columns = torch.eye(op.shape[0], dtype=torch.float64)[:3]
    assert_close(op @ columns.T, wanted[:, :3])
    with op.held():
        RUNS.clear()
        for i, v in enumerate(columns):
            assert_close(op @ v, wanted[:, i])
        made = RUNS.count(12)
        moved = op.moved(part.at.flat.clone())
        assert not moved.parts[0].keep
        assert not part._graphs or share > 0.5
        assert_close(op @ columns.T, wanted[:, :3])
    assert made == runs
    assert not part.keep
    assert not part._graphs
    assert_close(op @ columns[0], wanted[:, 0])
