"""What is special to each layer: limits, masks, moments, and refusals."""

import itertools
import math

import pytest
import torch
from torch import nn
from torch.nn.functional import avg_pool2d, max_pool2d
from torch.testing import assert_close

from nakami import nn as ours
from nakami.results import UsageError


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_maxout_of_two_pieces_is_relu_and_the_absolute_value():
    x = drawn(4, 5)
    pairs = torch.stack([x, torch.zeros_like(x)], 2).flatten(1)
    assert_close(ours.Maxout(2)(pairs), x.relu(), rtol=0, atol=0)
    pairs = torch.stack([x, -x], 2).flatten(1)
    assert_close(ours.Maxout(2)(pairs), x.abs(), rtol=0, atol=0)


def test_maxout_gives_its_gradient_to_one_piece():
    x = torch.ones(1, 6, requires_grad=True)  # all equal
    ours.Maxout(3)(x).sum().backward()
    assert x.grad.reshape(2, 3).sum(1).tolist() == [1, 1]
    assert sorted(x.grad.unique().tolist()) == [0, 1]


def test_maxout_of_channels_that_are_last_and_of_maps():
    x = drawn(2, 3, 4, 6)
    last = ours.Maxout(3, dim=-1)(x)
    assert_close(last, ours.Maxout(3)(x.movedim(-1, 1)).movedim(1, -1), rtol=0, atol=0)


def all_masks(layer, x):
    """The sums of every mask of one example and their probabilities."""
    sums, chances = [], []
    keep = 1 - layer.p
    for bits in itertools.product((0.0, 1.0), repeat=layer.weight.numel()):
        mask = torch.tensor(bits, dtype=torch.float64).reshape(layer.weight.shape)
        sums.append((mask * layer.weight / keep) @ x + layer.bias)
        kept = int(mask.sum())
        chances.append(keep**kept * layer.p ** (len(bits) - kept))
    return torch.stack(sums), torch.tensor(chances, dtype=torch.float64)


def test_dropconnect_has_the_mean_and_variance_of_all_masks():
    torch.manual_seed(0)
    layer = ours.DropConnect(4, 2, 0.3, nn.Identity()).double()
    x = drawn(4, seed=1)
    with torch.no_grad():
        sums, chances = all_masks(layer, x)
        mean = chances @ sums
        variance = chances @ (sums - mean).square()
        assert_close(layer.eval()(x[None])[0], mean)
        layer.activation = Square()
        assert_close(layer(x[None])[0], mean.square() + variance, rtol=1e-6, atol=0)


class Square(nn.Module):
    def forward(self, x):
        return x.square()


def test_dropconnect_draws_a_mask_for_each_example_with_the_stated_chance():
    torch.manual_seed(0)
    layer = ours.DropConnect(3, 2, 0.25, bias=False).double()
    x = torch.eye(3, dtype=torch.float64).repeat(4000, 1)
    kept = layer(x) / layer.weight.T.repeat(4000, 1)  # an entry a weight: 0 or 1 / 0.75
    assert sorted(kept.detach().round(decimals=6).unique().tolist()) == [0, round(1 / 0.75, 6)]
    share = float((kept > 0).double().mean())
    assert abs(share - 0.75) < 4 * (0.25 * 0.75 / kept.numel()) ** 0.5
    pairs = kept.reshape(4000, 3, 2)
    assert len({tuple(p.flatten().tolist()) for p in pairs.round(decimals=3)}) > 30


def test_dropconnect_of_shape_with_axes_between():
    layer = ours.DropConnect(3, 2)
    assert layer.train()(torch.ones(4, 5, 3)).shape == layer.eval()(torch.ones(4, 5, 3)).shape


@pytest.mark.parametrize("beta", [-1.0, 0.7])
def test_adaptive_dropout_without_slope_is_dropout(beta):
    torch.manual_seed(0)
    layer = ours.AdaptiveDropout(6, 400, nn.Identity(), alpha=0, beta=beta)
    x, keep = torch.ones(50, 6), torch.sigmoid(torch.tensor(beta))
    share = float((layer(x) != 0).float().mean())
    assert abs(share - keep) < 4 * float(keep * (1 - keep) / 20_000) ** 0.5
    assert_close(layer.eval()(x), keep * torch.nn.functional.linear(x, layer.weight, layer.bias))


def test_the_mask_of_adaptive_dropout_is_a_constant_of_the_gradient():
    layer = ours.AdaptiveDropout(3, 2, nn.Identity(), bias=False).double()
    x = drawn(1, 3).requires_grad_(True)
    torch.manual_seed(0)
    y = layer(x)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert_close(gradient[0], layer.weight.T @ (y != 0).double()[0])


