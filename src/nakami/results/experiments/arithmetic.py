"""Spectra in float64 beside float32: what of a difference is the network's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .._counted import counted
from .._experiment import Experiment, ExperimentKind


@dataclass(frozen=True)
class Difference:
    """Where the values of two arithmetics differ most, in shares of the value in float64.

    Attributes:
        stage: Name of the stage. input: Index of the input. index: Of the value, 0 the largest.
        total: ``|s32 - s64| / s64``.
        kinks: ``|held - s64| / s64``: units on other sides of their kinks.
        rest: ``|s32 - held| / s64``, of which ``rounding`` and ``engine`` are bounds: how far the
            Jacobian in float32 is from the held one, and the residuals of the spectra.
        cause: ``"kinks"`` where they are the larger part; else ``"engine"`` where its bound is
            the larger one, or ``"rounding"``; ``"unknown"`` where no value is above the floor.
        explained: Whether the rest lies within its two bounds.
    """

    stage: str
    input: int
    index: int
    total: float
    kinks: float
    rest: float
    rounding: float
    engine: float

    @property
    def cause(self) -> str:
        """Which part is the largest."""
        if np.isnan(self.total):
            return "unknown"
        if self.kinks > self.rest:
            return "kinks"
        return "engine" if self.engine >= self.rounding else "rounding"

    @property
    def explained(self) -> bool:
        """Whether the rest is within what rounding and the engine allow."""
        return self.rest <= self.rounding + self.engine


@dataclass(frozen=True, repr=False)
class Arithmetic(Experiment):
    """An x-ray in float32 beside float64; made by ``nakami.dynamics.arithmetic``.

    N inputs, S stages, k values.

    Attributes:
        arrays: ``single``, ``double``, ``held`` (N, S, k): singular values of the x-ray, of the
            network in float64, and of the network in float64 with its units on the sides of their
            kinks on which float32 puts them. NaN where a stage has fewer values. ``residual``: of
            the x-ray's, ``doubt``: of the other two, the larger one; ``rounding``: by how much
            products with the singular vectors of ``held`` differ in float32; all (N, S, k), in the
            unit of the values. ``floor`` (N, S): of the x-ray. ``flipped``, ``units`` (N, S): units
            on another side in float64, of how many up to the stage. ``converged`` (N, S): whether
            both spectra in float64 did.
    """

    name: ClassVar[str] = "arithmetic"

    @property
    def title(self) -> str:
        """What is measured and where."""
        return "float32 beside float64: the largest relative difference of a value, and its parts"

    @property
    def caption(self) -> str:
        """How the rows are to be read, and what the parts say."""
        text = (
            "total: of values above the floor; kinks: by units on other sides in float64; "
            "rest: of which rounding and engine are bounds. "
        )
        said = [f"{at.stage}, {CAUSE[at.cause]}" for at in map(self.largest, self.stages)]
        return f"{text}Mostly: {'; '.join(said)}. {counted(len(self.inputs), 'input')}."

    def relative(self, name: str, stage: str | None = None) -> np.ndarray:
        """One part of the differences over the values in float64, (N, k); NaN below the floor.

        Args:
            name: ``"total"``, ``"kinks"``, ``"rest"``, ``"rounding"`` or ``"engine"``.
            stage: Where; default the last.
        """
        s = self._stage(stage)
        names = ("single", "double", "held", "residual", "doubt", "rounding")
        single, double, held, residual, doubt, rounding = (self.arrays[a][:, s] for a in names)
        parts = {
            "total": np.abs(single - double),
            "kinks": np.abs(held - double),
            "rest": np.abs(single - held),
            "rounding": rounding,
            "engine": residual + doubt,
        }
        with np.errstate(divide="ignore", invalid="ignore"):
            floor = self.arrays["floor"][:, s, None]
            found: np.ndarray = np.where(double > floor, parts[name] / double, np.nan)
        return found

    def largest(self, stage: str | None = None) -> Difference:
        """The largest relative difference at a stage (default: the last), and its parts."""
        names = ("total", "kinks", "rest", "rounding", "engine")
        each = {name: self.relative(name, stage) for name in names}
        known = np.nan_to_num(each["total"], nan=-1.0)
        row, index = np.unravel_index(int(known.argmax()), known.shape)
        parts = {name: float(values[row, index]) for name, values in each.items()}
        where = self.stages[self._stage(stage)]
        return Difference(where, self.inputs[row], int(index), **parts)

    def explained(self, stage: str | None = None) -> float:
        """Share of the values above the floor whose rest lies within its two bounds."""
        rest = self.relative("rest", stage)
        allowed = self.relative("rounding", stage) + self.relative("engine", stage)
        known = np.isfinite(rest)
        return float((rest <= allowed)[known].mean()) if known.any() else float("nan")

    def flipped(self, stage: str | None = None) -> tuple[int, int]:
        """Units on another side in float64, and all units, over the inputs."""
        s = self._stage(stage)
        flipped, units = (int(self.arrays[a][:, s].sum()) for a in ("flipped", "units"))
        return flipped, units

    def rows(self) -> list[dict[str, Any]]:
        """One flat dict for each stage: the largest difference with its parts, and the units."""
        out = []
        for stage in self.stages:
            at, (flipped, units) = self.largest(stage), self.flipped(stage)
            row: dict[str, Any] = {"stage": stage, "input": at.input, "value": at.index}
            row |= {"total": at.total, "kinks": at.kinks, "rest": at.rest}
            row |= {"rounding": at.rounding, "engine": at.engine, "cause": at.cause}
            out.append(row | {"flipped": flipped, "units": units})
        return out

    def as_dict(self) -> dict[str, Any]:
        """What was read, in a few numbers and words: at the last stage."""
        row = self.rows()[-1]
        return {
            "stage": row["stage"],
            "inputs": len(self.inputs),
            "largest_difference": row["total"],
            "by_kinks": row["kinks"],
            "by_the_rest": row["rest"],
            "cause": row["cause"],
            "units_on_another_side": row["flipped"],
            "units": row["units"],
            "explained": self.explained(),
        }


CAUSE = {
    "kinks": "units on other sides of their kinks",
    "rounding": "rounding in the network",
    "engine": "within the residuals",
    "unknown": "no value above the floor",
}

ENTRY = ExperimentKind(Arithmetic)
