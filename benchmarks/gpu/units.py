"""What a unit of ``make gpu`` is, what it is told and what it finds."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

CHECKS, SPEED = "checks", "speed"


@dataclass(frozen=True)
class Setting:
    """Where and how large.

    Attributes:
        device: Name of torch's device. small: sizes for a dry run.
    """

    device: str
    small: bool = False

    @property
    def on_card(self) -> bool:
        """Whether the device is a CUDA card."""
        return self.device.startswith("cuda")


@dataclass
class Found:
    """What a unit found.

    Attributes:
        rows: Comparisons, each with its error, its bound and whether it held.
        numbers: Measurements by name, in the unit that the name ends with.
        notes: Words, such as the route of a product.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    numbers: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    def within(self, what: str, error: float, bound: float) -> None:
        """Note an error and the bound that it must keep; NaN keeps none."""
        held = error <= bound < math.inf
        self.rows.append({"what": what, "error": float(error), "bound": float(bound), "held": held})

    def near(self, what: str, found: Any, wanted: Any, bound: float, size: float = 0.0) -> None:
        """Compare tensors in float64 on the CPU: ``|found - wanted| / |wanted|``.

        Args:
            what: Said in the table.
            found: A tensor, or a number.
            wanted: Of the same shape.
            bound: Of the error.
            size: Taken in place of ``|wanted|`` where above 0.
        """
        import torch

        a, b = (torch.as_tensor(x).detach().double().cpu() for x in (found, wanted))
        if a.shape != b.shape:
            raise ValueError(f"{what} has shape {tuple(a.shape)}, wanted {tuple(b.shape)}")
        self.within(what, float((a - b).norm()) / (size or float(b.norm()) or 1.0), bound)

    def holds(self, what: str, true: bool) -> None:
        """Note a yes or no; the bound is 0 and a no is an error of 1."""
        self.within(what, 0.0 if true else 1.0, 0.0)


@dataclass(frozen=True)
class Unit:
    """One piece of work, kept as soon as it is done.

    Attributes:
        name: ``group/what/how``. run: called with the setting and what is to be filled.
        seconds: It is ended after these. group: ``CHECKS`` or ``SPEED``.
    """

    name: str
    run: Callable[[Setting, Found], None]
    seconds: float = 60.0
    group: str = CHECKS


def gathered(modules: tuple[str, ...]) -> dict[str, Unit]:
    """The ``UNITS`` of modules by name, in their order."""
    units = [unit for module in modules for unit in import_module(module).UNITS]
    by_name = {unit.name: unit for unit in units}
    if len(by_name) < len(units):
        raise ValueError("two units have one name")
    return by_name
