"""Experiments beside an x-ray: numbers for each of its inputs, kept as pieces of its run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from ._counted import counted
from ._entries import Entries
from ._errors import unknown
from ._shown import Shown


@dataclass(frozen=True, repr=False)
class Experiment(Shown):
    """What an experiment measured at inputs of an x-ray.

    Attributes:
        settings: What was asked, as JSON takes it.
        inputs: Which inputs of the x-ray were measured.
        arrays: Numbers by name; row r of each belongs to input ``inputs[r]``.
    """

    name: ClassVar[str]
    settings: dict[str, Any]
    inputs: tuple[int, ...]
    arrays: dict[str, np.ndarray]

    @property
    def title(self) -> str:
        """What is measured and where, above a table of ``rows()``."""
        return self.name

    @property
    def caption(self) -> str:
        """What the rows are means of, below the table."""
        return f"Means over {counted(len(self.inputs), 'input')}."

    @property
    def stages(self) -> tuple[str, ...]:
        """Where it was measured, in order of depth."""
        return tuple(self.settings["stages"])

    def _stage(self, name: str | None) -> int:
        """The place of a stage among ``stages``; of None the last."""
        if name is not None and name not in self.stages:
            raise unknown("stage", name, self.stages)
        return len(self.stages) - 1 if name is None else self.stages.index(name)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({counted(len(self.inputs), 'input')})"

    @classmethod
    def of(cls, settings: Mapping[str, Any], found: Mapping[int, Mapping[str, np.ndarray]]) -> Self:
        """The experiment from what was found at each input, by its index."""
        inputs = tuple(sorted(found))
        names = found[inputs[0]] if inputs else ()
        arrays = {name: np.stack([found[i][name] for i in inputs]) for name in names}
        return cls(dict(settings), inputs, arrays)


@dataclass(frozen=True)
class ExperimentKind:
    """A kind of experiment, one module of ``nakami.results.experiments`` each."""

    made: type[Experiment]


EXPERIMENTS = Entries("nakami.results.experiments", ExperimentKind, "experiment")
