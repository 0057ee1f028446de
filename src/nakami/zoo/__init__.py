"""Classic models, one file each: plain modules that know no reading and no data.

``build(name)`` makes one of ``NAMES`` with its usual sizes, untrained: ``DIGITS`` take pictures
``(N, 1, 28, 28)`` and give 10 logits, ``IMAGENET`` take ``(N, 3, 224, 224)`` and have the state
dicts of published weights. Nothing here touches torch's global random state: weights come from a
``torch.Generator``. Names resolve lazily.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nakami.results import unknown

if TYPE_CHECKING:
    import torch
    from torch import nn

    from .dbn import DBN
    from .rbm import RBM, ContrastiveDivergence, contrastive_divergence, fit

DIGITS = ("dbn", "mlp", "cnn")
_IMAGENET = {  # name: module and function
    "alexnet": ("alexnet", "make"),
    "alexnet-features": ("alexnet", "features"),
    "alexnet-original": ("alexnet", "original"),
    "squeezenet": ("squeezenet", "make"),
    "vgg16": ("vgg", "make"),
    "vgg16-features": ("vgg", "features"),
    "efficientnet-lite0": ("efficientnet_lite", "make"),
}
IMAGENET = tuple(_IMAGENET)
NAMES = DIGITS + IMAGENET

_HOMES = {
    "RBM": "rbm",
    "ContrastiveDivergence": "rbm",
    "contrastive_divergence": "rbm",
    "fit": "rbm",
    "DBN": "dbn",
}

__all__ = [
    "DBN",
    "DIGITS",
    "IMAGENET",
    "NAMES",
    "RBM",
    "ContrastiveDivergence",
    "build",
    "contrastive_divergence",
    "fit",
]


def build(name: str, generator: torch.Generator | None = None) -> nn.Module:
    """An untrained model of the zoo, in its usual size, in evaluation mode.

    Args:
        name: One of ``NAMES``. The networks for ImageNet give 1,000 logits; those called
            ``-features`` end after the last pooling of the convolutions.
        generator: Source of the initial weights; None: a fresh one with seed 0.

    Raises:
        UsageError: Unknown name; the sentence offers the nearest.
    """
    if name not in NAMES:
        raise unknown("model", name, NAMES)
    home, function = _IMAGENET.get(name, (name, "make"))
    make = getattr(import_module(f".{home}", __name__), function)
    model: nn.Module = make(generator=generator)
    return model.eval()


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
