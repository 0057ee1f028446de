"""What the zoo says about a model, beside the code that makes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Entry:
    """One model of the zoo; each public file of this folder holds one, called ``ENTRY``.

    Attributes:
        make: ``make(generator=...)``, the untrained model in its usual size.
        input: Shape of one example, without the batch axis.
        output: Shape of what it gives for one example.
        parameters: Number of weights and biases.
        task: ``"classification"``: logits; ``"features"``: anything else.
        origin: Where the model was published, in short.
        preprocessing: How pictures are normalised for it, a name that ``data.read`` takes.
        state: Whose names the state dict has.
        data: Name of the shipped data that it takes, or None.
        tokens: Of an input of whole numbers, how many kinds there are; 0: floating numbers.
    """

    make: Callable[..., nn.Module]
    input: tuple[int, ...]
    output: tuple[int, ...]
    parameters: int
    task: Literal["classification", "features"]
    origin: str
    preprocessing: Literal["unit", "imagenet", "efficientnet-lite"]
    state: str = "ours"
    data: Literal["digits"] | None = None
    tokens: int = 0