def test_l2_pooling_lies_between_average_and_maximum():
    x = drawn(2, 3, 8, 8).abs()
    pooled = ours.L2Pool2d(2)(x)
    assert (avg_pool2d(x, 2) <= pooled).all()
    assert (pooled <= max_pool2d(x, 2) + 1e-8).all()
    assert_close(pooled, nn.LPPool2d(2, 2)(x) / 2, rtol=1e-6, atol=0)


def test_a_wide_gaussian_is_the_mean():
    x = drawn(1, 2, 6, 6)
    assert_close(ours.GaussianPool2d(3, sigma=1e4, power=1)(x), avg_pool2d(x, 3))
    assert_close(ours.GaussianPool2d(3, sigma=1e4)(x), ours.L2Pool2d(3)(x), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("channels", [1, 3])
def test_contrast_does_not_change_with_brightness_and_scale(channels):
    x, layer = drawn(2, channels, 12, 11), ours.LocalContrastNorm2d().double()
    assert_close(layer(3.7 * x - 5), layer(x), rtol=1e-9, atol=1e-12)
    bare = ours.LocalContrastNorm2d(root=False).double()
    assert_close(bare(2 * x), bare(x) / 2)  # the sum in place of the root


def test_an_even_picture_has_no_contrast_and_a_finite_gradient():
    x = torch.full((1, 2, 6, 6), 0.7, dtype=torch.float64, requires_grad=True)
    y = ours.LocalContrastNorm2d(5).double()(x)
    y.sum().backward()
    assert y.abs().max() < 0.05
    assert torch.isfinite(x.grad).all()


def test_max_norm_shortens_long_units_alone():
    w = torch.tensor([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]])
    assert_close(ours.max_norm(w, 1.0), torch.tensor([[0.6, 0.8], [0.3, 0.4], [0.0, 0.0]]))
    filters = drawn(4, 3, 2, 2)
    assert ours.max_norm(filters, 0.5).flatten(1).norm(dim=1).max() <= 0.5 + 1e-12


