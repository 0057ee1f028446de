"""Layers whose first weights come from a generator, leaving torch's global random state alone."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


def seeded(generator: torch.Generator | None) -> torch.Generator:
    """The generator itself, or a fresh one with seed 0."""
    return generator if generator is not None else torch.Generator().manual_seed(0)


def layer(kind: type[nn.Module], *args: Any, std: float, generator: torch.Generator) -> Any:
    """``kind(*args)`` with weights ``N(0, std^2)`` and biases 0."""
    made = nn.utils.skip_init(kind, *args)
    with torch.no_grad():
        made.weight.normal_(0.0, std, generator=generator)
        made.bias.zero_()
    return made
