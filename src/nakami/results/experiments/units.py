"""What excites units: exact rows of the Jacobian beside deconvolutional projections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .._counted import counted
from .._errors import unknown
from .._experiment import Experiment, ExperimentKind
from .._summary import Estimate, estimate


@dataclass(frozen=True, repr=False)
class Units(Experiment):
    """Units of a stage at the inputs that excite them; made by ``nakami.dynamics.units``.

    A unit of a map of channels or of a row of positions is one channel or component, read where it
    is largest. N inputs, U units, n numbers of an input.

    Attributes:
        arrays: ``activation`` (N, U): the largest of each unit. ``place`` (N, U): where, flat over
            positions. ``exact`` (N, U, n) float32: the row of the Jacobian of ``J_all`` there.
            ``deconvolved`` (N, U, n) float32: the projection of a one through the deconvolutional
            network. ``cosine`` (N, U) of the angle between the two; NaN where one of them is 0.
            ``guided`` and ``cosine_guided``: likewise of the guided projection. Of pictures
            ``occlusion`` (N, U, places, places) float32: change of the activation where a square of
            a quarter of each side, evenly placed from border to border, hides the picture.
    """

    name: ClassVar[str] = "units"

    @property
    def title(self) -> str:
        """What is measured and where."""
        return f"units of {self.stage}: rows of the Jacobian beside deconvolutional projections"

    @property
    def caption(self) -> str:
        """What stands in the rows."""
        rectified = counted(int(self.settings["rectified"]), "ReLU")
        return (
            "best: the input with the largest activation; cosine: between row and projection, "
            f"there and over all inputs. {rectified} on the way."
        )

    @property
    def stage(self) -> str:
        """Where the units are."""
        return self.stages[0]

    @property
    def units(self) -> tuple[int, ...]:
        """Numbers of the units, (U,)."""
        return tuple(self.settings["units"])

    def best(self, unit: int, count: int = 4) -> list[int]:
        """The inputs that excite a unit most, the first most of all: indices of the x-ray's."""
        values = self.arrays["activation"][:, self._unit(unit)]
        return [self.inputs[r] for r in np.argsort(-values, kind="stable")[:count]]

    def cosine(self, unit: int) -> Estimate:
        """Of the angle between row and projection, over the inputs where both are not 0."""
        values = self.arrays["cosine"][:, self._unit(unit)]
        known = values[np.isfinite(values)]
        return estimate(known if known.size else np.array([np.nan]))

    def _unit(self, unit: int) -> int:
        if unit not in self.units:
            raise unknown("unit", str(unit), [str(one) for one in self.units])
        return self.units.index(unit)

    def rows(self) -> list[dict[str, Any]]:
        """One flat dict for each unit."""
        out = []
        for u, unit in enumerate(self.units):
            best, over = self.best(unit, 1)[0], self.cosine(unit)
            at = self.inputs.index(best)
            row: dict[str, Any] = {"unit": unit, "best": best}
            row["activation"] = float(self.arrays["activation"][at, u])
            row["cosine_best"] = float(self.arrays["cosine"][at, u])
            row |= {"cosine": over.mean, "cosine_se": over.se}
            if "cosine_guided" in self.arrays:  # not in folders of earlier versions
                row["cosine_guided"] = float(self.arrays["cosine_guided"][at, u])
            out.append(row)
        return out

    def as_dict(self) -> dict[str, Any]:
        """What was read, in a few numbers and words."""
        cosines = self.arrays["cosine"]
        known = cosines[np.isfinite(cosines)]
        return {
            "stage": self.stage,
            "units": len(self.units),
            "inputs": len(self.inputs),
            "cosine": float(known.mean()) if known.size else float("nan"),
        }


ENTRY = ExperimentKind(Units)