def test_max_norm_holds_after_each_step_until_it_is_removed():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    optimizer = torch.optim.SGD(net.parameters(), 5.0)
    handle = ours.MaxNorm(net, 0.2, "0.*").attach(optimizer)

    def step():
        optimizer.zero_grad()
        net(torch.ones(2, 3)).square().sum().backward()
        optimizer.step()
        return [float(net[i].weight.detach().norm(dim=1).max()) for i in (0, 2)]

    first, other = step()
    assert first <= 0.2 + 1e-6 < other
    handle.remove()
    assert step()[0] > 0.2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ours.Maxout(0), "pieces must be a whole number from 1 on, got 0; use 5"),
        (
            lambda: ours.Maxout(3)(torch.ones(2, 7)),
            r"x must have a multiple of 3 channels on axis 1, got shape \(2, 7\); make the layer",
        ),
        (lambda: ours.DropConnect(2, 2, 1.0), "p must lie between 0 and 1, got 1.0; use 0.5"),
        (
            lambda: ours.DropConnect(2, 2, draws=0),
            "draws must be a whole number from 1 on, got 0",
        ),
        (
            lambda: ours.AdaptiveDropout(2, 2, beta=float("nan")),
            "beta must be a finite number, got nan; leave it out",
        ),
        (
            lambda: ours.L2Pool2d((2, 2, 2)),
            r"kernel_size must be one number or two, got \(2, 2, 2\)",
        ),
        (
            lambda: ours.L2Pool2d(2, padding=-1),
            "padding must be a whole number from 0 on, got -1",
        ),
        (lambda: ours.GaussianPool2d(2, power=3), "power must be 1 or 2, got 3; use 2"),
        (
            lambda: ours.GaussianPool2d(2, sigma=0),
            "sigma must be a finite number above 0, in pixels",
        ),
        (
            lambda: ours.LocallyConnected2d(3, 4, 3, groups=2, input_size=9),
            "in_channels must be divisible by groups=2, got 3; use 4",
        ),
        (
            lambda: ours.LocallyConnected2d(2, 3, 3, groups=2, input_size=9),
            "out_channels must be divisible by groups=2, got 3; use 4",
        ),
        (
            lambda: ours.LocallyConnected2d(1, 1, 3, groups=0, input_size=9),
            "groups must be a whole number from 1 on, got 0",
        ),
        (
            lambda: ours.LocallyConnected2d(1, 1, 3, padding="full", input_size=9),
            "padding must be one of same, valid, got 'full'; or pass numbers",
        ),
        (
            lambda: ours.LocallyConnected2d(1, 1, 3, 2, "same", input_size=9),
            "padding must be a number where stride is not 1, got 'same'; use padding=0",
        ),
        (
            lambda: ours.LocallyConnected2d(1, 1, 3, padding_mode="mirror", input_size=9),
            "padding_mode must be one of zeros, reflect, replicate, circular, got 'mirror'",
        ),
        (
            lambda: ours.LocallyConnected2d(1, 1, 3, 1, 4, padding_mode="reflect", input_size=4),
            "padding must be at most 3 with padding_mode='reflect', got 4",
        ),
        (
            lambda: ours.LocallyConnected2d(1, 1, 3, dilation=2, input_size=(4, 9)),
            r"kernel_size must reach over at most 4 x 9 pixels, .* got \(5, 5\)",
        ),
        (
            lambda: ours.LocallyConnected2d(2, 1, 3, input_size=6)(torch.ones(1, 2, 6, 5)),
            r"x must have shape \(N, 2, 6, 6\), got shape \(1, 2, 6, 5\)",
        ),
        (
            lambda: ours.LocallyConnected2d(2, 1, "3", input_size=6),
            r"kernel_size must be one number or two, got '3'; pass 2, or \(2, 2\)",
        ),
        (lambda: ours.L2Pool2d(2.5), "kernel_size must be a whole number from 1 on, got 2.5"),
        (lambda: ours.L2Pool2d((2, 2, 2)), "kernel_size must be one number or two"),
        (lambda: ours.LocalContrastNorm2d(4), "kernel_size must be odd, got 4; use 5"),
        (lambda: ours.LocalContrastNorm2d(floor=-1), "floor must be a number, at least 0, got -1"),
        (
            lambda: ours.LocalContrastNorm2d(9)(torch.ones(1, 1, 4, 9)),
            r"x must have sides longer than 4, half the window, got shape \(1, 1, 4, 9\)",
        ),
        (
            lambda: ours.max_norm(torch.ones(2, 2), 0),
            "limit must be a number above 0, got 0; use 3",
        ),
        (lambda: ours.MaxNorm(nn.Linear(2, 2), -1), "limit must be a number above 0, got -1"),
        (lambda: ours.MaxNorm(nn.Linear(2, 2), 1, "wieght"), "params .*wieght.*weight"),
    ],
)
def test_wrong_use_is_refused_in_a_sentence(make, message):
    with pytest.raises(UsageError, match=message):
        make()


@pytest.mark.parametrize(
    "layer",
    [
        ours.L2Pool2d(2),
        ours.GaussianPool2d(3, 2, 1),
        ours.LocalContrastNorm2d(3),
        ours.LocallyConnected2d(3, 2, 3, input_size=(6, 8)).double(),
    ],
)
def test_a_picture_without_an_axis_of_examples(layer):
    x = drawn(3, 6, 8)
    assert_close(layer(x), layer(x[None])[0])
    assert layer(x.expand(0, 3, 6, 8)).shape == (0, *layer(x).shape)


def test_pools_take_a_padding_for_each_axis_as_torchs_do():
    x = drawn_pictures()
    wanted = torch.nn.AvgPool2d((3, 2), 2, (1, 0))(x.square())
    assert_close(ours.L2Pool2d((3, 2), 2, (1, 0))(x), (wanted + 1e-8).sqrt())
    wide = ours.GaussianPool2d((3, 2), 2, (1, 0), sigma=1e4, power=1)
    assert_close(wide(x), torch.nn.AvgPool2d((3, 2), 2, (1, 0))(x), rtol=1e-6, atol=1e-7)
    with pytest.raises(UsageError, match=r"at most half of the window, \(1, 1\), got 2"):
        ours.L2Pool2d((3, 2), padding=2)


@pytest.mark.parametrize("sigma", [1e-3, 1e-200])
def test_the_narrowest_window_is_the_middle_of_pictures(sigma):
    x = drawn_pictures()
    assert_close(ours.GaussianPool2d(2, sigma=sigma, power=1)(x), torch.nn.AvgPool2d(2)(x))
    assert_close(ours.GaussianPool2d(3, 1, 1, sigma=sigma, power=1)(x), x)
    with pytest.raises(UsageError, match=r"sigma must be a finite number .* got inf"):
        ours.GaussianPool2d(2, sigma=math.inf)


def drawn_pictures():
    return torch.rand(2, 3, 6, 8, generator=torch.Generator().manual_seed(0))
