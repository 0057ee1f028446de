"""How curves in the input space run at each stage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ._shown import Shown
from ._summary import Estimate, estimate

Array = npt.NDArray[Any]


@dataclass(frozen=True, repr=False)
class Straightness(Shown):
    """Curves by depth; made by ``dynamics.straightness``. Rows of the arrays are stages.

    Attributes:
        stages: Names, the first is where the network starts.
        angles: Mean angle between neighbouring steps of a curve, degrees, ``(stages, curves)``: 0
            of a straight line, 90 of steps without any relation in many dimensions.
        ratios: Length along the steps over distance of the ends, likewise: 1 of a straight line.
        lengths: Length along the steps, likewise, in the units of the states.
    """

    columns: ClassVar[tuple[str, ...]] = ()
    stages: tuple[str, ...]
    angles: Array
    ratios: Array
    lengths: Array

    def angle(self, stage: str) -> Estimate:
        """Mean and spread over curves of ``angles``."""
        return estimate(self.angles[self.stages.index(stage)])

    def ratio(self, stage: str) -> Estimate:
        """Mean and spread over curves of ``ratios``."""
        return estimate(self.ratios[self.stages.index(stage)])

    def rows(self) -> list[dict[str, Any]]:
        """One row for each stage: means over curves, and their standard errors."""
        found = []
        for name in self.stages:
            angle, ratio = self.angle(name), self.ratio(name)
            row = {"angle": angle.mean, "angle_se": angle.se, "ratio": ratio.mean}
            found.append({"stage": name, **row, "ratio_se": ratio.se})
        return found

    def __repr__(self) -> str:
        means = np.mean(self.angles, axis=1)
        texts = (f"{name} {mean:z.1f}°" for name, mean in zip(self.stages, means, strict=True))
        return f"Straightness({', '.join(texts)})"
