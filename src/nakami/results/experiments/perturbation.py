"""Steps along singular directions, and what they change at each later stage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .._experiment import Experiment, ExperimentKind
from .._share import Share, share_of
from .._summary import Estimate, estimate

GROUPS = ("top", "middle", "bottom", "random")


@dataclass(frozen=True, repr=False)
class Perturbation(Experiment):
    """What steps along directions of the input change; made by ``nakami.dynamics.perturbation``.

    Directions have length 1. A step of length ``l`` moves the input by ``l`` times its norm (unit
    "norm"), or by ``l`` of the standard deviation of its numbers in the root mean square (unit
    "sd"), once each way; what it changes is the mean of both ways. N inputs, S stages, D
    directions, L lengths.

    Attributes:
        arrays: ``step`` (N,): size of a step of length 1, in the input's unit. ``index`` (N, D): of
            the singular value, -1 for random directions. ``gain`` (N, S, D): size of ``J d`` at
            each stage. ``change`` (N, S, D, L): size of the change at each stage. ``hidden``
            (N, S): 100 roundings of the state, the smallest change that is told from them (runs
            of earlier builds lack it). ``decided``
            (N, D, L): share of the two steps that change the decision. ``radius`` (N, D): the
            length up to which ``change`` at the last stage is within 10 % of ``length step gain``;
            NaN where rounding hides it. ``border`` (N, D): the smallest length at which the
            decision changes; infinite where none does.
    """

    name: ClassVar[str] = "perturbation"

    @property
    def title(self) -> str:
        """What is measured and where."""
        unit = "its norm" if self.unit == "norm" else "the sd of its numbers"
        return f"steps from the input along directions of {self.stage}, lengths in units of {unit}"

    @property
    def caption(self) -> str:
        """How far the prediction holds and where the border lies."""
        groups = dict.fromkeys(self.groups)
        held = ", ".join(f"{_said(self.radius(g))} {g}" for g in groups)
        text = (
            f"Change at {self.stages[-1]}; ratio: to what the Jacobian predicts. {super().caption}"
        )
        text += f" The prediction holds within 10 % up to (median): {held}."
        if self.decides:
            met = ", ".join(f"{_said(self.border(g))} {g}" for g in groups)
            text += f" The decision changes from (median): {met}."
        return text

    @property
    def lengths(self) -> np.ndarray:
        """Lengths of the steps, (L,)."""
        return np.array(self.settings["lengths"])

    @property
    def unit(self) -> str:
        """``"norm"`` or ``"sd"``: what lengths are multiples of."""
        return str(self.settings["unit"])

    @property
    def stage(self) -> str:
        """Where the singular values belong whose directions are followed."""
        return str(self.settings["stage"])

    @property
    def groups(self) -> tuple[str, ...]:
        """The group of each direction, (D,): "top", "middle", "bottom" or "random"."""
        return tuple(self.settings["groups"])

    @property
    def decides(self) -> bool:
        """Whether the network's output is read as a decision."""
        return bool(self.settings["decides"])

    def change(self, group: str, stage: str | None = None) -> list[Estimate]:
        """The change at a stage (default: the last) by length: mean over inputs with its error.

        Directions of a group are averaged first.
        """
        return self._by_length(self.arrays["change"][:, self._stage(stage)], group)

    def predicted(self, group: str, stage: str | None = None) -> list[Estimate]:
        """The change that the Jacobian predicts, ``|e J d|``, by length, as ``change`` is given."""
        return self._by_length(self._predicted(self._stage(stage)), group)

    def ratio(self, group: str, stage: str | None = None) -> list[Estimate]:
        """The change over what the Jacobian predicts, by length.

        Over the directions and inputs whose prediction is above ``hidden``, what rounding may hide;
        NaN where there is none.
        """
        s = self._stage(stage)
        predicted = self._predicted(s)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = self.arrays["change"][:, s] / predicted
        hidden = self.arrays["hidden"][:, s, None, None] if "hidden" in self.arrays else 0.0
        return self._by_length(np.where(predicted > hidden, ratio, np.nan), group)

    def decided(self, group: str) -> list[Share]:
        """Share of changed decisions by length."""
        return [share_of(each) for each in self._each(self.arrays["decided"], group)]

    def radius(self, group: str) -> float:
        """Median length up to which the linear prediction holds; NaN where never measurable."""
        return _median(self.arrays["radius"][:, self._of(group)])

    def border(self, group: str) -> float:
        """Median distance of the decision's border; infinite where most meet none."""
        return _median(self.arrays["border"][:, self._of(group)])

    def rows(self) -> list[dict[str, Any]]:
        """One flat dict for each group and length: at the last stage, means and errors.

        ``decided_low`` and ``_high`` are the ends of a 95 % interval.
        """
        out = []
        for group in dict.fromkeys(self.groups):
            each = (self.change(group), self.ratio(group), self.decided(group))
            for length, change, ratio, decided in zip(self.lengths, *each, strict=True):
                row = {"group": group, "length": float(length)}
                row |= {"change": change.mean, "change_se": change.se, "ratio": ratio.mean}
                if self.decides:
                    row |= decided.named("decided")
                out.append(row)
        return out

    def as_dict(self) -> dict[str, Any]:
        """What was read, in a few numbers and words."""
        body: dict[str, Any] = {"stage": self.stage, "unit": self.unit, "inputs": len(self.inputs)}
        for group in dict.fromkeys(self.groups):
            body[f"radius_{group}"] = self.radius(group)
            if self.decides:
                body[f"border_{group}"] = self.border(group)
        return body

    def _predicted(self, s: int) -> np.ndarray:
        """At one stage, (N, D, L)."""
        steps = self.arrays["step"][:, None, None] * self.lengths
        predicted: np.ndarray = self.arrays["gain"][:, s, :, None] * steps
        return predicted

    def _of(self, group: str) -> list[int]:
        return [i for i, own in enumerate(self.groups) if own == group]

    def _by_length(self, values: np.ndarray, group: str) -> list[Estimate]:
        """Means over inputs of ``values`` (N, D, L), by length."""
        return [estimate(each) for each in self._each(values, group)]

    def _each(self, values: np.ndarray, group: str) -> list[np.ndarray]:
        """By length the values (N,), averaged over the directions of a group; NaN left out."""
        own = values[:, self._of(group)]
        known = ~np.isnan(own)
        sums, counts = np.where(known, own, 0.0).sum(1), known.sum(1)
        means = [s[c > 0] / c[c > 0] for s, c in zip(sums.T, counts.T, strict=True)]
        return [each if len(each) else np.full(1, np.nan) for each in means]


def _said(length: float) -> str:
    if np.isnan(length):
        return "not measurable"
    return f"{length:.2g}" if np.isfinite(length) else "nowhere"


def _median(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if known.size else float("nan")


ENTRY = ExperimentKind(Perturbation)
