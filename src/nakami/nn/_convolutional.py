"""A classifier of windows as one convolution over a whole picture."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn.modules.utils import _pair

from nakami.results import check_sizes, wrong, wrong_type

from ._pooling import L2Pool2d

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
        UsageError: The model or a part of it is in training mode, does not take such windows, or
            has a layer that cannot be applied to a map: one that looks at the whole picture, or a
            step that is not that of a convolution or pooling.

    Source: Sermanet et al., OverFeat, ICLR 2014, sections 3.3 and 3.5.
    """
    if not isinstance(model, nn.Sequential):
        raise wrong_type("model", "be an nn.Sequential", type(model).__name__, WAY_OUT)
    if any(part.training for part in model.modules()):
        raise wrong("model", "be in evaluation mode", "training mode", "call model.eval()")
    x = _window(model, shape)
    parts = list(_leaves(model))
    last = max((i for i, part in enumerate(parts) if fine and _pools(part)), default=None)
    layers, strides = _converted(parts, x, last)
    made = Convolutional(layers, (shape[1], shape[2]), strides).eval()
    _check_same(model, made, x)
    return made


def _window(model: nn.Sequential, shape: tuple[int, int, int]) -> Tensor:
    """A window of random values that the model takes, ``(1, *shape)``, or a refusal."""
    rule = "be channels, height and width of a window"
    check_sizes("shape", shape, 3, rule, "for example (1, 28, 28)")
    weight = next(iter(model.parameters()), torch.zeros(()))
    x = torch.rand(1, *shape, generator=torch.Generator().manual_seed(0)).to(weight)
    try:
        model(x)
    except RuntimeError as error:
        got = f"{tuple(shape)}: {_first_line(error)}"
        raise wrong(
            "shape", "be one that the model takes", got, "pass that of one window"
        ) from error
    return x


def _leaves(model: nn.Sequential) -> Iterator[nn.Module]:
    """The layers in order, out of all sequences."""
    for part in model:
        yield from _leaves(part) if isinstance(part, nn.Sequential) else (part,)


def _pools(part: nn.Module) -> bool:
    return isinstance(part, nn.MaxPool2d | nn.AvgPool2d | nn.LPPool2d | L2Pool2d)


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
        if x.ndim == 4:
            maps = tuple(x.shape[1:])
        elif isinstance(part, nn.Linear):  # else flat, but the same values
            maps = (1, 1, 1)
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
    made: nn.Module = copy.copy(part)
    made.stride = (1, 1)  # type: ignore[assignment]
    return made


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


def _check_same(model: nn.Sequential, made: Convolutional, x: Tensor) -> None:
    """Refuse a network that says something else of a window, alone or in a larger picture.

    Windows within a picture are compared where no layer pads; what layers make of the whole
    picture, such as its mean, shows there.
    """
    (h, w), (down, across) = made.window, (2 * step for step in made.stride)
    g = torch.Generator().manual_seed(1)
    wide = torch.rand(1, x.shape[1], h + down, w + across, generator=g).to(x)
    wide[..., :h, :w] = x
    try:
        one, several = made(x), made(wide)
        steps = [n - m for n, m in zip(several.shape[2:], one.shape[2:], strict=True)]
        good, said = steps == [2, 2], "steps other than the product of its strides"
        pairs = [(one[..., 0, 0], model(x).flatten(1))]
        if good and not any(_pads(part) for part in made.modules()):
            pairs.append((several[..., 2, 2], model(wide[..., down:, across:]).flatten(1)))
        far = [float((a - b).abs().max() / b.abs().max().clamp_min(1e-30)) for a, b in pairs]
        if good and not all(each <= TOLERANCE for each in far):
            good, said = False, f"a difference of {max(far):.2g}"
    except (RuntimeError, IndexError, ValueError) as error:
        good, said = False, _first_line(error)
    if not good:
        raise wrong("model", "give on a map what it gives on a window", said, WAY_OUT)


def _pads(part: nn.Module) -> bool:
    """Whether a layer puts something around its maps."""
    padding = getattr(part, "padding", 0)
    return padding not in (0, (0, 0), "valid")


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
