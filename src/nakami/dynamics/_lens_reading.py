"""The reading of a lens: prompt by prompt, then the numbers of the mean with their errors."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..data import described
from ..operators import (
    DETACHED,
    FunctionalModel,
    Jacobian,
    PositionMean,
    PositionMeans,
    Stages,
    check_cut,
)
from ..results import Lens, LensEnding, Outcome, RunError, first_names, versions, wrong
from ..results import said as say
from ..spectra import svd
from ._inputs import as_array
from ._jackknife import Array, Running
from ._lens_numbers import made_lens
from ._prompts import Prompt

LEAST = 8  # prompts before a wanted error may end the reading
AUTO = "auto"  # all blocks but the last
MOST, FEWEST = 64, 8  # groups of the jackknife


@dataclass
class Reading:
    """Means over the prompts read so far, one for each stage.

    Attributes:
        network, names, to, positions, axis, budget: As asked; ``to`` is settled at the first
            prompt. wanted: relative standard error that ends the reading, or None.
        running: Of each stage. checks: at the first prompt, relative errors of the self-check, the
            routes of its products, and residuals of a detached derivative.
        n_positions: Source positions so far. passed_over: prompts without any.
        seen: prompts so far. digest: SHA-256 of them.
    """

    network: FunctionalModel
    names: tuple[str, ...]
    to: str | None
    positions: slice
    axis: int
    budget: int
    wanted: float | None
    running: dict[str, Running] = field(default_factory=dict)
    checks: dict[str, tuple[float, str, float]] = field(default_factory=dict)
    n_positions: int = 0
    passed_over: int = 0
    seen: int = 0
    means: PositionMeans | None = None
    digest: Any = field(default_factory=hashlib.sha256)

    @property
    def count(self) -> int:
        """Prompts read."""
        return self.running[self.names[0]].count if self.running else 0

    @property
    def within(self) -> bool:
        """Whether the wanted error is reached at every stage."""
        if self.wanted is None or self.count < LEAST:
            return False
        return all(one.error <= self.wanted for one in self.running.values())

    def add(self, prompt: Prompt) -> None:
        """Read one more prompt."""
        self.read(prompt)
        found = self.matrices(prompt)
        if not found:
            return
        for name, matrix in found.items():
            self._keep(name, matrix)
        error = max(one.error for one in self.running.values())
        say(f"{self.count} prompts, standard error {error:.2g}")

    def read(self, prompt: Prompt) -> None:
        """Take a prompt into the hash of the data, also one that is passed over."""
        self.digest.update(prompt.fingerprint().encode())

    def matrices(self, prompt: Prompt) -> dict[str, Array]:
        """The averaged Jacobians of one prompt; none where no position counts."""
        means = self.means or self.prepare(prompt)
        self.seen += 1
        found = means(prompt.example, lambda count: self._counted(count, prompt.mask))
        if not found.matrices:
            self.passed_over += 1
            return {}
        if not self.checks:
            self._check(prompt, found)
        self.n_positions += int(found.here.sum())
        return {
            name: self._finite(name, as_array(matrix).astype(np.float64))
            for name, matrix in found.matrices.items()
        }

    def prepare(self, prompt: Prompt) -> PositionMeans:
        """Settle where the lens ends, and refuse what is no cut, at the first prompt."""
        places = self.network.stages(prompt.example)
        self.names = self._starts(places)
        self.to = self._end(places)
        for name in self.names:
            if name != "input":
                check_cut(self.network, prompt.example, name, (self.to,), "stage")
        self.means = PositionMeans(self.network, self.names, self.to, self.axis, self.budget)
        return self.means

    def _finite(self, name: str, matrix: Array) -> Array:
        if np.isfinite(matrix).all():
            return matrix
        raise RunError(
            f"the Jacobian from {name!r} is NaN or infinite at prompt "
            f"{self.seen - 1} (0 is the first); leave it out, or use dtype float64."
        )

    def _keep(self, name: str, matrix: Array) -> None:
        if name not in self.running:
            self.running[name] = Running(most_groups(self.budget, len(self.names), matrix.nbytes))
        self.running[name].add(matrix, largest(matrix))

    def _counted(self, count: int, mask: Tensor | None) -> Tensor:
        """Which of ``count`` positions count: those of the mask, and the slice of them."""
        if mask is not None and len(mask) != count:
            rule = f"have a column for each position of the stage, {count}"
            raise wrong("mask", rule, len(mask), "pass such a mask with {mask}")
        some = (torch.ones(count, dtype=torch.bool) if mask is None else mask).nonzero()[:, 0]
        here = torch.zeros(count, dtype=torch.bool)
        here[some[self.positions]] = True
        return here

    def _starts(self, places: Stages) -> tuple[str, ...]:
        """The names of all stages, in order of execution."""
        if self.names != (AUTO,):
            return tuple(s.name for s in places.ordered(places.matching(self.names), "stage"))
        if len(places.blocks) < 2:
            some = [s.name for s in places if s.name != "input"]
            way_out = f"pass {{stage}}='{some[0]}', or others of {first_names(some)}"
            raise wrong("stage", "be named where no blocks repeat", "none", way_out)
        end = places.position(places.find(self.to or places.blocks[-1]).name)
        return tuple(name for name in places.blocks if places.position(name) < end)

    def _end(self, places: Stages) -> str:
        """The stage ``to``, which must lie behind all others."""
        to = default_end(places, self.names, self.axis) if self.to is None else self.to
        places.find(to)
        late = [name for name in self.names if places.position(name) >= places.position(to)]
        if late:
            got = f"{late[0]!r} with the end {to!r}"
            raise wrong("stage", "come before {to}", got, "name an earlier stage, or {to}")
        return to

    def _check(self, prompt: Prompt, found: PositionMean) -> None:
        """Compare each matrix with a product in the other direction, made in another way."""
        assert self.to is not None
        places = self.network.stages(prompt.example)
        generator = torch.Generator().manual_seed(0)
        share, there = found.here.double() / found.here.sum(), found.there.double()
        for name, matrix in found.matrices.items():
            op = Jacobian(self.network, prompt.example, places, self.to, name, self.budget)
            v = torch.randn(matrix.shape[1], 1, generator=generator, dtype=torch.float64)
            spread = found.forms[name].spread(v, share).to(op.output)
            product = found.forms[self.to].pooled((op @ spread).double().cpu(), there)
            exact = matrix.double().cpu() @ v
            size = float(exact.norm())
            gap = float((exact - product).norm())
            self.checks[name] = (gap / size if size else gap, op.route, op.residual)

    def lenses(self) -> dict[str, Lens]:
        """What was found, by stage."""
        self.check_read()
        return {name: self.lens(name) for name in self.names}

    def check_read(self) -> None:
        """Refuse data of which nothing was read."""
        if not self.count:
            rule = "hold at least one prompt with a position that counts"
            got = f"{self.passed_over} without" if self.passed_over else "none"
            raise wrong("data", rule, got, "pass longer prompts, or another {positions}")

    def lens(self, name: str) -> Lens:
        """What was found at one stage."""
        assert self.to is not None
        running = self.running[name]
        settings = self._settings(name, len(running.sizes))
        return made_lens(
            running, self._outcome(running), stage=name, to=self.to, n_prompts=running.count,
            n_positions=self.n_positions, check=self.checks[name][0], settings=settings,
        )  # fmt: skip

    def _outcome(self, running: Running) -> Outcome:
        error, prompts = running.error, running.count
        if math.isnan(error):
            return Outcome(LensEnding.UNKNOWN, {"prompts": prompts})
        numbers = {"prompts": prompts, "error": error}
        if self.wanted is None:
            return Outcome(LensEnding.READ, numbers)
        kind = LensEnding.PRECISE if error <= self.wanted else LensEnding.IMPRECISE
        return Outcome(kind, {**numbers, "wanted": self.wanted})

    def _settings(self, name: str, groups: int) -> dict[str, Any]:
        network, here = self.network, self.positions
        return {
            "model": described(network.model),
            "data_sha256": self.digest.hexdigest(),
            "positions": [here.start, here.stop, here.step],
            "passed_over": self.passed_over,
            "axis": self.axis,
            "groups": groups,
            "dtype": str(network.dtype or torch.get_default_dtype()).removeprefix("torch."),
            "device": network.device.type,
            "check_route": self.checks[name][1],
            **self._derivative(name),
            "threads": torch.get_num_threads(),
            "versions": versions(),
        }

    def _derivative(self, name: str) -> dict[str, Any]:
        """What is said of a derivative that is not the network's own."""
        if self.network.derivative != DETACHED:
            return {}
        return {"derivative": DETACHED, "residual": self.checks[name][2]}


