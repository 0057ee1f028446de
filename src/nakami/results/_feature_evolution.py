"""What units answer to at several times of a training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ._checks import check_choice
from ._picture import Picture
from ._shown import Shown

Array = npt.NDArray[Any]
ROWS = {
    "exact": "rows of the Jacobian",
    "deconvolved": "deconvolutional projections",
    "singular": "first right singular vectors",
}


@dataclass(frozen=True, repr=False)
class FeatureEvolution(Shown):
    """Units over T times of a training; made by ``dynamics.feature_evolution``.

    U units, n numbers of an input. What is seen is at the input that excites the unit most then.

    Attributes:
        stage: Where the units are. times: Names of the T times. units: Their numbers.
        shape: Of one input.
        best: That input, ``(T, U)``. activation: of the unit there, likewise.
        exact: Row of the Jacobian, ``(T, U, n)`` float32.
        deconvolved: Projection through the deconvolutional network, likewise.
        singular: First right singular vector of the stage's Jacobian there, on the side of the row.
        value: Its singular value, ``(T, U)``.
    """

    columns: ClassVar[tuple[str, ...]] = ()
    stage: str
    times: tuple[str, ...]
    units: tuple[int, ...]
    shape: tuple[int, ...]
    best: Array
    activation: Array
    exact: Array
    deconvolved: Array
    singular: Array
    value: Array

    @property
    def alike(self) -> Array:
        """Cosine of each unit's projection with that of the time before, ``(T - 1, U)``."""
        a, b = self.deconvolved[1:], self.deconvolved[:-1]
        with np.errstate(invalid="ignore", divide="ignore"):
            return (a * b).sum(2) / np.linalg.norm(a, axis=2) / np.linalg.norm(b, axis=2)

    @property
    def jumps(self) -> Array:
        """Whether another input excites a unit most than at the time before, ``(T - 1, U)``."""
        return self.best[1:] != self.best[:-1]

    def rows(self) -> list[dict[str, Any]]:
        """One flat dict for each time and unit."""
        found, alike = [], self.alike
        for t, time in enumerate(self.times):
            for u, unit in enumerate(self.units):
                row = {"time": time, "unit": unit, "best": int(self.best[t, u])}
                row["activation"] = float(self.activation[t, u])
                row["alike"] = float(alike[t - 1, u]) if t else float("nan")
                found.append({**row, "value": float(self.value[t, u])})
        return found

    def pictures(self, *names: str) -> list[Picture]:
        """A row of pictures for each time, a column for each unit; none where inputs are none.

        For ``Training.keep_pictures`` or ``nakami.report``. Each is scaled by itself; colours are
        the mean over channels.

        Args:
            names: Of ``"exact"``, ``"deconvolved"``, ``"singular"``; none: all three.
        """
        for name in names:
            check_choice("names", name, list(ROWS), 'pass "exact"')
        if len(self.shape) != 3:
            return []
        found = []
        for name in names or ROWS:
            what = ROWS[name]
            planes = getattr(self, name).reshape(*self.best.shape, *self.shape).mean(2)
            top = np.abs(planes).max((2, 3), keepdims=True)
            planes = planes / np.where(top > 0, top, 1)
            caption = (
                f"Units {', '.join(map(str, self.units))} of {self.stage}, each at the input that "
                "excites it most at that time. Each picture is scaled by itself."
            )
            title = f"{what[0].upper()}{what[1:]} over training"
            found.append(Picture(title, caption, planes, (-1.0, 1.0), self.times))
        return found

    def __repr__(self) -> str:
        ends = f"{self.times[0]} to {self.times[-1]}"
        return f"FeatureEvolution({len(self.units)} units of {self.stage}, {ends})"
