"""OverFeat: a classifier of windows and a regressor of boxes that share their convolutions.

Origin: Sermanet, Eigen, Zhang, Mathieu, Fergus & LeCun, "OverFeat: integrated recognition,
localization and detection using convolutional networks", ICLR 2014. ``FAST`` has the layers of the
published fast model as two programs of others have them (``overfeat.lua`` of soumith's
convnet-benchmarks, ``OverFeat-fast.lua`` of junhocho's SRGAN, which agree); ``SMALL``, the default,
is scaled down by us to windows of 28 pixels, with the same total behaviour: the answer is that of
one window, its last pooling does not overlap, and a classifier of 5 x 5 values stands on it.

Deliberate differences: first weights ``N(0, 2 / fan-in)`` (published: deviation 0.01); a class for
the background; boxes in units of the window.

Published, ILSVRC 2012 validation, top-5 error of the fast model: 17.12 % at one scale, coarse,
16.97 % fine, 16.27 % at six scales; localisation 31.3 % with a shared regressor, 44.1 % with one
for each class (as repeated in notes on the paper).
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nakami.results import check_at_least, check_sizes, wrong

from ._entry import Entry
from ._layers import layer, seeded


@dataclass(frozen=True)
class Plan:
    """Sizes of the layers.

    Attributes:
        convolutions: For each the number of maps, side of the kernel, stride, padding, and side of
            the pooling behind it, 1 for none.
        hidden: Units of the classifier's hidden layers. box_hidden: likewise of the regressor's.
    """

    convolutions: tuple[tuple[int, int, int, int, int], ...]
    hidden: tuple[int, ...]
    box_hidden: tuple[int, ...]


SMALL = Plan(((16, 5, 1, 0, 2), (32, 3, 1, 0, 2)), (128,), (128,))
FAST = Plan(
    (
        (96, 11, 4, 0, 2),
        (256, 5, 1, 0, 2),
        (512, 3, 1, 1, 1),
        (1024, 3, 1, 1, 1),
        (1024, 3, 1, 1, 2),
    ),
    (3072, 4096),
    (4096, 1024),
)  # windows of 3 x 231 x 231, 1,000 classes


class OverFeat(nn.Module):
    """Classes of windows, and boxes in them.

    Args:
        features: ``(N, C, H, W) -> (N, maps, h, w)``, the last layer a pooling.
        classifier: From these maps to logits. regressor: from these maps to coordinates.
        classes: Number of logits.
        shared: Whether all classes have one box.
    """

    def __init__(
        self,
        features: nn.Sequential,
        classifier: nn.Sequential,
        regressor: nn.Sequential,
        classes: int,
        shared: bool,
    ):
        super().__init__()
        self.features, self.classifier, self.regressor = features, classifier, regressor
        self.classes, self.shared = classes, shared

    def forward(self, x: Tensor) -> Tensor:
        """Logits of windows, ``(N, C, H, W) -> (N, classes)``."""
        logits: Tensor = self.classifier(self.features(x))
        return logits

    def boxes(self, x: Tensor) -> Tensor:
        """Left, top, right and bottom in windows of side 1.

        ``(N, C, H, W) -> (N, 4)`` if shared, else ``(N, classes, 4)``.
        """
        found: Tensor = self.regressor(self.features(x))
        return found if self.shared else found.unflatten(1, (self.classes, 4))

    @property
    def windows(self) -> nn.Sequential:
        """The classifier as one sequence, for ``nakami.nn.convolutional``."""
        made = nn.Sequential(self.features, self.classifier)
        made.training = self.training  # its own: the mode of the parts stays what it is
        return made


def make(
    shape: tuple[int, int, int] = (1, 28, 28),
    classes: int = 11,
    *,
    plan: Plan = SMALL,
    shared: bool = True,
    generator: torch.Generator | None = None,
) -> OverFeat:
    """The network; the default has 212,047 parameters.

    Args:
        shape: Channels, height and width of a window.
        classes: Number of logits, that of the background included.
        plan: ``SMALL``, ``FAST`` or another.
        shared: Whether all classes have one box (published: better), or each its own.
        generator: Source of the first weights; None: a fresh one with seed 0.
    """
    rule, way_out = "be channels, height and width of a window", "for example (1, 28, 28)"
    check_sizes("shape", shape, 3, rule, way_out)
    classes = check_at_least("classes", classes, 2, "count the background as one")
    g, (channels, *sides) = seeded(generator), shape
    parts = OrderedDict[str, nn.Module]()
    for i, (maps, kernel, stride, padding, pooling) in enumerate(plan.convolutions, 1):
        parts[f"conv{i}"] = layer(
            nn.Conv2d, channels, maps, kernel, stride=stride, padding=padding, generator=g
        )
        parts[f"relu{i}"] = nn.ReLU()
        if pooling > 1:
            parts[f"pool{i}"] = nn.MaxPool2d(pooling)
        sides = [((side + 2 * padding - kernel) // stride + 1) // pooling for side in sides]
        channels = maps
    if min(sides) < 1:
        rule = "be large enough for all layers"
        raise wrong("shape", rule, tuple(shape), "for example (1, 28, 28) with the plan SMALL")
    inputs = channels * sides[0] * sides[1]
    return OverFeat(
        nn.Sequential(parts),
        _head(inputs, plan.hidden, classes, g),
        _head(inputs, plan.box_hidden, 4 if shared else 4 * classes, g),
        classes,
        shared,
    )


def _head(inputs: int, hidden: tuple[int, ...], outputs: int, g: torch.Generator) -> nn.Sequential:
    """``flatten``, then ``linear1``, ``hidden1``, ..., ``output``."""
    parts = OrderedDict[str, nn.Module](flatten=nn.Flatten())
    for i, units in enumerate(hidden, 1):
        parts[f"linear{i}"] = layer(nn.Linear, inputs, units, generator=g)
        parts[f"hidden{i}"] = nn.ReLU()
        inputs = units
    parts["output"] = layer(nn.Linear, inputs, outputs, std=inputs**-0.5, generator=g)
    return nn.Sequential(parts)


ENTRY = Entry(
    make=make,
    input=(1, 28, 28),
    output=(11,),
    parameters=212_047,
    task="classification",
    origin="Sermanet et al. 2014, scaled down",
    preprocessing="unit",
)