def largest(matrix: Array) -> float:
    """The largest singular value."""
    return float(svd(torch.from_numpy(matrix), 1, vectors=False).values[0])


def most_groups(budget: int, stages: int, size: int) -> int:
    """Groups of the jackknife that fit a budget, each with a matrix of ``size`` bytes a stage."""
    return max(FEWEST, min(MOST, budget // (stages * size)))


def default_end(places: Stages, names: tuple[str, ...], axis: int) -> str:
    """The last block of the list that the first stage is in, else the last stage as wide as it."""
    first = places.find(names[0], "stage")
    behind = places[max(places.position(name) for name in names) + 1 :]
    alike = [
        s for s in behind if s.shape and width_of(s.shape, axis) == width_of(first.shape, axis)
    ]
    stem = first.name.rpartition(".")[0]
    if first.name in places.blocks:
        blocks = [s for s in alike if s.name in places.blocks and s.kind == first.kind]
        alike = [s for s in blocks if s.name.rpartition(".")[0] == stem] or alike
    if not alike:
        got, way_out = f"{first.name!r}", "name where to end with {to}"
        raise wrong("stage", "come before a stage of its width", got, way_out)
    return alike[-1].name


def width_of(shape: tuple[int, ...], axis: int) -> int:
    """Entries along the axis; -1 where there is none."""
    return shape[axis] if -len(shape) <= axis < len(shape) else -1
