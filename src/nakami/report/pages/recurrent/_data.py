"""What the page is about: the layers that are done, and the one that is told first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ....results import UsageError
from ...words import _numbers as num
from ...words._sentences import Sentences

if TYPE_CHECKING:
    from nakami.results import RecurrentLayer, RecurrentXray

say = Sentences(__file__)
DRAWN = 6  # layers with charts, at most
SURE = 2  # standard errors


@dataclass(frozen=True)
class Data:
    """An x-ray of recurrent layers.

    Attributes:
        found: All of it. first: the layer with the largest exponent.
    """

    found: RecurrentXray
    first: RecurrentLayer

    @property
    def drawn(self) -> list[RecurrentLayer]:
        """The layers that have charts."""
        return list(self.found.layers[:DRAWN])

    @property
    def several(self) -> bool:
        """Whether a layer has to be named."""
        return len(self.found.layers) > 1

    def about(self, layer: RecurrentLayer) -> dict[str, Any]:
        """What the settings say of a layer: sequences, steps, joined, discard."""
        every: list[dict[str, Any]] = self.found.settings["layers"]
        return next(a for a in every if a["name"] == layer.name)

    def text(self, key: str, default: str = "not stated") -> str:
        """A setting as text."""
        return str(self.found.settings.get(key) or default)


def read(found: RecurrentXray, _: Mapping[str, Any]) -> Data:
    """Put the layers in order.

    Raises:
        UsageError: None of them is done.
    """
    if not found.layers:
        raise UsageError(
            "result must hold a layer whose readings are done, got none; start the command that "
            "made it again."
        )
    return Data(found, max(found.layers, key=lambda layer: float(layer.exponents.exponents[0])))


def short(layer: RecurrentLayer) -> str:
    """Name of a layer, or its kind where it has none."""
    return num.short(layer.name or layer.kind)


def case_of(layer: RecurrentLayer) -> str:
    """Whether differences shrink, grow or neither, with what is known of it."""
    found = layer.exponents
    first, error = float(found.exponents[0]), float(found.standard_errors[0])
    if not found.converged:
        return "open"
    if first + SURE * error < 0:
        return "shrink"
    return "grow" if first - SURE * error > 0 else "edge"


def steps_of(about: Mapping[str, Any]) -> str:
    """``28``, or ``20 to 31``."""
    low, high = about["steps"]
    return num.whole(low) if low == high else f"{num.whole(low)} to {num.whole(high)}"
