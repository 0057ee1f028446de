"""The loop of all Krylov methods: expand, look, certify what is left, say how it ended."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ...results import Outcome, SpectrumEnding, wrong
from .._operator import LinearOperator
from .._result import nearest_shifts
from ._certificate import DELTA, Form, Wanted, upper_bounds
from ._complement import Asked, Outside

BLOCK = 8  # the widest that a run starts with
WIDEST = 64  # the widest that missed values make it
ROUNDS = 12  # times missed values are taken in before giving up
STEPS = 64  # of a search, at least, while the vectors fit
LAST_STEPS = 16  # of the search that closes a run whose products are spent
PATIENCE = 18  # columns that a run of one column may take to be sure by its own first vector


@dataclass(frozen=True)
class Plan:
    """Sizes of a run.

    Attributes:
        k: Values asked for. tol: their relative error. block: columns of a step.
        columns: Of each basis. room: what they may grow to where blocks have to be wide.
        products: Bound on the whole cost. search: vectors that a search may hold.
        images: Whether a run with one basis keeps the images of its vectors too.
        dense_at: Products from which the dense matrix is cheaper, once values were missed; or None.
    """

    k: int
    tol: float
    block: int
    columns: int
    products: int
    room: int
    search: int
    images: bool = False
    dense_at: int | None = None


class DenseIsCheaper(Exception):
    """More copies of a value than Krylov steps reach at the cost of the dense matrix.

    Attributes:
        spent: Products made so far.
    """

    def __init__(self, spent: int):
        self.spent = spent
        super().__init__(spent)


class Run(Protocol):
    """A growing decomposition. Keys sort the values asked for: the largest key comes first."""

    filled: int
    waiting: int
    columns: int
    n_products: int

    @property
    def full(self) -> bool:
        """Whether the next step does not fit into the basis."""

    def expand(self) -> None:
        """One step."""

    def ritz(self) -> tuple[Tensor, Tensor]:
        """Keys of all Ritz values, descending, and their residuals."""

    def forms(self) -> Sequence[Form]:
        """What is known of the matrix, for each side that counts."""

    def floor(self, keys: Tensor) -> float:
        """The rounding of the values."""

    def limit(self, keys: Tensor) -> float:
        """Residual below which a value counts as settled, however small it is."""

    def restart(self, keep: int) -> None:
        """Thick restart."""

    def widen(self, columns: int) -> None:
        """Let the basis grow to so many columns."""

    def add(self, directions: Tensor) -> None:
        """Let directions join the waiting block; zero rows become random ones."""


Search = Callable[[int, Form, Asked], Outside]
Sure = Callable[[float], bool]


@dataclass(frozen=True)
class Certificate:
    """How a run ended.

    Attributes:
        shifts: ``(k,)``, how far the true keys may lie above those found; infinite where ``sure``
            ended the run, which knows nothing of the others.
        level: As a key: nothing outside the values returned lies above it, but for a chance of
            ``DELTA`` over seeds.
        rest: As a key: the largest value that the complement has shown.
        stopped: Why the run ended early, if it did.
    """

    shifts: Tensor
    level: float
    rest: float
    stopped: Outcome | None


class Driver:
    """Runs a decomposition until all values are settled and certified, or its budget is spent.

    Args:
        run: The decomposition, nothing expanded yet. plan: its sizes.
        search: ``(side, form, asked)``: looks at the complement of the basis from a random vector.
        cost: Products of a step of it.
        sure: Whether no larger key than this one, by some margin, can have been missed, judged from
            the first vector of a run of one column. A few steps are spent on it before any search.
    """

    def __init__(self, run: Run, plan: Plan, search: Search, cost: int, sure: Sure | None = None):
        self.run, self.plan, self.search, self.cost, self.sure = run, plan, search, cost, sure
        self.next_look, self.pace = plan.k + plan.block, Pace()
        self.patience, self.asked = PATIENCE, 0
        self.searches, self.rounds, self.grown = 0, 0, plan.block
        self.least = -math.inf  # levels up to this one have failed

    def converge(self) -> Certificate:
        """The whole run."""
        run, plan = self.run, self.plan
        while True:
            run.expand()
            spent = run.n_products >= plan.products and run.filled >= plan.k
            if not (run.full or spent or run.filled >= self.next_look):
                continue
            keys, residuals = run.ritz()
            if self.sure is not None and not (spent or run.full):
                if self._sure_of(keys, residuals):
                    infinite = torch.full((plan.k,), math.inf, dtype=torch.float64)
                    return Certificate(infinite, math.inf, math.inf, None)
                continue
            ended = self._look(keys, residuals, spent)
            if ended is not None:
                return ended
            if run.full:
                self._restart()

    def _look(self, keys: Tensor, residuals: Tensor, spent: bool) -> Certificate | None:
        """Try to end the run here."""
        run, k = self.run, self.plan.k
        wanted, forms = self._wanted(keys, residuals), run.forms()
        far = _far(run, self.plan, keys, residuals, forms[0])
        self.next_look = run.filled + max(self.plan.block, self.pace.steps(run.filled, far))
        level = None
        if far <= 1 or spent:
            near = [forms[0].level(key) for key in keys[: k + 40].tolist()]
            theta = torch.tensor(near, dtype=torch.float64)
            level = wanted.next_level(forms, theta, self.least)
        if level is None and not spent:
            return None
        level = wanted.close_level(forms[0]) if level is None else level
        last = float(keys[k - 1])
        most = last + float(wanted.allowed[-1])
        seen = [self._searched(i, form, level, most, spent) for i, form in enumerate(forms)]
        gain, held = max(one.gain for one in seen), max(level, *(one.upper for one in seen))
        missed = gain > forms[0].level(most)
        settled = wanted.distance(forms, held) <= 1 and not missed
        if settled or spent or (missed and self.rounds == ROUNDS):
            rest = forms[0].key(gain)
            shifts = (upper_bounds(forms, held, k) - wanted.keys).clamp_min(0)
            why = self._why(settled, spent, rest)
            return Certificate(shifts, forms[0].key(held), rest, why)
        if missed or run.full:
            self._take_in(seen, last, missed)
        else:
            self.least = max(level, gain)
            self.next_look = run.filled + 2 * run.waiting
        return None

    def _searched(self, side: int, form: Form, level: float, most: float, spent: bool) -> Outside:
        self.searches += 1
        delta = DELTA / (self.searches * (self.searches + 1))  # all together at most DELTA
        steps = min(max(STEPS, self.run.n_products // 4), self.plan.search)
        asked = Asked(level, form.level(most), delta, LAST_STEPS if spent else steps, patient=spent)
        seen = self.search(side, form, asked)
        self.run.n_products += self.cost * seen.steps
        return seen

    def _why(self, settled: bool, spent: bool, gain: float) -> Outcome | None:
        if settled:
            return None
        if spent:
            return Outcome(SpectrumEnding.UNCHECKED, {"products": self.run.n_products})
        return Outcome(SpectrumEnding.MISSED, {"missed": gain})

    def _wanted(self, keys: Tensor, residuals: Tensor) -> Wanted:
        floor, k, limit = self.run.floor(keys), self.plan.k, self.run.limit(keys)
        size = keys[:k].abs()
        allowed = self.plan.tol * size
        allowed = torch.where(residuals[:k] < limit, allowed.clamp_min(limit), allowed)
        allowed = torch.where(size > floor, allowed, floor).clamp_min(1e-90)
        return Wanted(keys[:k], allowed, floor)

    def _sure_of(self, keys: Tensor, residuals: Tensor) -> bool:
        """Whether the only value is settled and none beyond it can have been missed."""
        run, last = self.run, float(keys[0])
        size = max(abs(last), run.floor(keys), 1e-300)
        if float(residuals[0]) > self.plan.tol * size and float(residuals[0]) >= run.limit(keys):
            far = float(residuals[0]) / (self.plan.tol * size)
            self.next_look = run.filled + max(1, self.pace.steps(run.filled, far))
            return False
        assert self.sure is not None
        if self.sure(last):
            return True
        self.patience -= run.filled - self.asked if self.asked else 0
        self.asked, self.next_look = run.filled, run.filled + 1
        if self.patience <= 0:
            self.sure = None
        return False

    def _take_in(self, seen: Sequence[Outside], last: float, missed: bool) -> None:
        """Restart with what a search found; after missed values with twice as wide a block."""
        run, plan = self.run, self.plan
        form = run.forms()[0]
        near = form.level(last - 0.02 * abs(last))
        more = torch.cat([one.directions[: max(1, int((one.ritz > near).sum()))] for one in seen])
        if missed:
            self.rounds, self.sure = self.rounds + 1, None
            width = min(max(2 * run.waiting, self.grown), WIDEST)
            if plan.dense_at is not None and run.n_products + 40 * width >= plan.dense_at:
                raise DenseIsCheaper(run.n_products)
            width = min(width - run.waiting, max(run.columns, plan.room) // 10)
            more = torch.cat([more, more.new_zeros(max(0, width - len(more)), more.shape[1])])
        self._restart()
        run.add(more[: max(1, WIDEST - run.waiting)])
        run.widen(min(plan.room, plan.columns + 8 * run.waiting))
        self.grown = max(self.grown, run.waiting)
        self.next_look = run.filled + 2 * run.waiting

    def _restart(self) -> None:
        """Thick restart: k Ritz vectors and a third of the room beyond them stay."""
        run, k = self.run, self.plan.k
        run.restart(min(run.filled, k + max(0, run.columns - k - 14) // 3))
        self.sure, self.least = None, -math.inf  # what they say holds for the basis before
        self.next_look = run.filled + 2 * run.waiting


def _far(run: Run, plan: Plan, keys: Tensor, residuals: Tensor, form: Form) -> float:
    """About the largest error of the first k values over what is allowed: when to look again."""
    last = float(keys[plan.k - 1])
    floor = run.floor(keys)
    # The smallest values settle early too, and may be the k-th while the basis is short.
    if form.key(form.outlook) > last + plan.tol * abs(last) + floor:
        return math.inf
    s, r = keys[: plan.k], residuals[: plan.k]
    gaps = (s - last + 0.1 * abs(last)).clamp_min(1e-300)
    errors = r.minimum(r.square() / gaps)
    allowed = plan.tol * s.abs().clamp_min(floor).clamp_min(1e-300)
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
    wanted = min(max(5 * k // 2, k + 96), small - block - 6)
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
    each = small * item if sides == "one" and not images else both
    able = held // each - k - WIDEST
    room = max(columns, min(columns + 8 * WIDEST, able, small - WIDEST))
    search = max(2 * BLOCK, (held - (columns + k) * each) // (small * item))
    return Plan(k, tol, block, columns, products or 40 * k + 2000, room, search, images)


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


def with_excess(ended: Certificate, keys: Tensor, recurrence: Tensor, measured: Tensor) -> Tensor:
    """Shifts with what the measured residuals have beyond those of the recurrence, ``(k,)``.

    The recurrence is exact for a matrix moved by that excess ``e``: a value moves by at most ``e``,
    and by ``e^2 / gap`` where it stands that far above what the complement has shown.
    """
    if math.isinf(ended.level):
        return measured.clone()
    excess = (measured - recurrence).clamp_min(0)
    return ended.shifts + nearest_shifts(excess, keys - ended.rest)
