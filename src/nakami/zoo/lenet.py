"""LeNet in the sizes that Caffe's examples made common, with a choice of pooling and normalisation.

Origin: LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document recognition",
Proc. IEEE 86 (1998). Two 5x5 convolutions without padding, of 20 and 50 maps, each followed by
pooling over 2x2; 500 units; 10 classes.

Deliberate differences from 1998: pooling without weights, every map sees every map below, ReLU
after both convolutions and the hidden layer, logits for a softmax. Normalisation follows the ReLU,
as in AlexNet; local contrast normalisation is that of Jarrett et al., "What is the best multi-stage
architecture for object recognition?", ICCV 2009, whose rectification is the absolute value.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any, Literal, TypeAlias

import torch
from torch import nn

from nakami.nn import GaussianPool2d, L2Pool2d, LocalContrastNorm2d, LocallyConnected2d
from nakami.results import check_at_least, check_choice, check_sizes, wrong

from ._entry import Entry
from ._layers import layer, seeded

Pooling: TypeAlias = Literal["max", "average", "l2", "gaussian"]
Sharing: TypeAlias = Literal["convolution", "local"]
Normalisation: TypeAlias = Literal["none", "contrast", "response"]

POOLINGS: dict[str, Callable[[], nn.Module]] = {  # all make a map of n pixels one of n // 2
    "max": partial(nn.MaxPool2d, 2),
    "average": partial(nn.AvgPool2d, 2),
    "l2": partial(L2Pool2d, 2),
    "gaussian": partial(GaussianPool2d, 4, 2, 1),  # in a 2x2 window all weights are equal
}
NORMALISATIONS: dict[str, Callable[[], nn.Module]] = {
    "contrast": partial(LocalContrastNorm2d, 5),
    "response": partial(nn.LocalResponseNorm, 5, alpha=5e-4, beta=0.75, k=2),  # as in AlexNet
}
LEAST = {"none": 16, "response": 16, "contrast": 18}  # pixels a side


def make(
    shape: tuple[int, int, int] = (1, 28, 28),
    classes: int = 10,
    *,
    pooling: Pooling = "max",
    normalisation: Normalisation = "none",
    sharing: Sharing = "convolution",
    maps: tuple[int, int] = (20, 50),
    units: int = 500,
    generator: torch.Generator | None = None,
) -> nn.Sequential:
    """Modules ``conv1``, ``relu1``, (``norm1``), ``pool1``, ``conv2``, ..., ``hidden``, ``output``.

    Args:
        shape: Channels, height and width of an example; 16 pixels or more on each side, 18 for
            normalisation of contrast.
        classes: Number of outputs.
        pooling: ``"max"``, ``"average"``, ``"l2"`` (root of the mean square), or ``"gaussian"``:
            root of the squares weighed by a Gaussian of 1 pixel, in a 4x4 window of stride 2.
        normalisation: ``"none"``, ``"contrast"`` (5x5, over all maps), or ``"response"``.
        sharing: ``"convolution"``, or ``"local"``: filters of their own at each place.
        maps: Of both convolutions.
        units: Of the hidden layer.
        generator: Source of the first weights ``N(0, 2 / fan-in)``; None: a fresh one with seed 0.

    Returns:
        A network ``(N, *shape) -> (N, classes)``; the default has 431,080 parameters. Neither
        pooling nor normalisation has any, so weights of one fit all of the same ``sharing``.
    """
    check_choice("pooling", pooling, list(POOLINGS), 'use "max"')
    check_choice("normalisation", normalisation, list(LEAST), 'use "none"')
    rule = f"be (channels, height, width), {LEAST[normalisation]} pixels or more on each side"
    check_sizes("shape", shape, 3, rule, "for example (1, 28, 28)")
    if min(shape[1:]) < LEAST[normalisation]:
        raise wrong("shape", rule, tuple(shape), "for example (1, 28, 28)")
    check_choice("sharing", sharing, ["convolution", "local"], 'use "convolution"')
    check_sizes("maps", maps, 2, "be those of both convolutions", "use (20, 50)")
    for name, value in (("classes", classes), ("units", units)):
        check_at_least(name, value, 1, f"pass {name}=10")
    g, size = seeded(generator), tuple(shape[1:])
    parts = OrderedDict[str, nn.Module]()
    for at, (inputs, outputs) in enumerate(pairwise((shape[0], *maps)), 1):
        kind: type[nn.Module] = nn.Conv2d if sharing == "convolution" else LocallyConnected2d
        where: dict[str, Any] = {} if sharing == "convolution" else {"input_size": size}
        parts[f"conv{at}"] = layer(kind, inputs, outputs, 5, generator=g, **where)
        parts[f"relu{at}"] = nn.ReLU()
        if normalisation != "none":
            parts[f"norm{at}"] = NORMALISATIONS[normalisation]()
        parts[f"pool{at}"] = POOLINGS[pooling]()
        size = tuple((side - 4) // 2 for side in size)  # 24 and 12, then 8 and 4 of 28 pixels
    parts["flatten"] = nn.Flatten()
    parts["linear"] = layer(nn.Linear, maps[1] * math.prod(size), units, generator=g)
    parts["hidden"] = nn.ReLU()
    parts["output"] = layer(nn.Linear, units, classes, std=(1 / units) ** 0.5, generator=g)
    return nn.Sequential(parts)


ENTRY = Entry(
    make=make,
    input=(1, 28, 28),
    output=(10,),
    parameters=431_080,
    task="classification",
    origin="LeCun et al. 1998, in the sizes of Caffe",
    preprocessing="unit",
    data="digits",
)
