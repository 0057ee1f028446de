"""Local fields without shared weights: against convolutions, and all orders of derivatives."""

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, jacfwd, jacrev, vmap
from torch.nn import functional as F
from torch.testing import assert_close

from nakami.nn import LocallyConnected2d
from nakami.results import UsageError

OPTIONS = {
    "plain": {},
    "strided": {"stride": (2, 1), "padding": (1, 2), "groups": 2},
    "same": {"padding": "same", "dilation": (1, 2), "padding_mode": "circular", "bias": False},
    "reflected": {"padding": 1, "padding_mode": "reflect", "stride": 3},
    "repeated": {"padding": (0, 1), "padding_mode": "replicate"},
}
options = pytest.mark.parametrize("given", OPTIONS.values(), ids=OPTIONS)
counts = pytest.mark.parametrize("n", [2, 9])  # on both sides of where products are transposed


def made(given, n, size=(6, 7)):
    """The layer and pictures."""
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer = LocallyConnected2d(2, 4, (3, 2), input_size=size, **given).double()
    return layer, torch.randn(n, 2, *size, generator=generator, dtype=torch.float64)


def unfolded(layer, x):
    """The same by ``unfold`` and ``einsum``, which torch differentiates by itself."""
    h, w = layer.output_size
    conv = nn.Conv2d(
        2, 4, (3, 2), layer.stride, layer.padding, layer.dilation, layer.groups, False,
        layer.padding_mode,
    )  # fmt: skip
    mode = {"zeros": "constant"}.get(layer.padding_mode, layer.padding_mode)
    around = conv._reversed_padding_repeated_twice
    fields = F.unfold(F.pad(x, around, mode), (3, 2), layer.dilation, 0, layer.stride)
    fields = fields.reshape(len(x), layer.groups, -1, h * w)
    weight = layer.weight.reshape(h * w, layer.groups, 4 // layer.groups, -1)
    y = torch.einsum("ngkl,lgok->ngol", fields, weight).reshape(len(x), -1, h, w)
    return y if layer.bias is None else y + layer.bias.reshape(h, w, -1).permute(2, 0, 1)


@options
@counts
def test_values_and_gradients_are_those_of_unfolded_fields(given, n):
    layer, x = made(given, n)
    parts = [x.requires_grad_(), *layer.parameters()]
    y, wanted = layer(x), unfolded(layer, x)
    assert_close(y, wanted)
    g = torch.randn(y.shape, generator=torch.Generator().manual_seed(1), dtype=y.dtype)
    assert_close(torch.autograd.grad(y, parts, g), torch.autograd.grad(wanted, parts, g))


@options
def test_the_same_filters_at_all_places_are_a_convolution(given):
    layer, x = made(given, 3)
    conv = nn.Conv2d(2, 4, (3, 2), **given).double()
    h, w = layer.output_size
    with torch.no_grad():
        layer.weight.copy_(conv.weight.repeat(h * w, 1, 1, 1))
        if layer.bias is not None:
            layer.bias.copy_(conv.bias.repeat(h * w))
    assert_close(layer(x), conv(x))


@options
def test_all_orders_by_weights_and_inputs(given):
    layer, x = made(given, 1, size=(4, 3))
    names, parts = zip(*layer.named_parameters(), strict=True)

    def called(x, *parts):
        return functional_call(layer, dict(zip(names, parts, strict=True)), (x,))

    inputs = (x.requires_grad_(), *(p.detach().clone().requires_grad_() for p in parts))
    quick = {"fast_mode": True}  # along random directions
    assert torch.autograd.gradcheck(called, inputs, check_forward_ad=True, **quick)
    assert torch.autograd.gradgradcheck(called, inputs, check_fwd_over_rev=True, **quick)


@options
def test_transforms_of_torch_func(given):
    layer, x = made(given, 3)
    dense = torch.autograd.functional.jacobian(layer, x)
    assert_close(jacrev(layer)(x), dense)
    assert_close(jacfwd(layer)(x), dense)
    weights = dict(layer.named_parameters())

    def loss(weights, x):
        return functional_call(layer, weights, (x[None],)).square().sum()

    each = vmap(grad(loss), (None, 0))(weights, x)
    for i in range(3):
        wanted = torch.autograd.grad(loss(weights, x[i]), list(weights.values()))
        assert_close([each[name][i] for name in weights], list(wanted))


def test_compiled_it_learns_the_same():
    layer, x = made(OPTIONS["strided"], 9)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    parts = list(layer.parameters())
    found = torch.autograd.grad(compiled(x).square().sum(), parts)
    assert_close(found, torch.autograd.grad(layer(x).square().sum(), parts))


def test_nothing_but_weights_and_inputs_is_held_for_the_way_back():
    layer, x = made({}, 9)
    held = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: held.append(t) or t, lambda t: t):
        layer(x)
    places = {t.untyped_storage().data_ptr() for t in held}
    assert places <= {x.untyped_storage().data_ptr(), layer.weight.untyped_storage().data_ptr()}


@pytest.mark.parametrize("name", ["plain", "strided"])
def test_the_transpose_is_that_of_the_jacobian(name):
    layer, x = made(OPTIONS[name], 1)
    dense = torch.autograd.functional.jacobian(layer, x).reshape(-1, x.numel())
    y = torch.randn(layer(x).shape, generator=torch.Generator().manual_seed(2), dtype=x.dtype)
    assert_close(layer.transpose(y).flatten(), dense.T @ y.flatten())
    compiled = torch.compile(layer.transpose, backend="aot_eager", fullgraph=True)
    assert_close(compiled(y), layer.transpose(y))
    assert torch.autograd.gradcheck(layer.transpose, y.requires_grad_(), fast_mode=True)


def test_the_transpose_refuses_other_shapes_and_padding():
    layer, x = made(OPTIONS["reflected"], 1)
    with pytest.raises(UsageError, match=r"y must have shape \(N, 4, 2, 3\), got shape"):
        layer.transpose(x)
    with pytest.raises(UsageError, match="padding_mode must be 'zeros' for the transposed map"):
        layer.transpose(layer(x))


def test_first_weights_are_those_of_a_convolution():
    layer = LocallyConnected2d(4, 8, 3, input_size=20)
    bound = nn.Conv2d(4, 8, 3).weight[0].numel() ** -0.5
    for values in layer.parameters():
        assert values.detach().abs().max() <= bound
        assert abs(float(values.detach().std()) - bound / 3**0.5) < 0.05 * bound


def test_on_meta_it_tells_shapes():
    layer = LocallyConnected2d(2, 3, 3, input_size=6, device="meta")
    assert layer(torch.zeros(4, 2, 6, 6, device="meta")).shape == (4, 3, 4, 4)
