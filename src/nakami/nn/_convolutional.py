"""A classifier of windows as one convolution over a whole picture."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn.modules.utils import _pair

from nakami.results import wrong, wrong_type

TOLERANCE = 1e-3  # of the largest output: far above rounding, far below another network
WAY_OUT = "pass an nn.Sequential of convolutions, poolings, nn.Flatten and nn.Linear"


@final
class Convolutional(nn.Sequential):
    """A network whose output ``[..., i, j]`` is that of the window at ``stride * (i, j)``.

    Attributes:
        window: Height and width of what the classifier takes.
        stride: Rows and columns between two neighbouring windows.
    """

    def __init__(self, layers: list[nn.Module], window: tuple[int, int], stride: tuple[int, int]):
        super().__init__(*layers)
        self.window, self.stride = window, stride


@torch.no_grad()
def convolutional(
    model: nn.Sequential, shape: tuple[int, int, int], *, fine: bool = False
) -> Convolutional:
    """The same classifier for pictures of any size: it answers for every window at once.

    Linear layers become convolutions as large as the maps that they see. On a larger picture the
    output is a map: what the classifier says of each window, at steps of the product of all
    strides. With ``fine`` the steps are finer by the stride of the last pooling: it pools at all
    offsets (stride 1), and what follows looks at values that far apart (dilation), which is the
    same as to pool at each offset, to classify each, and to interleave the answers.

    Args:
        model: In evaluation mode. Its weights are shared, not copied; gradients are not.
        shape: Channels, height and width of one window.
        fine: Whether windows are taken at all offsets of the last pooling.

    Returns:
        ``(N, C, H, W) -> (N, classes, h, w)`` with ``window`` and ``stride``. Equal to single
        windows up to rounding where no layer pads; where layers pad, a window inside a larger
        picture sees its neighbours in place of zeros.

    Cost: that of one convolution, in place of one run for every window.

    Raises:
        UsageError: The model is in training mode, or a layer cannot be applied to a map.

    Source: Sermanet et al., OverFeat, ICLR 2014, sections 3.3 and 3.5.
    """
    if not isinstance(model, nn.Sequential):
        raise wrong_type("model", "be an nn.Sequential", type(model).__name__, WAY_OUT)
    if model.training:
        raise wrong("model", "be in evaluation mode", "training mode", "call model.eval()")
    weight = next(iter(model.parameters()), torch.zeros(()))
    g = torch.Generator().manual_seed(0)
    x = torch.rand(1, *shape, generator=g).to(weight)
    parts = list(_leaves(model))
    last = max((i for i, part in enumerate(parts) if fine and _pools(part)), default=None)
    layers, strides = _converted(parts, x, last)
    made = Convolutional(layers, (shape[1], shape[2]), strides).eval()
    _check_same(model(x), made, x)
    return made


def _leaves(model: nn.Sequential) -> Iterator[nn.Module]:
    """The layers in order, out of all sequences."""
    for part in model:
        yield from _leaves(part) if isinstance(part, nn.Sequential) else (part,)


def _pools(part: nn.Module) -> bool:
    return isinstance(part, nn.MaxPool2d | nn.AvgPool2d | nn.LPPool2d)


def _converted(
    parts: list[nn.Module], x: Tensor, last: int | None
) -> tuple[list[nn.Module], tuple[int, int]]:
    """Layers for maps and the steps of their output; ``last`` pools at all offsets."""
    layers, steps, apart = list[nn.Module](), (1, 1), (1, 1)
    maps = tuple(x.shape[1:])
    for i, part in enumerate(parts):
        if isinstance(part, nn.Conv2d) or _pools(part):
            stride: Any = _pair(part.stride or part.kernel_size)
            steps = (steps[0] * stride[0], steps[1] * stride[1])
            if i == last:
                apart, part_on_map = stride, _pooled_everywhere(part)
            else:
                part_on_map = _dilated(part, apart)
            layers.append(part_on_map)
        elif isinstance(part, nn.Linear):
            layers.append(_as_convolution(part, maps, apart))
        elif isinstance(part, nn.BatchNorm1d):
            layers.append(_of_maps(part))
        elif isinstance(part, nn.AdaptiveAvgPool2d):
            layers += _averaged(part, maps)
        elif not isinstance(part, nn.Flatten):
            layers.append(part)
        x = part(x)
        flat = (1, 1, 1) if not isinstance(part, nn.Flatten) else maps
        maps = tuple(x.shape[1:]) if x.ndim == 4 else flat
    return layers, (steps[0] // apart[0], steps[1] // apart[1])


def _as_convolution(part: nn.Linear, maps: Any, apart: tuple[int, int]) -> nn.Conv2d:
    """A linear layer of maps ``(C, H, W)``, laid out one after the other."""
    channels, *sides = maps
    if channels * sides[0] * sides[1] != part.in_features:  # behind another linear layer
        channels, sides = part.in_features, [1, 1]
    made: nn.Conv2d = nn.utils.skip_init(
        nn.Conv2d,
        channels,
        part.out_features,
        tuple(sides),
        bias=part.bias is not None,
        device="meta",
    )
    made.dilation = apart if sides != [1, 1] else (1, 1)
    made.weight = nn.Parameter(
        part.weight.detach().view(-1, channels, *sides), part.weight.requires_grad
    )
    made.bias = part.bias
    return made


def _dilated(part: Any, apart: tuple[int, int]) -> nn.Module:
    """The layer on maps that hold a map for each offset, interleaved."""
    if apart == (1, 1):
        return part
    if not isinstance(part, nn.Conv2d) or part.stride != (1, 1) or isinstance(part.padding, str):
        rule = "have only convolutions with stride 1 behind its last pooling, for fine"
        raise wrong("model", rule, part, "leave {fine} out")
    made = nn.Conv2d(
        part.in_channels,
        part.out_channels,
        part.kernel_size,  # type: ignore[arg-type]
        padding=(part.padding[0] * apart[0], part.padding[1] * apart[1]),
        dilation=(part.dilation[0] * apart[0], part.dilation[1] * apart[1]),
        groups=part.groups,
        bias=part.bias is not None,
        device="meta",
    )
    made.weight, made.bias = part.weight, part.bias
    return made


def _pooled_everywhere(part: Any) -> nn.Module:
    """The pooling with stride 1, which holds those at all offsets, interleaved."""
    if isinstance(part, nn.MaxPool2d):
        return nn.MaxPool2d(part.kernel_size, 1, part.padding, part.dilation)
    if isinstance(part, nn.LPPool2d):
        return nn.LPPool2d(part.norm_type, part.kernel_size, 1)
    return nn.AvgPool2d(part.kernel_size, 1, part.padding, False, part.count_include_pad)


def _of_maps(part: nn.BatchNorm1d) -> nn.BatchNorm2d:
    made = nn.BatchNorm2d(part.num_features, part.eps, affine=part.affine, device="meta")
    made.weight, made.bias = part.weight, part.bias
    made.running_mean, made.running_var = part.running_mean, part.running_var
    made.num_batches_tracked = part.num_batches_tracked
    return made


def _averaged(part: nn.AdaptiveAvgPool2d, maps: Any) -> list[nn.Module]:
    """The mean over a window's maps; nothing where they have the wanted size already."""
    wanted, sides = _pair(part.output_size), tuple(maps[1:])
    if wanted == sides:
        return []
    return [nn.AvgPool2d(sides, 1)] if wanted == (1, 1) else [part]


def _check_same(wanted: Tensor, made: Convolutional, x: Tensor) -> None:
    """Refuse a network that says something else of a single window."""
    try:
        got = made(x)
        far = float((got[..., 0, 0] - wanted).abs().max() / wanted.abs().max().clamp_min(1e-30))
        good = got.ndim == 4 and far <= TOLERANCE
    except (RuntimeError, IndexError, ValueError) as error:
        good, far = False, error  # type: ignore[assignment]
    if not good:
        rule = "give on a map what it gives on a window"
        said = f"a difference of {far:.2g}" if isinstance(far, float) else str(far).splitlines()[0]
        raise wrong("model", rule, said, WAY_OUT)
