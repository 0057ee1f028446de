"""Blocks of single units against those cut out of the dense matrix."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import nakami

G = torch.Generator().manual_seed(0)
Y = torch.randint(3, (7,), generator=G)


def cut(op, dense, module, units):
    """The blocks of the dense matrix: rows of a unit's weights, its bias last."""
    at, places = 0, {}
    for name, weight in op.weights.items():
        if weight.shape[0] == units:
            there = torch.arange(at, at + weight.numel())
            places[name.removeprefix("model.")] = there.view(units, -1)
        at += weight.numel()
    mine = [places[f"{module}.{k}"] for k in ("weight", "bias") if f"{module}.{k}" in places]
    rows = torch.cat(mine, 1)
    return torch.stack([dense[r][:, r] for r in rows])


CASES = {
    "linear": (nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)), (7, 4), "0", 5),
    "no bias": (
        nn.Sequential(nn.Linear(4, 5, bias=False), nn.Tanh(), nn.Linear(5, 3)), (7, 4), "0", 5,
    ),
    "convolution": (
        nn.Sequential(nn.Conv2d(2, 4, 2, groups=2), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3)),
        (7, 2, 3, 3), "0", 4,
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["fisher", "ggn", "empirical_fisher"])
@pytest.mark.parametrize("name", CASES)
def test_against_the_dense_matrix(name, kind):
    model, shape, module, units = CASES[name]
    model = model.double()
    x = torch.randn(shape, dtype=torch.float64, generator=G)
    op = getattr(nakami, kind)(model, [(x[:4], Y[:4]), (x[4:], Y[4:])], nn.CrossEntropyLoss())
    dense = op @ torch.eye(op.shape[0]).double()
    found = op.unit_blocks(module)
    assert_close(found, cut(op, dense, module, units))
    assert float(found.abs().max()) > 0


def test_a_budget_changes_nothing():
    model, shape, module, _ = CASES["linear"]
    x = torch.randn(shape, dtype=torch.float64, generator=G)
    one, two = (
        nakami.fisher(model.double(), (x, Y), nn.CrossEntropyLoss(), memory_budget=b)
        for b in (None, 4000)
    )
    assert_close(one.unit_blocks(module), two.unit_blocks(module))


def test_tied_weights_and_other_modules_are_refused():
    first = nn.Linear(3, 3)
    model = nn.Sequential(first, nn.Tanh(), first, nn.LayerNorm(3))
    op = nakami.fisher(model, (torch.randn(7, 3), Y), nn.CrossEntropyLoss())
    with pytest.raises(ValueError, match="a weight used elsewhere too"):
        op.unit_blocks("0")
    with pytest.raises(ValueError, match="linear layers and convolutions have units"):
        op.unit_blocks("3")
    hessian = nakami.hessian(model, (torch.randn(7, 3), Y), nn.CrossEntropyLoss())
    with pytest.raises(ValueError, match="must have a root by examples"):
        hessian.unit_blocks("0")
