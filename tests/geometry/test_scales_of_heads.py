"""Initial scales of a network with two heads: passages end at the head that is read."""

import numpy as np
import pytest
import torch
from torch import nn

import nakami


class Heads(nn.Module):
    def __init__(self):
        super().__init__()
        self.b, self.a, self.c = nn.Linear(6, 5), nn.Linear(5, 4), nn.Linear(5, 3)

    def forward(self, x):
        h = torch.tanh(self.b(x))
        return {"logits": self.a(h), "boxes": self.c(h)}


@pytest.mark.parametrize(("select", "last"), [("logits", "a"), ("boxes", "c")])
def test_passages_end_at_the_head_that_is_read(select, last):
    torch.manual_seed(0)
    net, x = Heads().double(), torch.randn(20, 6, dtype=torch.float64)
    read = nakami.geometry.initialisation(nakami.View(net, select=select), x, probes=400).measured
    assert [read.layers[i].name for i in read.ends] == ["b", last]
    head = getattr(net, last)
    spread = [u.detach().var(0).mean() for u in (net.b(x), net(x)[select])]
    assert read.signal.decades == pytest.approx(float(torch.log10(spread[1] / spread[0])))
    slopes = [
        torch.func.jacrev(lambda u: head(torch.tanh(u)))(u).detach().square().sum() / len(head.bias)
        for u in net.b(x)
    ]
    exact = float(torch.stack(slopes).mean().log10())
    assert np.isfinite(read.gradient.decades)
    assert read.gradient.decades == pytest.approx(exact, abs=0.03)
