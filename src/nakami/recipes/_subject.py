"""What is measured: networks, the inputs they share, and the stages to look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from nakami.data import Examples


@dataclass(frozen=True)
class Network:
    """A trained network of a subject, in evaluation mode.

    Attributes:
        name: Short name, also that of its run's folder. training: one sentence on how it was
            trained.
        facts: Figures to show beside the x-ray, each with ``label``, ``value``, ``spread``,
            ``spread_kind`` and ``unit``.
    """

    name: str
    model: nn.Module
    training: str
    facts: list[dict[str, Any]]


@dataclass(frozen=True)
class Subject:
    """Networks to be measured at the same inputs.

    Attributes:
        name: One of ``SUBJECTS``. networks: in order of training, at least one.
        examples: The inputs. stages: where to cut, or ``"auto"``.
        dtype: Arithmetic to measure in; None: that of the weights.
    """

    name: str
    networks: tuple[Network, ...]
    examples: Examples
    stages: tuple[str, ...] | Literal["auto"] = "auto"
    dtype: torch.dtype | None = None
