"""Where torch's own tools are wrong or surprising (docs/neighbours.md), nakami is right."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import nakami

X = torch.randn(7, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
Y = torch.randint(3, (7,), generator=torch.Generator().manual_seed(2))


def differences(function, point, step=1e-5):
    """The derivative of a vector function by central differences, ``(m, n)``."""
    ways = step * torch.eye(len(point), dtype=point.dtype)
    columns = [(function(point + way) - function(point - way)) / (2 * step) for way in ways]
    return torch.stack(columns, 1)


class Shaped(nn.Module):
    """A normalisation between two layers, which sees ``(n, channels, positions)``."""

    def __init__(self, norm, flat):
        super().__init__()
        self.a, self.norm, self.b, self.flat = nn.Linear(4, 6), norm, nn.Linear(6, 3), flat

    def forward(self, x):
        h = self.a(x)
        h = self.norm(h) if self.flat else self.norm(h.reshape(-1, 2, 3)).reshape(-1, 6)
        return self.b(torch.tanh(h))


NORMS = {
    "layer norm": lambda: Shaped(nn.LayerNorm(6), True),
    "group norm": lambda: Shaped(nn.GroupNorm(2, 6), True),
    "instance norm": lambda: Shaped(nn.InstanceNorm1d(2, affine=True), False),
    "batch norm by the batch": lambda: Shaped(nn.BatchNorm1d(6), True),
    "RMS norm": lambda: Shaped(nn.RMSNorm(6), True),
    "weight norm": lambda: Shaped(nn.utils.parametrizations.weight_norm(nn.Linear(6, 6)), True),
}


@pytest.mark.parametrize("name", NORMS)
def test_hessians_through_normalisations(name):
    torch.manual_seed(0)
    model, by_batch = NORMS[name]().double(), "batch norm" in name
    for p in model.parameters():
        p.data += 0.3 * torch.randn_like(p)
    view = nakami.View(model, batch_statistics=by_batch)
    op = nakami.hessian(view, (X, Y), nn.CrossEntropyLoss())
    wanted = differences(op.gradient, torch.cat([w.reshape(-1) for w in op.weights.values()]))
    found = op.dense()
    assert_close(found, wanted, rtol=1e-6, atol=1e-7)
    assert_close(found, found.T)
    with torch.no_grad():
        torchs = float(nn.CrossEntropyLoss()(model.train(by_batch)(X), Y))
    assert op.value == pytest.approx(torchs, rel=1e-12)


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM, nn.RNN])
def test_products_through_recurrent_layers_stay_what_they_are(kind):
    torch.manual_seed(0)
    cell = kind(4, 5, batch_first=True).double()
    x = torch.randn(1, 3, 4, dtype=torch.float64)
    wanted = torch.autograd.functional.jacobian(lambda v: cell(v)[0].reshape(-1), x)
    wanted = wanted.reshape(15, 12)
    op = nakami.jacobian(nakami.View(cell, select=lambda out: out[0]), x)
    for _ in range(3):
        assert_close(op @ torch.eye(12).double(), wanted)
        assert_close(op.T @ torch.eye(15).double(), wanted.T)


@pytest.mark.parametrize("rows", [3, 30])
def test_cdist_of_few_and_of_many_rows(rows):
    torch.manual_seed(5)

    class Distances(nn.Module):
        def __init__(self):
            super().__init__()
            self.centres = nn.Parameter(torch.randn(rows, 4, dtype=torch.float64))

        def forward(self, x):
            return torch.cdist(x, self.centres)

    model, x = Distances(), X[:1]
    away = x - model.centres.detach()
    wanted = away / away.norm(dim=1, keepdim=True)
    assert_close(nakami.jacobian(model, x).dense(), wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("frozen", [False, True])
def test_padding_is_read_as_in_training_whether_weights_are_frozen_or_not(frozen):
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(4, 2, 6, dropout=0.0, batch_first=True).double().eval()
    padded = torch.tensor([[False, False, True]])

    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=True)

        def forward(self, x):
            return self.encoder(x, src_key_padding_mask=padded)

    model, x = Masked().eval(), torch.randn(1, 3, 4, dtype=torch.float64)
    wanted = torch.autograd.functional.jacobian(lambda v: model(v).reshape(-1), x).reshape(12, 12)
    assert wanted[8:].abs().max() > 0.1  # the padded position has an output of its own
    model.requires_grad_(not frozen)
    with torch.no_grad():
        assert_close(nakami.jacobian(model, x).dense(), wanted)


def test_values_beyond_the_rank_are_zero():
    torch.manual_seed(0)
    low = torch.randn(60, 3, dtype=torch.float64) @ torch.randn(3, 50, dtype=torch.float64)
    found = nakami.svd(low, k=6, method="krylov")
    wanted = torch.linalg.svdvals(low)[:6]
    assert_close(found.values, wanted, rtol=1e-8, atol=1e-9 * float(wanted[0]))
    assert found.converged
