"""What was read of the recurrent layers of a network: made in one run, kept and read back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ._counted import counted
from ._errors import unknown
from ._fixed_points import FixedPoints
from ._growth import Growth, Margin
from ._lyapunov import LyapunovSpectrum
from ._over_time import SpectraOverTime
from ._plotted import Plotted
from ._shown import Shown

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Portrait(Shown):
    """States of real trajectories in the plane of their two leading principal components.

    Attributes:
        mean: Of all states of the trajectories, shape (S,).
        axes: The components, orthonormal, shape (2, S); a row of zeros where S is 1.
        shares: Share of the variance of the states along each, shape (2,).
        paths: Some trajectories in the plane, shape (n, T + 1, 2): the first state included.
        points: The fixed points in the plane, shape (p, 2), in the order of ``FixedPoints``.
        off_plane: Distance of each fixed point from the plane, shape (p,), in units of the root
            mean square distance of the states from their mean.
    """

    mean: Array
    axes: Array
    shares: Array
    paths: Array
    points: Array
    off_plane: Array

    @property
    def share(self) -> float:
        """Share of the variance of the states that the plane shows."""
        return float(self.shares.sum())


@dataclass(frozen=True, repr=False)
class RecurrentLayer(Shown):
    """All readings of one recurrent module of a network.

    Attributes:
        name: The module's; empty for a network that is the module itself.
        kind: ``"RNN"``, ``"GRU"`` or ``"LSTM"``. layers: how many are stacked in it.
        input_size: I. state_size: S, of all its layers; an LSTM's with the cells.
        margins: Of each GRU layer at zero input, biases and state; () of other kinds.
        fixed_points: At the constant input of the run.
        exponents: Lyapunov exponents, driven by the real inputs.
        growth: Over the first steps of some sequences, a row for each.
        portrait: Trajectories and fixed points in a plane.
        over_time: Spectra after some steps of these sequences; None in runs written before there
            were any.
    """

    name: str
    kind: str
    layers: int
    input_size: int
    state_size: int
    margins: tuple[Margin, ...]
    fixed_points: FixedPoints
    exponents: LyapunovSpectrum
    growth: Growth
    portrait: Portrait
    over_time: SpectraOverTime | None = None

    def __repr__(self) -> str:
        return f"RecurrentLayer({self.title}: {self.exponents.reason}; {self.fixed_points.reason})"

    @property
    def title(self) -> str:
        """``rnn (GRU, 64 states)``."""
        states = counted(self.state_size, "state")
        return f"{self.name} ({self.kind}, {states})" if self.name else f"{self.kind}, {states}"

    @property
    def converged(self) -> bool:
        """Whether the exponents, the search and all singular values of the growth are settled."""
        return (
            self.exponents.converged
            and self.fixed_points.converged
            and bool(self.growth.converged.all())
            and (self.over_time is None or bool(self.over_time.converged.all()))
        )

    @property
    def median_growth(self) -> float:
        """Median over sequences of the largest factor that a difference grows by."""
        return float(np.median(self.growth.singular_values[:, 0]))

    def numbers(self) -> dict[str, Any]:
        """The main numbers by name, plain."""
        found, fixed, grown = self.exponents, self.fixed_points, self.growth
        return {
            "state_size": self.state_size,
            "largest_exponent": float(found.exponents[0]),
            "largest_exponent_error": float(found.standard_errors[0]),
            "exponents_above_0": int((found.exponents > 0).sum()),
            "exponents_converged": found.converged,
            "growth": self.median_growth,
            "growth_least": float(grown.singular_values[:, 0].min()),
            "growth_most": float(grown.singular_values[:, 0].max()),
            "growth_steps": grown.length,
            "fixed_points": len(fixed.points),
            "stable": int(fixed.stable.sum()),
            **({"least_radius": float(fixed.radii[0])} if len(fixed.points) else {}),
            **self._left(),
            **({"sigma": max(m.sigma for m in self.margins)} if self.margins else {}),
        }

    def _left(self) -> dict[str, Any]:
        """Of how many directions of state and input a tenth is left after the last time."""
        found = self.over_time
        if found is None:
            return {}
        state, first = (found.above(source=source)[-1] for source in ("state", "first input"))
        body: dict[str, Any] = {}
        for name, left in (("left_of_state", state), ("left_of_first_input", first)):
            body |= {name: left.mean, f"{name}_se": left.se}
            body[f"{name}_lower_bound"] = left.lower_bound
        return {**body, "left_after_steps": int(found.steps[-1])}

    def as_dict(self) -> dict[str, Any]:
        """Name, kind and the main numbers."""
        return {"name": self.name, "kind": self.kind, **self.numbers()}


@dataclass(frozen=True, repr=False)
class RecurrentXray(Plotted):
    """What one x-ray of recurrent layers measured; made by ``nakami.recurrent.xray``.

    Attributes:
        settings: Everything in ``run.json``: subject, model, seed, constant input, versions, ...
        layers: The recurrent modules, in the order they run; of an unfinished run those done.
        folder: The run on disk, or None for a run kept in memory.
    """

    kind: ClassVar[str] = "recurrent"
    settings: dict[str, Any]
    layers: tuple[RecurrentLayer, ...]
    folder: Path | None = None

    def __repr__(self) -> str:
        titles = ", ".join(layer.title for layer in self.layers) or "no layer yet"
        return f"RecurrentXray({self.subject!r}: {titles})"

    @property
    def subject(self) -> str:
        """Name of the subject, as given."""
        return str(self.settings["subject"])

    @property
    def constant(self) -> str:
        """The constant input of the fixed points: ``"zero"`` or ``"mean"``."""
        return str(self.settings["constant"])

    @property
    def converged(self) -> bool:
        """Whether every reading is settled."""
        return all(layer.converged for layer in self.layers)

    def __getitem__(self, name: str) -> RecurrentLayer:
        """A layer by its name."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise unknown("layer", name, [layer.name for layer in self.layers])

    def rows(self) -> list[dict[str, Any]]:
        """One flat dict for each layer."""
        return [layer.as_dict() for layer in self.layers]

    def as_dict(self) -> dict[str, Any]:
        """What was read, in a few numbers and words."""
        return {
            "subject": self.subject,
            "constant": self.constant,
            "n_layers": len(self.layers),
            "converged": self.converged,
        }
