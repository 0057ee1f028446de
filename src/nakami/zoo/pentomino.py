"""Two networks, one on the other: what each patch holds, then what the picture is ("P1NN, P2NN").

Origin: Gulcehre & Bengio, "Knowledge matters: importance of prior information for optimization",
arXiv 1301.4083 (JMLR 17, 2016). ``patches``, shared across 8 x 8 patches, tells of each whether it
is empty or which of ten sprites it holds: 64 values to hidden units to 11. ``picture`` has these of
all patches: 704 values to hidden units to one log odds. Hints are labels of the patches: with them
the lower network is trained first and then held; without, both are trained at once.

Deliberate differences: between both a softmax, and a normalisation by constants (``standardise``)
that begins as the identity; rectified linear units, first weights ``N(0, 2 / inputs)``; of two
classes the log odds ``z`` come out as the logits ``(0, z)``, whose softmax is the logistic of it.

Published: learners without hints stay at chance, with hints the task is solved (abstract).
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nakami.results import check_at_least, wrong

from ._entry import Entry
from ._layers import layer, seeded

SIDE = 8  # pixels of a patch
LEAST = 1e-6  # deviation of an output of the lower network below which it is constant


class LogOdds(nn.Linear):
    """The log odds of the second of two classes, as logits ``(0, z)``: ``(N, n) -> (N, 2)``.

    Args:
        inputs: ``n``.
    """

    def __init__(self, inputs: int, bias: bool = True, device: Any = None, dtype: Any = None):
        super().__init__(inputs, 1, bias, device, dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Two logits, the first 0."""
        return F.pad(super().forward(x), (1, 0))


class Standardise(nn.Module):
    """``(x - mean) / deviation`` of each of n values by constants that begin as 0 and 1.

    Args:
        n: Values of an example.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, n: int, dtype: torch.dtype = torch.float32):
        super().__init__()
        self.register_buffer("mean", torch.zeros(n, dtype=dtype))
        self.register_buffer("deviation", torch.ones(n, dtype=dtype))

    def fit(self, x: Tensor) -> None:
        """Take mean and deviation of ``(N, n)``; values that do not change are only centred."""
        spread = x.std(0, correction=0)
        self.mean.copy_(x.mean(0))
        self.deviation.copy_(torch.where(spread < LEAST, torch.ones_like(spread), spread))

    def forward(self, x: Tensor) -> Tensor:
        """``(N, n) -> (N, n)``."""
        return (x - self.mean) / self.deviation


def make(
    shape: tuple[int, int, int] = (1, 64, 64),
    *,
    kinds: int = 11,
    patch_units: int = 256,
    units: int = 1024,
    classes: int = 2,
    generator: torch.Generator | None = None,
) -> nn.Sequential:
    """The lower network on every patch, then the upper one on all of its answers.

    Modules ``patch_hidden``, ``patch_units``, ``patch_logits``, ``patch_softmax``, ``flatten``
    (answers of one kind in all patches are neighbours), ``standardise``, ``hidden``, ``units``,
    ``output``.

    Args:
        shape: Channels, height and width of a picture; sides are multiples of 8.
        kinds: What a patch can be.
        patch_units: Hidden units of the lower network.
        units: Hidden units of the upper network.
        classes: Of a picture.
        generator: Source of the first weights; None: a fresh one with seed 0.

    Returns:
        A network ``(N, *shape) -> (N, classes)``; the default has 742,412 parameters.
    """
    channels, height, width = shape
    if height % SIDE or width % SIDE or min(shape) < 1:
        rule = f"have sides that are multiples of {SIDE}, the side of a patch"
        raise wrong("shape", rule, shape, f"scale pictures to {8 * SIDE} x {8 * SIDE}")
    for name, number, least in (
        ("kinds", kinds, 2),
        ("classes", classes, 2),
        ("patch_units", patch_units, 1),
        ("units", units, 1),
    ):
        check_at_least(name, number, least, f"pass {least} or more")
    g, whole = seeded(generator), kinds * (height // SIDE) * (width // SIDE)
    kernel: dict[str, Any] = {"kernel_size": SIDE, "stride": SIDE, "generator": g}
    soft: dict[str, Any] = {"kernel_size": 1, "std": patch_units**-0.5, "generator": g}
    last: tuple[Any, ...] = (LogOdds, units) if classes == 2 else (nn.Linear, units, classes)
    parts: dict[str, nn.Module] = {
        "patch_hidden": layer(nn.Conv2d, channels, patch_units, **kernel),
        "patch_units": nn.ReLU(),
        "patch_logits": layer(nn.Conv2d, patch_units, kinds, **soft),
        "patch_softmax": nn.Softmax(1),
        "flatten": nn.Flatten(),
        "standardise": Standardise(whole),
        "hidden": layer(nn.Linear, whole, units, generator=g),
        "units": nn.ReLU(),
        "output": layer(*last, std=units**-0.5, generator=g),
    }
    return nn.Sequential(OrderedDict(parts))


def patches(net: nn.Sequential) -> nn.Sequential:
    """The lower network, pictures to logits of patches ``(N, kinds, rows, columns)``; shared."""
    return _part(net, slice(None, 3))


def answers(net: nn.Sequential) -> nn.Sequential:
    """Pictures to probabilities of what patches are, ``(N, kinds rows columns)``; shared."""
    return _part(net, slice(None, 5))


def picture(net: nn.Sequential) -> nn.Sequential:
    """The upper network, probabilities of patches to logits of a picture; shared."""
    return _part(net, slice(5, None))


def _part(net: nn.Sequential, some: slice) -> nn.Sequential:
    return nn.Sequential(OrderedDict(list(net.named_children())[some]))


ENTRY = Entry(
    make=make,
    input=(1, 64, 64),
    output=(2,),
    parameters=64 * 256 + 256 + 256 * 11 + 11 + 704 * 1024 + 1024 + 1024 + 1,
    task="classification",
    origin="Gulcehre & Bengio 2013",
    preprocessing="unit",
)
