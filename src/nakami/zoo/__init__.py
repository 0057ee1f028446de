"""Classic models, one file each: plain modules that know no reading and no data.

``build(name)`` makes one of ``NAMES`` with its usual sizes, untrained. Nothing here touches torch's
global random state: weights come from a ``torch.Generator``. Names resolve lazily.
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

NAMES = ("dbn", "mlp", "cnn")

_HOMES = {
    "RBM": "rbm",
    "ContrastiveDivergence": "rbm",
    "contrastive_divergence": "rbm",
    "fit": "rbm",
    "DBN": "dbn",
}

__all__ = [
    "DBN",
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
        name: One of ``NAMES``. All take pictures ``(N, 1, 28, 28)`` and give 10 logits.
        generator: Source of the initial weights; None: a fresh one with seed 0.

    Raises:
        UsageError: Unknown name; the sentence offers the nearest.
    """
    if name not in NAMES:
        raise unknown("model", name, NAMES)
    return import_module(f".{name}", __name__).make(generator=generator).eval()


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
