"""The film of a training: small x-rays of one network, taken between its steps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, ClassVar

import numpy as np

from ._counted import counted
from ._errors import unknown
from ._plotted import Plotted
from ._spectrum import Spectrum, StageInfo
from ._summary import StageSummary
from ._xray import Xray


@dataclass(frozen=True, repr=False)
class XrayLook:
    """One small x-ray during a training.

    Attributes:
        step: Optimizer steps made before it.
        spectra: One ``Spectrum`` for each input and stage: its leading values, and what is known of
            the others (``remainder``); no vectors.
        seconds: Wall time that it took.
        spent: Wall time of all x-rays of this training so far, with this one and the preparation.
        training: Wall time of the training itself so far.
    """

    step: int
    spectra: tuple[Spectrum, ...]
    seconds: float
    spent: float
    training: float

    @property
    def converged(self) -> bool:
        """Whether every spectrum converged."""
        return all(s.converged for s in self.spectra)

    @property
    def expected(self) -> float:
        """Seconds that the next look will take: as this one, without the first input's warm-up.

        That input is taken to cost the median of the others, stage by stage.
        """
        times: dict[tuple[str, str], list[float]] = {}
        for s in sorted(self.spectra, key=lambda s: s.input):
            times.setdefault((s.source, s.stage), []).append(s.seconds)
        own = sum(map(sum, times.values()))
        usual = sum(len(t) * median(t[1:] or t) for t in times.values())
        return self.seconds - own + min(own, usual)

    @property
    def n_products(self) -> int:
        """Columns multiplied by a Jacobian or its transpose."""
        return sum(s.n_products for s in self.spectra)

    def __repr__(self) -> str:
        some = counted(len(self.spectra), "spectrum", "spectra")
        how = "converged" if self.converged else "not all converged"
        return f"XrayLook(step {self.step:,}: {some}, {how}, {self.seconds:.2g} s)"


@dataclass(frozen=True)
class SkippedLook:
    """A look that was due and not taken.

    Attributes:
        step: When it was due.
        expected: Seconds that it would have taken, as the one before.
        allowed: Seconds that the budget had left for it.
        error: Why it failed; empty where the budget did not allow it.
    """

    step: int
    expected: float
    allowed: float
    error: str = ""

    @property
    def reason(self) -> str:
        """Why, in a sentence."""
        if self.error:
            return f"failed: {self.error}"
        return f"over the budget: {self.expected:.2g} s expected, {self.allowed:.2g} s allowed"


@dataclass(frozen=True, repr=False)
class XrayHistory(Plotted):
    """Spectra over a training; made by ``nakami.dynamics.XrayMonitor``, read by ``nakami.load``.

    Attributes:
        settings: Everything in ``run.json``: subject, model, ``every``, ``max_share``, ...
        stages: The measured stages in order of execution, after where the readings start.
        inputs: The examples as the network saw them, ``(N, ...)``.
        looks: By step.
        skipped: Looks that were due and not taken, by step.
        spent: Wall time of all looks and of their preparation, in seconds.
        training: Wall time of the training itself, in seconds: since its first step, ``spent`` left
            out.
        folder: The run on disk, or None for one kept in memory.
    """

    kind: ClassVar[str] = "monitor"
    settings: dict[str, Any]
    stages: tuple[StageInfo, ...]
    inputs: np.ndarray
    looks: tuple[XrayLook, ...] = ()
    skipped: tuple[SkippedLook, ...] = ()
    spent: float = 0.0
    training: float = 0.0
    folder: Path | None = None

    def __repr__(self) -> str:
        ends = f" from step {self.steps[0]:,} to {self.steps[-1]:,}" if self.looks else ""
        return (
            f"XrayHistory({self.subject!r}: {counted(len(self.looks), 'look')}{ends}, "
            f"{counted(len(self.names), 'stage')}, {counted(self.n_inputs, 'input')}; {self.use})"
        )

    @property
    def use(self) -> str:
        """What it cost, in words: ``1.2 s, 4.1 % of 29 s of training (budget 5 %), ...``."""
        seconds = f"{self.spent:.2g} s"
        budget = (
            "no budget"
            if self.max_share == float("inf")
            else f"budget {100 * self.max_share:.3g} %"
        )
        if not self.training:
            return f"{seconds} before the training"
        failed = sum(self.failures.values())
        over = len(self.skipped) - failed
        share = f"{_percent(self.share)} of {self.training:.3g} s of training"
        parts = [
            f"{seconds}, {share} ({budget})",
            *([f"{counted(over, 'look')} left out for the budget"] if over else []),
            *([f"{counted(failed, 'look')} failed"] if failed else []),
        ]
        return ", ".join(parts)

    @property
    def failures(self) -> dict[str, int]:
        """Why looks failed, each reason once, with the number of looks."""
        return dict(Counter(" ".join(one.error.split()) for one in self.skipped if one.error))

    @property
    def subject(self) -> str:
        """Name of the subject, as given."""
        return str(self.settings["subject"])

    @property
    def input_unit(self) -> str:
        """Unit of one input component; counts above 1 compare only in equal units."""
        return str(self.settings["input_unit"])

    @property
    def max_share(self) -> float:
        """The budget: seconds of looks over seconds of training; infinite where there is none."""
        share = self.settings["max_share"]
        return float("inf") if share is None else float(share)

    @property
    def share(self) -> float:
        """Seconds of looks over seconds of training; NaN before its first step."""
        return self.spent / self.training if self.training else float("nan")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the measured stages, in order of depth."""
        return tuple(s.name for s in self.stages[1:])

    @property
    def path(self) -> tuple[str, ...]:
        """Those on the way to the output that is read, see ``Xray.path``."""
        return Xray(self.settings, self.stages, self.inputs, ()).path

    @property
    def n_inputs(self) -> int:
        """Number of inputs."""
        return int(self.settings["n_inputs"])

    @property
    def steps(self) -> np.ndarray:
        """Optimizer steps before each look, ``(looks,)``."""
        return np.array([look.step for look in self.looks], dtype=np.int64)

    @property
    def values(self) -> np.ndarray:
        """Leading singular values, ``(looks, stages, inputs, k)``; NaN where a stage has fewer."""
        return self._stacked(lambda s: s.values)

    @property
    def residuals(self) -> np.ndarray:
        """Absolute residuals of ``values``, in their shape."""
        return self._stacked(lambda s: s.residuals)

    @property
    def converged(self) -> np.ndarray:
        """Whether each spectrum converged, ``(looks, stages, inputs)``."""
        found = self._stacked(lambda s: np.array([s.converged], dtype=np.float64))
        return np.asarray(found[..., 0] > 0)

    def xray(self, step: int) -> Xray:
        """The look at a step as an ``Xray``, without vectors; for ``compare``, ``summary``, ..."""
        for look in self.looks:
            if look.step == step:
                return Xray(self.settings, self.stages, self.inputs, look.spectra)
        raise unknown("step", str(step), [str(s) for s in self.steps])

    def summary(self, stage: str) -> tuple[StageSummary, ...]:
        """The numbers of a stage at each look, means over inputs."""
        if stage not in self.names:
            raise unknown("stage", stage, self.names)
        runs = [self.xray(look.step) for look in self.looks]
        return tuple(row for run in runs for row in run.summary() if row.stage == stage)

    def rows(self) -> list[dict[str, Any]]:
        """One flat dict for each look and stage: means over inputs, with ``_sd`` and bounds."""
        return [
            {"step": look.step, **row.as_dict()}
            for look in self.looks
            for row in self.xray(look.step).summary()
        ]

    def as_dict(self) -> dict[str, Any]:
        """What was read and what it cost, in a few numbers and words."""
        return {
            "subject": self.subject,
            "looks": len(self.looks),
            "skipped": len(self.skipped),
            "first_step": int(self.steps[0]) if self.looks else None,
            "last_step": int(self.steps[-1]) if self.looks else None,
            "inputs": self.n_inputs,
            "input_unit": self.input_unit,
            "converged": all(look.converged for look in self.looks),
            "seconds": self.spent,
            "training_seconds": self.training,
            "share": self.share if self.training else None,
            "max_share": self.settings["max_share"],
        }

    def _stacked(self, read: Callable[[Spectrum], np.ndarray]) -> np.ndarray:
        """What is read of each spectrum, ``(looks, stages, inputs, longest)``, NaN elsewhere."""
        rows = [[[read(s) for s in self.xray(t).at(n)] for n in self.names] for t in self.steps]
        longest = max((len(r) for look in rows for stage in look for r in stage), default=0)
        out = np.full((len(rows), len(self.names), self.n_inputs, longest), np.nan)
        for i, look in enumerate(rows):
            for j, stage in enumerate(look):
                for n, row in enumerate(stage):
                    out[i, j, n, : len(row)] = row
        return out


def _percent(share: float) -> str:
    """A share of time in percent, two digits: ``4.1 %``, ``360 %``."""
    percent = 100 * share
    return f"{percent:.2g} %" if percent < 100 else f"{percent:z,.0f} %"
