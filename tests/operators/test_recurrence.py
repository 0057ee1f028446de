"""Derivatives of recurrent layers beside those that torch has for its own, in float64."""

import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn.utils.rnn import pack_padded_sequence

import nakami
from nakami.operators.autodiff._linearise import linearised
from nakami.operators.autodiff._recurrence import Recurrences
from nakami.operators.autodiff._strategies import reverse_product

KINDS = {
    "gru": nn.GRU,
    "lstm": nn.LSTM,
    "tanh": nn.RNN,
    "relu": lambda *sizes, **given: nn.RNN(*sizes, nonlinearity="relu", **given),
}
FORMS = {
    "batch first": {"batch_first": True},
    "two layers, both ways": {"num_layers": 2, "bidirectional": True},
    "no bias": {"bias": False},
}


def layer_function(kind, form):
    """All outputs of a layer as a function of its input and weights, flat; and where."""
    torch.manual_seed(0)
    layer = KINDS[kind](3, 4, **form).double()
    x, weights = torch.randn(6, 5, 3).double(), dict(layer.named_parameters())
    shapes = {"x": x.shape, **{k: w.shape for k, w in weights.items()}}
    flat = torch.cat([t.detach().reshape(-1) for t in (x, *weights.values())])

    def function(point):
        parts = point.split([shape.numel() for shape in shapes.values()])
        named = {k: p.view(s) for (k, s), p in zip(shapes.items(), parts, strict=True)}
        y, last = functional_call(layer, named, (named.pop("x"),))
        ends = last if isinstance(last, tuple) else (last,)
        return torch.cat([t.reshape(-1) for t in (y, *ends)])

    return function, flat


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_products_are_those_of_torch(kind, form):
    function, flat = layer_function(kind, FORMS[form])
    dense = torch.func.jacrev(function)(flat)
    output, pull = reverse_product(function, flat, lambda _, act: act(), blocks=True)
    push = linearised(function, flat)
    torch.testing.assert_close(output, function(flat), rtol=1e-13, atol=1e-13)
    u, v = torch.randn(3, len(dense)).double(), torch.randn(3, len(flat)).double()
    with torch.no_grad():
        for found, wanted in (
            (torch.stack([pull(row) for row in u]), u @ dense),
            (torch.vmap(pull)(u), u @ dense),
            (torch.stack([push(row) for row in v]), v @ dense.T),
            (torch.vmap(push)(v), v @ dense.T),
        ):
            torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
    with pytest.raises(AssertionError, match="not close"):
        torch.testing.assert_close(push(v[0]), 1.0001 * v[0] @ dense.T, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_a_gradient_can_be_differentiated_again(kind):
    function, flat = layer_function(kind, FORMS["batch first"])
    weights = torch.linspace(-1, 1, len(function(flat))).double()

    def value(point):
        return (function(point) * weights).sum().sin()

    wanted = torch.autograd.functional.hvp(value, flat, torch.ones_like(flat))[1]
    point = flat.clone().requires_grad_()
    with Recurrences(0):
        (slope,) = torch.autograd.grad(value(point), point, create_graph=True)
    (found,) = torch.autograd.grad(slope.sum(), point)
    torch.testing.assert_close(found, wanted, rtol=1e-11, atol=1e-11)


class Ended(nn.Module):
    """The last state of a recurrent layer, some of whose weights may stand still."""

    def __init__(self, layer, packed=False):
        super().__init__()
        self.layer, self.packed = layer, packed

    def forward(self, x):
        if not self.packed:
            return self.layer(x)[0][:, -1]
        lengths = torch.full((len(x),), x.shape[1])
        return self.layer(pack_padded_sequence(x, lengths, batch_first=True))[1][0]


@pytest.mark.parametrize("params", ["*", "layer.weight_ih_l0", "layer.*hh_l0", "layer.bias_hh_l0"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_gauss_newton_matrix_by_some_of_the_weights(kind, params):
    torch.manual_seed(1)
    model = Ended(KINDS[kind](3, 4, batch_first=True)).double()
    x, y = torch.randn(6, 5, 3).double(), torch.randn(6, 4).double()
    op = nakami.ggn(model, (x, y), "mse", params)
    weights = {k: p.detach() for k, p in model.named_parameters() if k in op.names}
    rows = torch.func.jacrev(lambda w: functional_call(model, w, (x,)))(weights)
    dense = torch.cat([rows[k].reshape(24, -1) for k in op.names], 1)
    assert op.route.startswith("ggn, linearised")
    torch.testing.assert_close(op.dense(), dense.T @ dense / 12, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("packed", [False, True])
def test_packed_sequences_and_projections_stay_with_torch(monkeypatch, packed):
    calls, one = [], Recurrences.one
    monkeypatch.setattr(Recurrences, "one", lambda *args: calls.append(1) or one(*args))
    torch.manual_seed(2)
    x, y = torch.randn(6, 5, 3), torch.randn(6, 4)
    nakami.ggn(Ended(nn.GRU(3, 4, batch_first=True), packed), (x, y), "mse").dense()
    assert bool(calls) is not packed
    calls.clear()
    projected = Ended(nn.LSTM(3, 5, proj_size=4, batch_first=True))
    nakami.ggn(projected, (x, y), "mse").dense()
    assert not calls


class Read(nn.Module):
    """Outputs of a recurrent layer of any form, each read by a linear one."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer
        self.output = nn.Linear(layer.hidden_size * (1 + layer.bidirectional), 3)

    def forward(self, x):
        x = x if self.layer.batch_first else x.transpose(0, 1)
        y = self.layer(x)[0]
        y = y if self.layer.batch_first else y.transpose(0, 1)
        return self.output(torch.tanh(y[:, -1] + y[:, 2]))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_traces_and_kernels_form_no_gradient_of_a_recurrent_layer(kind, form):
    torch.manual_seed(3)
    model = Read(KINDS[kind](3, 4, **FORMS[form])).double()
    x, y = torch.randn(6, 5, 3).double(), torch.arange(6) % 3
    op = nakami.fisher(model, (x, y), "cross_entropy")
    rows = op.root.dense()
    found = nakami.trace(op)
    assert found.exact
    assert "formed" not in found.reason
    torch.testing.assert_close(found.value, float(rows.square().sum()), rtol=1e-12, atol=0)
    for name, share in op.trace_by_parameter().items():
        part = op.split(torch.arange(op.shape[1]).double())[name].long().reshape(-1)
        wanted = float(rows[:, part].square().sum())
        torch.testing.assert_close(share, wanted, rtol=1e-11, atol=1e-15)
    torch.testing.assert_close(op.kernel.dense(), rows @ rows.T, rtol=1e-10, atol=1e-14)


def test_a_layer_called_twice_and_one_in_a_checkpoint_have_their_traces():
    class Twice(Read):
        def forward(self, x):
            y = self.layer(x)[0]
            return self.output(self.layer(y)[0][:, -1])

    class Again(Read):
        def forward(self, x):
            run = torch.utils.checkpoint.checkpoint
            return self.output(run(lambda x: self.layer(x)[0], x, use_reentrant=False)[:, -1])

    torch.manual_seed(4)
    x, y = torch.randn(6, 5, 4).double(), torch.arange(6) % 3
    for kind in (Twice, Again):
        model = kind(nn.GRU(4, 4, batch_first=True)).double()
        op = nakami.fisher(model, (x, y), "cross_entropy")
        wanted = float(op.root.dense().square().sum())
        torch.testing.assert_close(nakami.trace(op).value, wanted, rtol=1e-12, atol=0)
