"""One piece of an x-ray: the spectrum of one Jacobian at one input."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

import numpy as np

from ._counted import counted
from ._outcome import Ended, Outcome, SpectrumEnding
from ._plotted import Plotted
from ._remainder import Remainder


@dataclass(frozen=True)
class StageInfo:
    """A named place in a network.

    Attributes:
        name: The module's qualified name (``features.3``), ``name:2`` for its second call.
        kind: What produced the state: ``input``, ``linear``, ``conv2d``, ``sigmoid``, ...
        shape: Shape of the state of one example, without the batch axis.
    """

    name: str
    kind: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of components of the flattened state."""
        return int(np.prod(self.shape, dtype=np.int64))


@dataclass(frozen=True, repr=False)
class Spectrum(Plotted, Ended):
    """Singular values of one Jacobian, with the doubt they carry.

    Attributes:
        input: Index of the example along axis 0 of the inputs.
        stage: Name of the stage that the Jacobian ends at.
        source: Where it starts: ``"input"`` or the embedding of tokens (J_all), or the stage before
            (the layer's own).
        shape: ``(m, n)``, rows = components of ``stage``, columns = components of ``source``.
        values: Singular values, ``(k,)`` float64, descending; stage unit per source unit.
        residuals: ``max(|J v - s u|, |J^T u - s v|)``, ``(k,)``, absolute.
        reliable: ``(k,)`` bool. False: the value lies below ``floor``, noise of the arithmetic.
        floor: Smallest value that the arithmetic can tell from zero.
        outcome: How the computation ended; ``converged`` and ``reason`` are read from it.
        method: ``"dense"``, ``"gram"`` or ``"krylov"``.
        route: How the operator made its products.
        n_products: Columns multiplied by J or its transpose.
        kept: Indices (0 = largest) of the vectors that were kept, ``(p,)``.
        right: The kept right singular vectors (directions in ``source``), ``(p, n)`` float32.
        seconds: Wall time of this piece; the only field that differs between two equal runs.
        remainder: What random probes tell of the values that were not computed; None where all
            were, and in runs written before there were probes, whose counts stay lower bounds.
        areas: Participation ratio ``(sum e)^2 / sum e^2`` of each right vector, ``(k,)``, ``e`` its
            energy at a place of ``source``: a pixel (channels summed), a position of tokens, else a
            number. One place: 1; all alike: all of them. None in runs written before there was one.
    """

    columns: ClassVar[tuple[str, ...]] = ("values", "residuals", "reliable")
    input: int
    stage: str
    source: str
    shape: tuple[int, int]
    values: np.ndarray
    residuals: np.ndarray
    reliable: np.ndarray
    floor: float
    outcome: Outcome
    method: str
    route: str
    n_products: int
    kept: np.ndarray
    right: np.ndarray
    seconds: float = field(default=0.0, compare=False)
    remainder: Remainder | None = None
    areas: np.ndarray | None = None

    def __repr__(self) -> str:
        m, n = self.shape
        ends = f"{self.values[0]:.4g} to {self.values[-1]:.4g}" if len(self.values) else "none"
        return (
            f"Spectrum(input {self.input}, {self.source} to {self.stage}, {m} x {n}, "
            f"{counted(len(self.values), 'value')} {ends}, {self.reason})"
        )

    @property
    def complete(self) -> bool:
        """Whether all ``min(m, n)`` singular values were computed."""
        return len(self.values) == min(self.shape)

    @property
    def count_above_one(self) -> int:
        """Number of values above 1: directions a small step can take without shrinking.

        Counted where they were computed. Of the others the middle of ``remainder.above`` is added,
        so it is an estimate, inside ``count_interval``; where nothing bounds it from above
        (``count_is_lower_bound``), the lower end of that interval.
        """
        if self.count_is_lower_bound:
            return math.floor(self.count_interval[0])
        low, high = self._above
        return self._counted + round((low + high) / 2)

    @property
    def count_open(self) -> float:
        """Half of what the bounds of the number above 1 leave open; 0 where it is exact."""
        low, high = self._above
        return (high - low) / 2

    @property
    def count_interval(self) -> tuple[float, float]:
        """95 % interval of the number of values above 1; twice the count where that is exact.

        Without a ``remainder`` all values that were not computed may lie above 1.
        """
        count = float(self._counted)
        if self._settled:
            return count, count
        if self.remainder is None:
            return count, float(min(self.shape))
        low, high = self.remainder.above_interval
        return count + low, count + high

    @property
    def count_is_lower_bound(self) -> bool:
        """True where nothing is known of the count but the lower end of ``count_interval``.

        Values beyond the computed ones may lie above 1 and none was probed; or the probes could not
        tell them from zero: the interval ends at ``min(m, n)``, at twice its lower end or more.
        """
        if self._settled or self.remainder is None:
            return not self._settled
        low, high = self.count_interval
        return low < high and high >= min(self.shape) and high >= 2 * low

    @property
    def effective_rank(self) -> float:
        """``(sum s^2)^2 / sum s^4``; 0 for the zero matrix.

        Over all values where they were computed, or their sums estimated (``remainder``), see
        ``effective_rank_interval``. Else over the computed values: a lower bound, since adding a
        value no larger than the others never lowers this ratio.
        """
        one, two = self._sums
        if self.remainder is not None:
            one, two = one + self.remainder.squares, two + self.remainder.fourths
        return one**2 / two if two > 0 else 0.0

    @property
    def effective_rank_interval(self) -> tuple[float, float]:
        """95 % interval of the effective rank; twice the same where it is exact.

        Its lower end is at least the ratio of the computed values, its upper end ``min(m, n)``.
        """
        one, two = self._sums
        least, most = (one**2 / two if two > 0 else 0.0), float(min(self.shape))
        if self.complete:
            return least, least
        if self.remainder is None:
            return least, most
        low, high = self.remainder.rank_interval(one, two)
        return max(low, least), min(high, most)

    @property
    def rank_is_lower_bound(self) -> bool:
        """True where the effective rank is that of the computed values, and there are others."""
        return self.remainder is None and not self.complete

    @property
    def decay(self) -> np.ndarray:
        """``s_k / s_1``, ``(k,)``; zeros where ``s_1 = 0``."""
        top = self.values[0] if len(self.values) else 0.0
        return self.values / top if top > 0 else np.zeros_like(self.values)

    @property
    def log_sum(self) -> float:
        """Sum of ``ln s`` over the reliable computed values (log volume change along them)."""
        return float(np.log(self.values[self._summed]).sum())

    @property
    def log_sum_terms(self) -> int:
        """Number of values that ``log_sum`` adds up; sums of other lengths do not compare."""
        return int(self._summed.sum())

    @property
    def limited(self) -> int:
        """Values above the tolerance that the arithmetic cannot improve."""
        return self.outcome.count("limited")

    @property
    def _counted(self) -> int:
        return int((self.values > 1).sum())

    @property
    def _above(self) -> tuple[float, float]:
        """Bounds of the number of values above 1 that were not computed."""
        return (0.0, 0.0) if self.remainder is None or self._settled else self.remainder.above

    @property
    def _settled(self) -> bool:
        """Whether no value that was not computed lies above 1."""
        return self.complete or not len(self.values) or bool(self.values[-1] <= 1)

    @property
    def _sums(self) -> tuple[float, float]:
        square = self.values**2
        return float(square.sum()), float((square**2).sum())

    @property
    def _summed(self) -> np.ndarray:
        return self.reliable & (self.values > 0)

    def arrays(self) -> dict[str, np.ndarray]:
        """The numeric fields, as they are stored in ``arrays.safetensors``."""
        some = [*ARRAY_FIELDS, *([] if self.areas is None else [AREAS])]
        return {name: np.ascontiguousarray(getattr(self, name)) for name in some}

    def record(self) -> dict[str, Any]:
        """The other fields, as they are stored in ``result.json``."""
        arrays = (*ARRAY_FIELDS, AREAS)
        kept = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in arrays}
        if self.remainder is not None:
            kept["remainder"] = self.remainder.record()
        how = {"outcome": self.outcome.record(), "converged": self.converged, "reason": self.reason}
        return kept | how

    @classmethod
    def restore(cls, record: dict[str, Any], arrays: dict[str, np.ndarray]) -> Spectrum:
        """The inverse of ``record`` and ``arrays``; unknown fields of a record are ignored."""
        names = {f.name for f in fields(cls)}
        kept: dict[str, Any] = {key: value for key, value in record.items() if key in names}
        kept |= {name: arrays[name] for name in ARRAY_FIELDS} | {AREAS: arrays.get(AREAS)}
        how = _outcome(record, int((~kept["reliable"]).sum()))
        if kept.get("remainder") is not None:
            kept["remainder"] = Remainder.restore(kept["remainder"])
        return cls(**{**kept, "shape": tuple(kept["shape"]), "outcome": how})


def _outcome(record: dict[str, Any], unreliable: int) -> Outcome:
    """The ending of a stored piece.

    Versions before 0.2 stored the sentence alone: of their values at the limit of the arithmetic
    only those below the floor are counted.
    """
    if "outcome" in record:
        return Outcome.restore(record["outcome"])
    if record["converged"]:
        words = {"words": record["reason"], "limited": unreliable}
        return Outcome(SpectrumEnding.READ, words)
    return Outcome(SpectrumEnding.READ_OPEN, {"words": record["reason"]})


AREAS = "areas"
ARRAY_FIELDS = ("values", "residuals", "reliable", "kept", "right")
