"""Convolution by Fourier transforms against torch's own, and when it is chosen."""

import itertools
import json
import re
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, jvp, vmap
from torch.testing import assert_close

from nakami.nn import FFTConv2d
from nakami.nn._convolution_rule import fast_length
from nakami.results import UsageError

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "convolution.json"
MODES = ("zeros", "reflect", "replicate", "circular")
OPTIONS = [
    {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "bias": bias}
    for stride, padding, dilation, (groups, bias) in itertools.product(
        (1, (2, 3)), (0, (2, 1), "same", "valid"), (1, (1, 3)), ((1, True), (2, False), (4, True))
    )
    if padding != "same" or stride == 1
]


def drawn(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def pair(*args, dtype=torch.float64, **options):
    """The layer and torch's, of the same weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        own = nn.Conv2d(*args, **options, dtype=dtype)
    layer = FFTConv2d(*args, **options, dtype=dtype, method="fft")
    layer.load_state_dict(own.state_dict())
    return layer, own


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kernel", [(3, 3), (1, 5)])
def test_values_are_those_of_torch_for_all_arguments(mode, kernel):
    for options in OPTIONS:
        layer, own = pair(4, 8, kernel, padding_mode=mode, **options)
        for shape in ((2, 4, 9, 13), (4, 9, 13)):
            y, wanted = layer(drawn(*shape)), own(drawn(*shape))
            assert y.is_contiguous()
            assert_close(y, wanted, rtol=0, atol=1e-13)


@pytest.mark.parametrize(
    ("args", "options", "shape"),
    [
        ((2, 3, 9), {"padding": 4}, (2, 2, 4, 4)),  # wider than the picture
        ((2, 3, (1, 1)), {"padding": (3, 0)}, (1, 2, 4, 5)),  # results within the padding
        ((3, 2, 31), {"padding": 15}, (1, 3, 33, 29)),
        ((1, 6, (4, 2)), {"padding": (3, 1), "stride": 2}, (2, 1, 8, 7)),  # even
    ],
)
def test_unusual_sizes(args, options, shape):
    layer, own = pair(*args, **options)
    assert_close(layer(drawn(*shape)), own(drawn(*shape)), rtol=0, atol=1e-12)


def test_the_check_can_fail_and_float32_is_as_exact_as_it_can_be():
    layer, own = pair(8, 8, 5, dtype=torch.float32)
    x = drawn(2, 8, 16, 16, dtype=torch.float32)
    exact = own.double()(x.double()).detach()
    assert_close(layer(x).double(), exact, rtol=0, atol=3e-6 * float(exact.abs().max()))
    with pytest.raises(AssertionError, match="not close"):
        assert_close(layer(x).double(), exact, rtol=0, atol=1e-12)


@pytest.mark.parametrize("options", [{}, {"dilation": 2, "padding": 2, "padding_mode": "circular"}])
def test_gradients_by_the_weights_of_both_orders(options):
    layer, _ = pair(2, 2, (2, 3), **options)
    x = drawn(2, 2, 5, 6)

    def by_weight(weight, bias):
        return functional_call(layer, {"weight": weight, "bias": bias}, (x,))

    weights = tuple(p.detach().clone().requires_grad_(True) for p in layer.parameters())
    batched = {"check_batched_grad": True, "check_batched_forward_grad": True}
    assert torch.autograd.gradcheck(by_weight, weights, check_forward_ad=True, **batched)
    assert torch.autograd.gradgradcheck(by_weight, weights)


def test_transforms_of_torch_func_are_those_of_a_loop():
    layer, own = pair(2, 3, 3, padding=1)
    x, v, weights = drawn(4, 2, 6, 6), drawn(4, 2, 6, 6, seed=1), dict(layer.named_parameters())

    def loss(net):
        return lambda w, one: functional_call(net, w, (one[None],)).square().sum()

    each = vmap(grad(loss(layer)), (None, 0))(weights, x)
    for i in range(4):
        wanted = grad(loss(own))(dict(own.named_parameters()), x[i])
        assert_close({k: g[i] for k, g in each.items()}, wanted, rtol=1e-10, atol=1e-11)
    assert_close(jvp(layer, (x,), (v,)), jvp(own, (x,), (v,)), rtol=1e-10, atol=1e-12)
    several = {k: torch.stack([p, 2 * p]) for k, p in weights.items()}  # an ensemble of two
    y = vmap(lambda w: functional_call(layer, w, (x,)))(several)
    assert_close(y[1], 2 * own(x), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_numbers_of_16_bits_are_transformed_in_float32(dtype):
    layer, own = pair(2, 3, 3, padding=1, dtype=torch.float32)
    x = drawn(2, 2, 8, 8, dtype=torch.float32)
    with torch.autocast("cpu", dtype):
        y = layer(x)
    assert_close(y, own(x).to(dtype), rtol=torch.finfo(dtype).eps, atol=1e-5)  # rounded once
    assert layer.to(dtype)(x.to(dtype)).dtype == dtype
    layer.method = "auto"
    with torch.autocast("cpu", dtype):
        assert layer.plan(x.repeat(32, 1, 1, 1)) == "direct"


def choice(*args, shape, dtype=torch.float32, device="cpu", **options):
    layer = FFTConv2d(*args, **options, dtype=dtype, device="meta" if device == "meta" else None)
    return layer.plan(torch.empty(shape, dtype=dtype, device=device))


def test_large_kernels_are_transformed_and_small_ones_are_not():
    for dtype in (torch.float32, torch.float64):
        for layer, shape in (((1, 8), (16, 1, 32, 32)), ((32, 64), (8, 32, 64, 64))):
            chosen = [
                choice(*layer, k, shape=shape, dtype=dtype, padding=k // 2) for k in range(1, 32, 2)
            ]
            assert chosen == sorted(chosen)  # "direct" up to one size, then "fft"
            assert (chosen[0], chosen[-1]) == ("direct", "fft")
    large = {"shape": (8, 3, 64, 64), "padding": 15}
    assert choice(3, 8, 31, **large) == "fft"
    assert choice(3, 8, 31, **large, stride=16) == "direct"  # a transform makes all sums
    assert choice(3, 8, 31, **large, device="meta") == "direct"  # nothing was measured there


def test_auto_gives_the_numbers_of_what_it_chooses():
    layer, own = pair(1, 8, 15, padding=7)
    x = drawn(4, 1, 32, 32)
    layer.method = "auto"
    assert layer.plan(x) == "fft"
    assert_close(layer(x), own(x), rtol=0, atol=1e-12)
    assert not torch.equal(layer(x), own(x))
    layer.method = "direct"
    assert torch.equal(layer(x), own(x))


@pytest.mark.skipif(not RESULTS.exists(), reason="the benchmarks are not installed")
def test_the_rule_is_within_its_limit_in_nearly_all_measured_cases():
    ratios = []
    for line in RESULTS.read_text().splitlines()[1:]:
        row = json.loads(line)
        batch, channels, outputs, groups = row["layer"]
        for case in row["kernels"]:
            side, kernel = row["side"], case["kernel"]
            way = choice(
                channels, outputs, kernel, padding=kernel // 2, groups=groups,
                shape=(batch, channels, side, side), dtype=getattr(torch, row["dtype"]),
            )  # fmt: skip
            ratios.append(case[way] / min(case["fft"], case["direct"]))
    assert sum(r <= 1.2 for r in ratios) > 0.9 * len(ratios)
    assert max(ratios) < 3


def test_lengths_of_transforms_have_small_factors():
    for n in range(1, 300):
        found = fast_length(n)
        assert n <= found
        assert found % 2 == 0
        assert 2**10 * 3**6 * 5**4 * 7**4 % found == 0
    assert [fast_length(n) for n in (1, 12, 13, 17, 121)] == [2, 12, 14, 18, 126]


def test_what_watches_convolutions_sees_one():
    assert FFTConv2d.forward is nn.Conv2d.forward
    assert nn.utils.skip_init(FFTConv2d, 2, 3, 5).weight.shape == (3, 2, 5, 5)


def test_wrong_use_is_refused():
    with pytest.raises(UsageError, match="method must be one of auto, fft, direct, got 'fast'"):
        FFTConv2d(1, 1, 3, method="fast")
    layer, own = pair(2, 3, 3)
    for x in (drawn(2, 3, 5, 5), drawn(1, 2, 2, 5), drawn(5, 5), drawn(1, 2, 5, 5).float()):
        with pytest.raises(RuntimeError) as theirs:
            own(x)
        with pytest.raises(RuntimeError, match=f"^{re.escape(str(theirs.value))}$"):  # as torch
            layer(x)
    assert layer(torch.zeros(0, 2, 5, 5).double()).shape == (0, 3, 3, 3)
    complex_ = FFTConv2d(2, 3, 3, method="fft", dtype=torch.complex64)
    with pytest.raises(TypeError, match=r'x must be real for method="fft", got torch.complex64'):
        complex_(torch.zeros(1, 2, 5, 5, dtype=torch.complex64))
