"""How a computation ended: an enum with the few numbers that its sentence needs.

Code asks ``outcome.kind`` and ``outcome.count(...)``; the sentence is made from them and is for
people. A room with endings of its own writes another ``Ending`` with its members.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from ._counted import worded
from ._shown import Shown

ABOVE_TOL = "{above} of {values} values above tol {tol:g}"
PRODUCTS = "{products:1 product|{products} products} spent"
NOT_RECOVERED = "a value of at least {missed:.3g} was missed and not recovered"


class Ending(Enum):
    """Base of the enums of endings; each member is ``(converged, sentence)``.

    Attributes:
        converged: Whether the computation did what was asked.
        sentence: A format string over the outcome's numbers, as ``Counting`` takes it.
    """

    converged: bool
    sentence: str

    def __init__(self, converged: bool, sentence: str):
        self.converged = converged
        self.sentence = sentence


class SpectrumEnding(Ending):
    """How a spectrum, a norm, a trace or a density ended."""

    WITHIN = True, "{values:the value|all {values} values} within tol {tol:g}"
    LIMITED = (
        True,
        "{within} of {values} values within tol {tol:g}, {limited} at the limit of the arithmetic",
    )
    ABOVE = False, ABOVE_TOL
    SPENT = False, ABOVE_TOL + ", " + PRODUCTS
    UNCHECKED = False, PRODUCTS
    MISSED = False, NOT_RECOVERED
    OPEN = False, ABOVE_TOL + ", " + NOT_RECOVERED
    EXACT = True, "exact: {way}"
    SAMPLED = True, "{probes:1 random probe|{probes} random probes} of {steps} steps each"
    PRECISE = True, "standard error within rtol {rtol:g} after {probes:1 probe|{probes} probes}"
    IMPRECISE = (
        False,
        "standard error {se:.3g} of {value:.3g} above rtol {rtol:g}, " + PRODUCTS,
    )
    READ = True, "{words}"  # of a run written before outcomes were stored
    READ_OPEN = False, "{words}"


@dataclass(frozen=True)
class Outcome:
    """How a computation ended.

    Attributes:
        kind: A member of an ``Ending``.
        numbers: What its sentence needs, by name: counts, tolerances, values.
    """

    kind: Ending
    numbers: Mapping[str, Any] = field(default_factory=dict)

    @property
    def converged(self) -> bool:
        """Whether the computation did what was asked."""
        return self.kind.converged

    @property
    def reason(self) -> str:
        """The ending in words."""
        return worded(self.kind.sentence, self.numbers)

    def __repr__(self) -> str:
        return f"Outcome({type(self.kind).__name__}.{self.kind.name}: {self.reason})"

    def count(self, name: str) -> int:
        """One of the counts; 0 where this ending has none of that name."""
        return int(self.numbers.get(name, 0))

    def record(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {"kind": self.kind.name.lower(), **self.numbers}

    @classmethod
    def restore(cls, record: Mapping[str, Any], endings: type[Ending] = SpectrumEnding) -> Outcome:
        """The inverse of ``record``.

        Raises:
            KeyError: A kind that ``endings`` does not know.
        """
        numbers = dict(record)
        return cls(endings[str(numbers.pop("kind")).upper()], numbers)


class Ended(Shown):
    """Base of results with an ``outcome``, from which these two are read."""

    outcome: Outcome

    @property
    def converged(self) -> bool:
        """Whether the computation did what was asked."""
        return self.outcome.converged

    @property
    def reason(self) -> str:
        """How the computation ended, in words."""
        return self.outcome.reason

    def as_dict(self) -> dict[str, Any]:
        """As ``Shown.as_dict``, with ``converged`` and ``reason``."""
        return {**super().as_dict(), "converged": self.converged, "reason": self.reason}
