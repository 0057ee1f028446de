"""Classic models, one file each: plain modules that know no reading, no training and no data.

``build(name)`` makes one of ``ENTRIES`` with its usual sizes, untrained; ``ENTRIES[name]`` says
what it takes and gives. A new model is a new file with an ``ENTRY``. Nothing here touches torch's
global random state: weights come from a ``torch.Generator``. Names are listed without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nakami.results import Entries

from ._entry import Entry

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["ENTRIES", "Entry", "build"]

ENTRIES = Entries(__name__, Entry, "model")


def build(name: str, generator: torch.Generator | None = None) -> nn.Module:
    """An untrained model of the zoo, in its usual size, in evaluation mode.

    Args:
        name: One of ``ENTRIES``.
        generator: Source of the initial weights; None: a fresh one with seed 0.

    Raises:
        UsageError: Unknown name; the sentence offers the nearest.
    """
    return ENTRIES[name].make(generator=generator).eval()
