"""The x-ray of a network: spectra of its Jacobians over inputs and depth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ._counted import counted
from ._errors import unknown
from ._experiment import Experiment
from ._locality import Locality, locality
from ._plotted import Plotted
from ._spectrum import Spectrum, StageInfo
from ._summary import StageSummary, summarise

PIXEL = "pixel, 0 to 1"  # a unit of inputs
UNSTATED = "1"  # of inputs whose unit nobody stated


def unit_text(unit: str) -> str:
    """A unit of inputs in words."""
    return "as the inputs were given" if unit == UNSTATED else unit


@dataclass(frozen=True, repr=False)
class Xray(Plotted):
    """What one x-ray measured; made by ``nakami.xray``, read back by ``nakami.load``.

    Attributes:
        settings: Everything in ``run.json``: subject, model, seed, tolerance, versions, ...
        stages: The measured stages in order of execution; ``stages[0]`` is where the readings
            start: the input, or the embedding where the inputs are tokens.
        inputs: The examples as the network saw them, ``(N, ...)``; row i is input i.
        spectra: One ``Spectrum`` for each input and stage (and source); of an unfinished run those
            that are there.
        folder: The run on disk, or None for a run kept in memory.
        experiments: What else was tried at these inputs, by name (``nakami.dynamics``).
    """

    kind: ClassVar[str] = "xray"
    settings: dict[str, Any]
    stages: tuple[StageInfo, ...]
    inputs: np.ndarray
    spectra: tuple[Spectrum, ...]
    folder: Path | None = None
    experiments: Mapping[str, Experiment] = field(default_factory=dict)

    def __repr__(self) -> str:
        where = f", in {self.folder}" if self.folder else ""
        return (
            f"Xray({self.subject!r}: {counted(len(self.spectra), 'spectrum', 'spectra')}, "
            f"{counted(len(self.inputs), 'input')}, "
            f"stages {', '.join(self.names)}{where})"
        )

    @property
    def subject(self) -> str:
        """Name of the subject, as given."""
        return str(self.settings["subject"])

    @property
    def input_unit(self) -> str:
        """Unit of one input component; counts above 1 compare only in equal units."""
        return str(self.settings["input_unit"])

    @property
    def source(self) -> str:
        """Name of the place where J_all starts: ``"input"``, or the embedding of tokens."""
        return self.stages[0].name

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the measured stages, without the one where J_all starts."""
        return tuple(s.name for s in self.stages[1:])

    @property
    def aside(self) -> tuple[str, ...]:
        """Stages asked for by name that are not on the way to the output that is read."""
        return tuple(name for name in self.names if name in self.settings.get("aside", ()))

    @property
    def path(self) -> tuple[str, ...]:
        """Stages on the way to the output that is read, in order; all where none of them is."""
        return tuple(name for name in self.names if name not in self.aside) or self.names

    @property
    def n_inputs(self) -> int:
        """Number of inputs that the run is about; an unfinished run lacks spectra at some."""
        return int(self.settings.get("n_inputs", len(self.inputs)))

    @property
    def converged(self) -> bool:
        """Whether every spectrum converged."""
        return all(s.converged for s in self.spectra)

    def at(self, stage: str, source: str | None = "input") -> tuple[Spectrum, ...]:
        """Spectra that end at ``stage``, ordered by input.

        Args:
            stage: Name of a measured stage.
            source: Where the Jacobian starts; ``"input"`` is J_all (from the embedding where the
                inputs are tokens), ``None`` the layer's own.
        """
        if stage not in self.names:
            raise unknown("stage", stage, self.names)
        found = [s for s in self.spectra if s.stage == stage and self._starts(s, source)]
        return tuple(sorted(found, key=lambda s: s.input))

    def _starts(self, spectrum: Spectrum, source: str | None) -> bool:
        if source is not None:
            return spectrum.source == (self.source if source == "input" else source)
        way = (self.source, *self.path)
        return spectrum.stage in way and spectrum.source == way[way.index(spectrum.stage) - 1]

    def values(self, stage: str, source: str | None = "input") -> np.ndarray:
        """Singular values, ``(inputs, k)``, cut to the shortest spectrum; ``(0, 0)`` if absent.

        Row r belongs to input ``at(stage, source)[r].input``, which in an unfinished run need not
        be r.
        """
        rows = [s.values for s in self.at(stage, source)]
        k = min(map(len, rows), default=0)
        return np.array([r[:k] for r in rows]) if rows else np.zeros((0, 0))

    def mean_sd(self, stage: str, source: str | None = "input") -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation over inputs by index, each ``(k,)`` (divisor n - 1)."""
        v = self.values(stage, source)
        if not len(v):
            return np.zeros(0), np.zeros(0)
        sd = v.std(0, ddof=1) if len(v) > 1 else np.full(v.shape[1], np.nan)
        return v.mean(0), sd

    def locality(self, stage: str, source: str | None = "input") -> Locality | None:
        """Whether directions of large values are local and those of small ones spread.

        None where no areas were measured, a spectrum did not converge, or an input has fewer than
        two values above the floor of the arithmetic.
        """
        spectra = self.at(stage, source)
        each = [
            s.areas[: int(s.reliable.argmin()) if not s.reliable.all() else None]
            for s in spectra
            if s.areas is not None and s.converged
        ]
        if not each or len(each) < len(spectra) or min(map(len, each)) < 2:
            return None
        return locality(each)

    def summary(self, source: str | None = "input") -> tuple[StageSummary, ...]:
        """One row for each stage that has spectra from ``source``, in order of depth."""
        rows = ((name, self.at(name, source)) for name in self.names)
        return tuple(summarise(name, spectra) for name, spectra in rows if spectra)

    def including(self, *experiments: Experiment) -> Xray:
        """The run with experiments beside it, as a page shows them; those of a name are replaced.

        A run in a folder has them when it is loaded anew.
        """
        return replace(self, experiments={**self.experiments, **{e.name: e for e in experiments}})

    def rows(self) -> list[dict[str, Any]]:
        """One flat dict for each stage and source: means over inputs, with ``_sd`` and bounds."""
        return [row.as_dict() for stage in self.stages for row in self.summary(stage.name)]

    def as_dict(self) -> dict[str, Any]:
        """What was read, in a few numbers and words."""
        return {
            "subject": self.subject,
            "inputs": self.n_inputs,
            "input_unit": self.input_unit,
            "spectra": len(self.spectra),
            "converged": self.converged,
        }
