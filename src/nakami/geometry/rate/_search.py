"""The largest eigenvalues behind a limit: how they are searched for, and what is read of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ...operators import CurvatureOperator
from ...results import (
    Keep,
    Outcome,
    at_once,
    check_at_least,
    check_budget,
    check_fraction,
    check_seed,
    wrong_type,
)
from ...spectra import EighResult, LinearOperator, eigh
from .._outcomes import LimitEnding
from ._optimizers import Coordinates
from ._progress import Parts
from ._trials import GRADIENT, PRODUCT


@dataclass(frozen=True)
class LimitOptions:
    """How the limit of a learning rate is computed.

    Args:
        batches: Read the first so many batches; default all. Trials of a report take all of them.
        each_batch: Whether each of these batches is also read alone, for its own limit and for the
            noise of the gradients.
        tol: Bound on the estimated relative error of the eigenvalues.

    Raises:
        UsageError: ``batches`` is no whole number from 1 on, ``tol`` not between 0 and 1.
    """

    batches: int | None = None
    each_batch: bool = True
    tol: float = 1e-3

    def __post_init__(self) -> None:
        if self.batches is not None:
            batches = check_at_least("batches", self.batches, 1, "leave it out for all")
            object.__setattr__(self, "batches", batches)
        check_fraction("tol", self.tol, "use 1e-3")
        object.__setattr__(self, "tol", float(self.tol))


DEFAULT = LimitOptions()


@dataclass(frozen=True)
class Top:
    """A largest eigenvalue, at least 0: its relative error, what it cost, how its search ended."""

    value: float
    error: float
    cost: float
    outcome: Outcome


class Search:
    """The search for largest eigenvalues, in an optimizer's coordinates, with what it costs.

    Attributes:
        keep: Keeps each of them as a part: ``limit``, ``limit-1`` of the first batch,
            ``curvature`` of the loss by itself, ``largest`` of what the spectrum is of.
        cost: In gradient evaluations on one batch. ends: How each search ended.
        plain: Whether the coordinates of the last limit were the parameters themselves.
    """

    def __init__(
        self, options: LimitOptions, seed: int, memory_budget: int | None, keep: Keep = at_once
    ):
        given: object = options
        if not isinstance(given, LimitOptions):
            way_out = "pass nakami.geometry.LimitOptions(tol=1e-3)"
            raise wrong_type("options", "be LimitOptions", repr(given), way_out)
        self.options, self.seed = options, check_seed(seed)
        check_budget(memory_budget)
        self.budget, self.keep = memory_budget, keep
        self.cost, self.ends, self.plain = 0.0, list[Outcome](), True
        self._known: dict[tuple[int, ...], tuple[Top, CurvatureOperator]] = {}  # by their batches

    def limits(self, frame: Coordinates, op: CurvatureOperator, parts: Parts) -> dict[str, Any]:
        """What is read of the matrix of all data, and of each batch, by name."""
        batches, rule = op.by_batch(), frame.rule
        n, self.plain = len(batches), frame.plain
        sharpness, relative = self.sharpness("limit", frame, op, n)
        parts.done(f"limit {rule.limit(sharpness):.3g}")
        if frame.plain and frame.shift is None:
            lambda_max = sharpness - frame.common
        else:
            lambda_max = self.top("curvature", op, op, n).value
        each = [sharpness]
        if self.options.each_batch and n > 1:
            each = []
            for i, part in enumerate(batches):
                each.append(self.sharpness(f"limit-{i + 1}", frame, part, 1)[0])
                parts.done(f"limit of batch {i + 1} of {n}: {rule.limit(each[-1]):.3g}")
        found = rule.limit(sharpness)
        missed = [end for end in self.ends if not end.converged]
        outcome = [*missed, self.ends[0]][0]
        if not missed and not sharpness > 0:
            curved = op.kind == "ggn"
            outcome = Outcome(LimitEnding.NO_CURVATURE if curved else LimitEnding.NO_UPWARD)
        return {
            "limit": found,
            "error": found * relative if found < math.inf else 0.0,
            "limits": tuple([found * rate if rate else 0.0 for rate in frame.rates]),
            "lambda_max": lambda_max,
            "sharpness": sharpness,
            "batch_sharpness": tuple(each),
            "batch_limit": rule.limit(max(each)),
            "rule": rule,
            "n_batches": n,
            "cost": self.cost,
            "outcome": outcome,
        }

    def sharpness(
        self, name: str, frame: Coordinates, op: CurvatureOperator, n_batches: int
    ) -> tuple[float, float]:
        """Largest eigenvalue in the optimizer's coordinates, and its relative error."""
        found = self.top(name, frame.matrix(op), op, n_batches)
        moved = found.value + frame.common
        return moved, found.error * found.value / moved if moved else 0.0

    def top(self, name: str, matrix: LinearOperator, op: CurvatureOperator, n_batches: int) -> Top:
        """Largest eigenvalue of a matrix made of the products of ``op``, over some batches."""
        batches = tuple([id(part) for part in op.parts])
        if matrix is op and batches in self._known:
            return self._known[batches][0]
        found = self.keep(name, lambda: self._searched(matrix, op, n_batches))
        if matrix is op:
            self._known[batches] = found, op  # which keeps its batches from being others
        self.cost += found.cost
        self.ends.append(found.outcome)
        return found

    def _searched(self, matrix: LinearOperator, op: CurvatureOperator, n_batches: int) -> Top:
        with op.held():
            found = eigh(matrix, 1, self.options.tol, seed=self.seed, memory_budget=self.budget)
        passes = found.n_products * PRODUCT
        if matrix is op:  # a stored Gram matrix: a gradient for each of its rows
            passes += GRADIENT * found.settings.get("gram_rows", 0) / op.n_examples
        value, error = _positive(found), float(found.errors[0])
        return Top(value, error, passes * n_batches, found.outcome)


def _positive(found: EighResult) -> float:
    """The largest eigenvalue; 0 where it is negative, or not told from 0 by the arithmetic."""
    return max(0.0, float(found.values[0])) if bool(found.reliable[0]) else 0.0
