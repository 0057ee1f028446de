"""Averaged Jacobians from several stages of one network, with what their directions write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ._counted import counted
from ._errors import unknown
from ._lens import Direction, Lens
from ._plotted import Plotted

LENS_NUMBERS = (
    "norm",
    "identity",
    "identity_share",
    "participation",
    "participation_beyond",
    "entropy_rank",
    "entropy_rank_beyond",
    "agreement",
)


@dataclass(frozen=True, repr=False, eq=False)
class LensRun(Plotted):
    """What one run of ``nakami.dynamics.lens_run`` has measured.

    Attributes:
        settings: Everything in ``run.json``: subject, model, stages, positions, versions, ...
        lenses: By stage, in the order they run; empty while the run is unfinished.
        errors: By stage ``(groups, 2)``: prompts read so far, and the relative standard error then.
        words: By stage, the leading directions in words of the vocabulary; empty without one.
        groups: Groups of prompts that are done.
        folder: The run on disk.
    """

    kind: ClassVar[str] = "lens"
    settings: dict[str, Any]
    lenses: Mapping[str, Lens]
    errors: Mapping[str, npt.NDArray[np.float64]]
    words: Mapping[str, tuple[Direction, ...]]
    groups: int
    folder: Path

    def __repr__(self) -> str:
        if not self.lenses:
            done = f"{self.groups} of {counted(self.settings['groups'], 'group')} done"
            return f"LensRun({self.subject!r}: {done})"
        first, last = next(iter(self.lenses)), list(self.lenses.values())[-1]
        return f"LensRun({self.subject!r}: {first} to {last.to}, {last.reason})"

    @property
    def subject(self) -> str:
        """Name of the subject, as given."""
        return str(self.settings["subject"])

    @property
    def to(self) -> str:
        """Where the Jacobians end."""
        return str(self.settings["to"])

    @property
    def converged(self) -> bool:
        """Whether the run is finished, with the error that was asked for at every stage."""
        return bool(self.lenses) and all(one.converged for one in self.lenses.values())

    def __getitem__(self, stage: str) -> Lens:
        """The lens of a stage."""
        if stage not in self.lenses:
            raise unknown("stage", stage, list(self.lenses))
        return self.lenses[stage]

    def __iter__(self) -> Iterator[str]:
        return iter(self.lenses)

    def __len__(self) -> int:
        return len(self.lenses)

    def rows(self) -> list[dict[str, Any]]:
        """One flat dict for each stage."""
        return [
            {
                "stage": name,
                "largest": float(one.values[0]),
                "largest_se": float(one.value_errors[0]),
                "error": one.error,
                **{
                    key: number
                    for field in LENS_NUMBERS
                    for key, number in (
                        (field, getattr(one, field).value),
                        (f"{field}_se", getattr(one, field).se),
                    )
                },
                "n_prompts": one.n_prompts,
                "converged": one.converged,
            }
            for name, one in self.lenses.items()
        ]

    def as_dict(self) -> dict[str, Any]:
        """What was read, in a few numbers and words."""
        return {
            "subject": self.subject,
            "to": self.to,
            "n_stages": len(self.settings["stages"]),
            "converged": self.converged,
        }
