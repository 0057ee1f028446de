"""Spectra and decisions at noisy inputs, beside those of the clean ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .._errors import unknown, wrong
from .._experiment import Experiment, ExperimentKind
from .._paired_changes import PairedChange, paired_change
from .._share import Share, share_of
from .._summary import Estimate, estimate

QUANTITIES = ("mean", "largest", "log_mean")


@dataclass(frozen=True, repr=False)
class Noise(Experiment):
    """What noise on the inputs does to decisions and spectra; made by ``nakami.dynamics.noise``.

    N inputs, C conditions (a kind of noise at a level), R draws of each, S stages, k values.

    Attributes:
        arrays: ``clean`` (N, S, k): singular values of ``J_all`` at the clean inputs, from the run.
            ``values`` (N, C, R, S, k): at the noisy ones. Both are NaN where a stage has fewer
            values. ``clean_floor`` (N, S), ``floor`` (N, C, R, S): the smallest value that the
            arithmetic tells from zero. ``converged`` (N, C, R, S). ``decided`` (N,),
            ``decision`` (N, C, R): the largest entry of the output, clean and noisy; -1 where the
            output is no decision. ``size`` (N, C, R): size of the change of the input over
            ``sd sqrt(n)``, with the sd of the numbers of that input. ``seed`` (N, C, R): seed of
            the draw.
    """

    name: ClassVar[str] = "noise"

    @property
    def title(self) -> str:
        """What is measured and where."""
        return f"noise on the inputs: decisions, and spectra at {' and '.join(self.stages)}"

    @property
    def caption(self) -> str:
        """How the rows are to be read, and what became of the last stage."""
        text = (
            "size: of the noise, in sd of the input's numbers. mean, largest: of the singular "
            f"values, noisy minus clean. {super().caption} At {self.stages[-1]} "
        )
        strongest = [self.change(kind, max(self.levels(kind))) for kind in self.kinds]
        said = [
            f"{kind} {max(self.levels(kind)):g}: {change.verdict}"
            for kind, change in zip(self.kinds, strongest, strict=True)
        ]
        return f"{text}the mean value by the strongest noise: {', '.join(said)}."

    @property
    def conditions(self) -> tuple[tuple[str, float], ...]:
        """Kind and level of each condition, (C,)."""
        return tuple((str(kind), float(level)) for kind, level in self.settings["conditions"])

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of noise, in the order asked."""
        return tuple(dict.fromkeys(kind for kind, _ in self.conditions))

    @property
    def labels(self) -> tuple[int, ...] | None:
        """The class of each measured input; None where they were not given."""
        labels = self.settings["labels"]
        return None if labels is None else tuple(labels[i] for i in self.inputs)

    @property
    def decides(self) -> bool:
        """Whether the network's output is read as a decision."""
        return bool(self.settings["decides"])

    def levels(self, kind: str) -> tuple[float, ...]:
        """The levels of one kind."""
        if kind not in self.kinds:
            raise unknown("kind", kind, self.kinds)
        return tuple(level for own, level in self.conditions if own == kind)

    def agreement(self, kind: str) -> list[Share]:
        """Share of draws with the decision of the clean input, by level."""
        same = self.arrays["decision"] == self.arrays["decided"][:, None, None]
        return [share_of(same[:, c].mean(1)) for c in self._of(kind)]

    def accuracy(self, kind: str) -> list[Share]:
        """Share of draws with the right decision, by level; empty without labels."""
        if self.labels is None:
            return []
        right = self.arrays["decision"] == np.array(self.labels)[:, None, None]
        return [share_of(right[:, c].mean(1)) for c in self._of(kind)]

    @property
    def clean_accuracy(self) -> Share | None:
        """Share of right decisions at the clean inputs; None without labels."""
        if self.labels is None:
            return None
        return share_of(self.arrays["decided"] == np.array(self.labels))

    def size(self, kind: str) -> list[Estimate]:
        """Size of the noise by level, in standard deviations of the input's numbers."""
        return [estimate(self.arrays["size"][:, c].mean(1)) for c in self._of(kind)]

    def spectrum(
        self, stage: str, kind: str | None = None, level: float | None = None
    ) -> np.ndarray:
        """Mean values over inputs and draws by index, (k,); without a kind the clean ones."""
        s = self._stage(stage)
        if kind is None or level is None:
            values = self.arrays["clean"][:, s][:, None]
        else:
            values = self.arrays["values"][:, self._at(kind, level), :, s]
        means: np.ndarray = values[..., ~np.isnan(values).any((0, 1))].mean((0, 1))
        return means

    def change(
        self, kind: str, level: float, stage: str | None = None, quantity: str = "mean"
    ) -> PairedChange:
        """Noisy minus clean, paired by input; the draws of an input are averaged first.

        Args:
            kind: Of noise.
            level: Of noise, one of ``levels(kind)``.
            stage: Where; default the last.
            quantity: ``"mean"`` of the singular values, ``"largest"``, or ``"log_mean"``: mean of
                ``ln s``, over the indices that lie above the floor before or after. A value below
                its floor counts as the floor, so that a fall to zero is a fall at least so deep.
        """
        if quantity not in QUANTITIES:
            raise unknown("quantity", quantity, QUANTITIES)
        s, c = self._stage(stage), self._at(kind, level)
        clean, noisy = self.arrays["clean"][:, s], self.arrays["values"][:, c, :, s]
        if quantity == "log_mean":
            floors = self.arrays["clean_floor"][:, s], self.arrays["floor"][:, c, :, s]
            before, after = _log_means(clean, noisy, *floors)
        else:
            over = np.nanmean if quantity == "mean" else np.nanmax
            before, after = over(clean, axis=-1), over(noisy, axis=-1).mean(1)
        known = np.flatnonzero(np.isfinite(before) & np.isfinite(after))
        if not known.size:
            raise wrong("quantity", "be above the floor somewhere", quantity, "take the mean")
        pairs = before[known].tolist(), after[known].tolist()
        inputs = [self.inputs[i] for i in known]
        return paired_change(self.stages[s], quantity, *pairs, inputs=inputs)

    def rows(self) -> list[dict[str, Any]]:
        """One flat dict for each condition and stage: paired changes with errors, and shares.

        ``agreement_low`` and ``_high`` are ends of a 95 % interval, likewise of ``accuracy``.
        """
        out = []
        for kind, level in self.conditions:
            at = self.levels(kind).index(level)
            row: dict[str, Any] = {"kind": kind, "level": level, "size": self.size(kind)[at].mean}
            if self.decides:
                row |= self.agreement(kind)[at].named("agreement")
            if self.labels is not None:
                row |= self.accuracy(kind)[at].named("accuracy")
            for stage in self.stages:
                mean, largest = (self.change(kind, level, stage, q) for q in ("mean", "largest"))
                found = {"mean": mean.mean, "mean_se": mean.se}
                found |= {"largest": largest.mean, "largest_se": largest.se}
                out.append({**row, "stage": stage, **found, "verdict": mean.verdict})
        return out

    def as_dict(self) -> dict[str, Any]:
        """What was read, in a few numbers and words: the last stage at the strongest noise."""
        body: dict[str, Any] = {"stage": self.stages[-1], "inputs": len(self.inputs)}
        for kind in self.kinds:
            level = max(self.levels(kind))
            change = self.change(kind, level)
            name = kind.replace("-", "_")
            body |= {f"{name}_level": level, f"{name}_change": change.mean}
            body |= {f"{name}_change_se": change.se, f"{name}_verdict": change.verdict}
        return body

    def _of(self, kind: str) -> list[int]:
        self.levels(kind)
        return [c for c, (own, _) in enumerate(self.conditions) if own == kind]

    def _at(self, kind: str, level: float) -> int:
        if level not in self.levels(kind):
            known: Sequence[float] = self.levels(kind)
            rule = f"be one of {', '.join(map(str, known))}"
            raise wrong("level", rule, repr(level), "take it from levels(kind)")
        return self.conditions.index((kind, level))


def _log_means(
    clean: np.ndarray, noisy: np.ndarray, clean_floor: np.ndarray, floor: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Means of ``ln s`` before and after, (N,): ``clean`` (N, k), ``noisy`` (N, R, k)."""
    clean, clean_floor = np.broadcast_to(clean[:, None], noisy.shape), clean_floor[:, None, None]
    floor = floor[..., None]
    with np.errstate(divide="ignore", invalid="ignore"):
        known = (clean > clean_floor) | (noisy > floor)  # False where NaN
        sides = [np.log(np.maximum(v, f)) for v, f in ((clean, clean_floor), (noisy, floor))]
        means = [np.where(known, side, 0).sum(-1) / known.sum(-1) for side in sides]
        return means[0].mean(1), means[1].mean(1)


ENTRY = ExperimentKind(Noise)
