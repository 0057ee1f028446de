"""The road that both Krylov methods take: expand, look, search what is left, stop honestly."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ..results import Outcome, SpectrumEnding, wrong
from ._operator import LinearOperator
from ._search import CHECK_PRODUCTS, CHECKS, WIDTH

BLOCK = 8  # the widest


@dataclass(frozen=True)
class Plan:
    """Sizes of a run. ``columns`` bounds each basis, ``products`` the whole cost.

    ``images``: whether a run with one basis keeps the images of its vectors too.
    """

    k: int
    tol: float
    block: int
    columns: int
    products: int
    images: bool = False

    @property
    def widest(self) -> int:
        """Largest block: every search can add two directions."""
        return self.block + CHECKS * WIDTH

    @property
    def keep(self) -> int:
        """Ritz vectors kept at a restart: k and a third of the room beyond it."""
        return self.k + max(0, self.columns - self.k - self.widest) // 3


class Run(Protocol):
    """A growing decomposition. Keys sort the values asked for: the largest key comes first."""

    filled: int
    n_products: int

    @property
    def full(self) -> bool:
        """Whether the next step does not fit into the basis."""

    def expand(self) -> None:
        """One step."""

    def ritz(self) -> tuple[Tensor, Tensor]:
        """Keys of all Ritz values, descending, and their residuals."""

    def outlook(self) -> float:
        """Largest key that the last block shows on its own: about what the complement holds."""

    def gaps(self, keys: Tensor, rest: float) -> Tensor:
        """The gap for which ``r^2 / gap`` is the shift of a value by a rest of this key."""

    def floor(self, keys: Tensor) -> float:
        """The rounding of the values."""

    def limit(self, keys: Tensor) -> float:
        """Residual below which a value counts as settled, however small it is."""

    def restart(self, keep: int) -> None:
        """Thick restart."""

    def add(self, directions: Tensor) -> None:
        """Let directions join the waiting block."""


Search = Callable[[], tuple[float, Tensor]]
Sure = Callable[[float], bool]


def converge(
    run: Run, plan: Plan, search: Search, sure: Sure | None = None
) -> tuple[float, Outcome | None, bool]:
    """Run until converged and checked, or until the budget is spent.

    Convergence is judged in two stages: a cheap one from the Ritz values, and then a search of the
    complement of the whole basis. The largest key ``w`` found there shows both whether a value was
    missed and how far the complement can still push a value. Where ``sure(key)`` can say that none
    was missed, a few more steps are taken for that in place of the search; then ``w`` is infinite,
    for nothing else is known of the complement, and errors are residuals.

    Returns:
        ``w``, why the run ended early if it did, whether no missed value is known.
    """
    checks, next_look, pace = 0, plan.k + plan.block, Pace()
    patience, asked = CHECK_PRODUCTS, 0
    while True:
        run.expand()
        spent = run.n_products >= plan.products and run.filled >= plan.k
        if not (run.full or spent or run.filled >= next_look):
            continue
        keys, residuals = run.ritz()
        last = float(keys[plan.k - 1])
        most = last + plan.tol * abs(last) + run.floor(keys)
        # The smallest values settle early too, and may be the k-th while the basis is short.
        ripe = run.outlook() <= most
        nearest = last - 0.1 * abs(last)
        far = _distance(run, plan, keys, residuals, keys - nearest) if ripe else math.inf
        next_look = run.filled + max(plan.block, pace.steps(run.filled, far))
        if spent or (far <= 1 and _settled(run, plan, keys, residuals, nearest)):
            if sure is not None and patience > 0 and not (spent or run.full):
                alone = _distance(run, plan, keys, residuals, torch.zeros_like(keys))
                if alone <= 1 and sure(last):
                    return math.inf, None, True
                patience -= run.filled - asked if asked else 0
                asked, next_look = run.filled, run.filled + 1
                continue
            gain, directions = search()
            run.n_products += CHECK_PRODUCTS
            missed = gain > most
            if not missed and _settled(run, plan, keys, residuals, gain):
                return gain, None, True
            if spent or (missed and checks == CHECKS):
                why = Outcome(SpectrumEnding.UNCHECKED, {"products": run.n_products})
                if missed and not spent:
                    why = Outcome(SpectrumEnding.MISSED, {"missed": gain})
                return gain, why, False
            if missed:
                checks, sure = checks + 1, None
                run.restart(min(run.filled, plan.keep))
                run.add(directions)
        if run.full:
            sure = None  # what it says holds for the first basis
            run.restart(plan.keep)
            next_look = run.filled + 2 * plan.block


def _settled(run: Run, plan: Plan, keys: Tensor, residuals: Tensor, rest: float) -> bool:
    """Whether the first k values are within tol if nothing outside has a key over ``rest``."""
    return _distance(run, plan, keys, residuals, run.gaps(keys, rest)) <= 1


def _distance(run: Run, plan: Plan, keys: Tensor, residuals: Tensor, gaps: Tensor) -> float:
    """The largest error of the first k values over what ``tol`` allows."""
    s, r = keys[: plan.k], residuals[: plan.k]
    errors = r.minimum(r.square() / gaps[: plan.k].clamp_min(1e-300))
    allowed = plan.tol * s.abs().clamp_min(run.floor(keys)).clamp_min(1e-300)
    return float((errors / allowed).masked_fill(r < run.limit(keys), 0.0).max())


class Pace:
    """How far to the next look: from how fast the errors fell between the last two."""

    def __init__(self) -> None:
        self.last: tuple[int, float] | None = None

    def steps(self, filled: int, far: float) -> int:
        """Columns until it is worth looking again; errors fall ever faster, so half of a line.

        A look costs the cube of the columns: next to nothing beside a product while they are few.
        """
        least, most = filled // 64, filled // (32 if filled < 200 else 12)
        before, self.last = self.last, (filled, far)
        if before is None or not 1 < far < before[1] or math.isinf(before[1]):
            return most if far > 1 else least
        left = (filled - before[0]) * math.log(far) / math.log(before[1] / far)
        return int(min(max(left / 2, least), most))


def make_plan(
    op: LinearOperator,
    k: int,
    tol: float,
    budget: int,
    products: int | None,
    sides: str,
    block: int | None = None,
) -> Plan:
    """Sizes from shape, dtype and budget alone, so that results repeat; refuses a tiny budget.

    Args:
        op: The matrix.
        k: Values asked for.
        tol: Their relative error.
        budget: Bytes for all: a quarter is for products (as in the operators), the rest holds the
            bases and the vectors returned. Restarts work in place.
        products: Bound on the products, or None.
        sides: ``"two"`` bases; ``"one"``, on the short side, with the images where they fit;
            ``"symmetric"``: one basis and one set of vectors.
        block: Columns of a step; default ``block_size``.
    """
    m, n = op.shape
    small, item = min(m, n), op.dtype.itemsize
    block = block or block_size(k, op.device)
    both = (n if sides == "symmetric" else m + n) * item  # bytes of a vector, or a pair
    wanted = min(max(5 * k // 2, k + 96), small - block - CHECKS * WIDTH)
    held = budget - budget // 4
    columns, images = held // both - k, True
    if sides == "one" and columns < wanted + 2 * BLOCK:
        images = False
        columns = held // (small * item) - k if k * both <= held else 0
    columns = min(wanted, columns - 2 * BLOCK)
    if columns < k + 3 * block:
        vectors = 2 * k + 3 * block + 2 * BLOCK
        need = max(k * both, vectors * small * item) if sides == "one" else vectors * both
        raise wrong(
            "memory_budget",
            f"hold a basis for {k} vectors of {n if sides == 'symmetric' else f'{m} + {n}'} "
            f"components ({4 * need // 3 + 4} bytes)",
            f"{budget} bytes",
            ["raise it", "lower {k}"],
        )
    return Plan(k, tol, block, columns, products or 40 * k + 2000, images)


def block_size(k: int, device: torch.device) -> int:
    """Columns of a step. Narrow blocks need fewer products, wide ones keep a GPU busy.

    Measured on the Jacobians of AlexNet and SqueezeNet, top 50 and top 200, on a CPU: 2 columns
    take a fifth less products than 8; 4 cost less to orthogonalise where the basis is long.
    """
    if device.type != "cpu":
        return BLOCK
    return 2 if k <= 100 else 4


def true_residuals(
    measure: Callable[[Tensor], Tensor], r: Tensor, k: int, bound: float, every: bool = False
) -> tuple[Tensor, int]:
    """Recurrence residuals ``r`` held against measured ones of up to three vectors.

    Where they differ by more than ``bound``, or ``every`` is set, all are measured. Returns the
    residuals and how many vectors were multiplied.
    """
    probe = torch.tensor(sorted({0, k // 2, k - 1}), device=r.device)
    measured = measure(probe)
    rounding = float((measured - r[probe]).clamp_min(0).max())
    if every or rounding > bound:
        return measure(torch.arange(k, device=r.device)), len(probe) + k
    r = r + rounding
    r[probe] = measured
    return r, len(probe)
