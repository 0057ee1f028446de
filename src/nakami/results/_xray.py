"""The x-ray of a network: spectra of its Jacobians over inputs and depth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ._errors import unknown
from ._shown import Shown
from ._spectrum import Spectrum, StageInfo


@dataclass(frozen=True, repr=False)
class Estimate:
    """A mean over inputs with its spread.

    Attributes:
        mean: Mean over the inputs.
        sd: Standard deviation between inputs (divisor n - 1; NaN for one input).
        n: Number of inputs.
        lower_bound: True where at least one input gave only a lower bound.
    """

    mean: float
    sd: float
    n: int
    lower_bound: bool = False

    @property
    def se(self) -> float:
        """Standard error of the mean, ``sd / sqrt(n)``."""
        return self.sd / self.n**0.5

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        """``50 ± 2``, with ``≥`` before a lower bound; without a spread for one input."""
        spread = f" ± {self.sd:.3g}" if self.n > 1 else ""
        return f"{'≥ ' if self.lower_bound else ''}{self.mean:.4g}{spread}"


@dataclass(frozen=True)
class StageSummary:
    """The numbers of one stage, means over inputs (``Estimate``).

    Attributes:
        stage: Name. source: where the Jacobian starts. shape: ``(m, n)``.
        k: Number of values computed (the smallest over inputs).
        largest: s_1. decay: s_k/s_1 at the last computed index. count: values above 1.
        effective_rank: ``(sum s^2)^2 / sum s^4``. log_sum: sum of ln s over reliable values.
        residual: Largest absolute residual. relative_residual: largest residual over its value,
            reliable values only. unreliable: values below the floor, all inputs together.
        n_converged: Inputs whose spectrum converged.
        complete: Whether all ``min(m, n)`` values were computed at every input.
        log_sum_terms: Fewest and most values that ``log_sum`` adds up, over the inputs.
        decay_floor: Largest ``floor / s_1`` over the inputs: the smallest decay that the
            arithmetic can tell from zero. decay_below_floor: inputs whose last computed value
            lies below its floor; where all do, ``decay`` says no more than "below
            ``decay_floor``".
        limited: Values that missed the tolerance but are as good as the arithmetic allows, all
            inputs together (as the engine's words say, ``Spectrum.limited``).
    """

    stage: str
    source: str
    shape: tuple[int, int]
    k: int
    largest: Estimate
    decay: Estimate
    count: Estimate
    effective_rank: Estimate
    log_sum: Estimate
    residual: float
    relative_residual: float
    unreliable: int
    n_converged: int
    complete: bool
    log_sum_terms: tuple[int, int]
    decay_floor: float
    decay_below_floor: int
    limited: int

    @property
    def decay_is_noise(self) -> bool:
        """Whether the last computed value lies below the floor at every input."""
        return self.decay_below_floor == self.largest.n

    def as_dict(self) -> dict[str, Any]:
        """Flat and plain: ``count``, ``count_sd``, ``count_lower_bound``, ...; shape as m and n."""
        found: dict[str, Any] = {"inputs": self.largest.n}
        for name, value in vars(self).items():
            if name == "shape":
                found |= {"m": value[0], "n": value[1]}
            elif name == "log_sum_terms":
                found |= {"log_sum_terms_least": value[0], "log_sum_terms_most": value[1]}
            elif isinstance(value, Estimate):
                found |= {name: value.mean, f"{name}_sd": value.sd}
                if name in ("count", "effective_rank"):
                    found[f"{name}_lower_bound"] = value.lower_bound
            else:
                found[name] = value
        return found


@dataclass(frozen=True, repr=False)
class Xray(Shown):
    """What one x-ray measured; made by ``nakami.xray``, read back by ``nakami.load``.

    Attributes:
        settings: Everything in ``run.json``: subject, model, seed, tolerance, versions, ...
        stages: The measured stages in order of execution; ``stages[0]`` is where the readings
            start: the input, or the embedding where the inputs are tokens.
        inputs: The examples as the network saw them, ``(N, ...)``; row i is input i.
        spectra: One ``Spectrum`` for each input and stage (and source); of an unfinished run those
            that are there.
        folder: The run on disk, or None for a run kept in memory.
    """

    kind: ClassVar[str] = "xray"
    settings: dict[str, Any]
    stages: tuple[StageInfo, ...]
    inputs: np.ndarray
    spectra: tuple[Spectrum, ...]
    folder: Path | None = None

    def __repr__(self) -> str:
        where = f", in {self.folder}" if self.folder else ""
        return (
            f"Xray({self.subject!r}: {len(self.spectra)} spectra, {len(self.inputs)} inputs, "
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
        found = [s for s in self.spectra if s.stage == stage and _starts(s, self.stages, source)]
        return tuple(sorted(found, key=lambda s: s.input))

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

    def summary(self, source: str | None = "input") -> tuple[StageSummary, ...]:
        """One row for each stage that has spectra from ``source``, in order of depth."""
        rows = ((name, self.at(name, source)) for name in self.names)
        return tuple(_summarise(name, spectra) for name, spectra in rows if spectra)

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


def estimate(samples: np.ndarray | list[float], lower_bound: bool = False) -> Estimate:
    """Mean and standard deviation (divisor n - 1) of a sample."""
    x = np.asarray(samples, dtype=np.float64)
    sd = float(x.std(ddof=1)) if len(x) > 1 else float("nan")
    return Estimate(float(x.mean()), sd, len(x), lower_bound)


def _starts(spectrum: Spectrum, stages: tuple[StageInfo, ...], source: str | None) -> bool:
    if source is not None:
        return spectrum.source == (stages[0].name if source == "input" else source)
    names = [s.name for s in stages]
    return spectrum.source == names[names.index(spectrum.stage) - 1]


def _summarise(name: str, spectra: tuple[Spectrum, ...]) -> StageSummary:
    truncated = not all(s.complete for s in spectra)
    terms = [s.log_sum_terms for s in spectra]
    relative = [(s.residuals[s.reliable] / s.values[s.reliable]).max(initial=0.0) for s in spectra]
    return StageSummary(
        stage=name,
        source=spectra[0].source,
        shape=spectra[0].shape,
        k=min(len(s.values) for s in spectra),
        largest=estimate([s.values[0] for s in spectra]),
        decay=estimate([s.decay[-1] for s in spectra]),
        count=estimate(
            [s.count_above_one for s in spectra], any(s.count_is_lower_bound for s in spectra)
        ),
        effective_rank=estimate([s.effective_rank for s in spectra], truncated),
        log_sum=estimate([s.log_sum for s in spectra]),
        residual=max(float(s.residuals.max(initial=0.0)) for s in spectra),
        relative_residual=float(max(relative)),
        unreliable=sum(int((~s.reliable).sum()) for s in spectra),
        n_converged=sum(s.converged for s in spectra),
        complete=not truncated,
        log_sum_terms=(min(terms), max(terms)),
        decay_floor=max(float(s.floor / s.values[0]) if s.values[0] > 0 else 0.0 for s in spectra),
        decay_below_floor=sum(not s.reliable[-1] for s in spectra),
        limited=sum(s.limited for s in spectra),
    )
