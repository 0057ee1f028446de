"""The loop of all Krylov methods: expand, look, certify what is left, say how it ended."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...results import Outcome, SpectrumEnding, looked
from ._certificate import DELTA, Form, Wanted, upper_bounds
from ._complement import Asked, Outside, outside
from ._decomposition import KrylovDecomposition
from ._plan import WIDEST, Plan

ROUNDS = 12  # times missed values are taken in before giving up
STEPS = 64  # of a search, at least, while the vectors fit
LAST_STEPS = 16  # of the search that closes a run whose products are spent
PATIENCE = 18  # columns that a run of one column may take to be sure by its own first vector


class DenseIsCheaper(Exception):
    """More copies of a value than Krylov steps reach at the cost of the dense matrix.

    Attributes:
        spent: Products made so far.
    """

    def __init__(self, spent: int):
        self.spent = spent
        super().__init__(spent)


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
        run: The decomposition, nothing expanded yet.

    Where the run can be ``sure`` by its first vector, a few steps are spent on that before any
    search.
    """

    def __init__(self, run: KrylovDecomposition):
        self.run, self.plan, self.sure = run, run.plan, run.sure
        plan = run.plan
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
            sizes = keys[: plan.k].abs().clamp_min(max(run.floor(keys), 1e-300))
            looked(float((residuals[: plan.k] / sizes).max()))
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
        run, end = self.run, self.run.filled
        product = run.product(side)
        waiting = run.basis[end : end + run.waiting]
        seen = outside(product, run.basis[:end], waiting, form, asked, run.generator)
        run.n_products += run.cost * seen.steps
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


def _far(
    run: KrylovDecomposition, plan: Plan, keys: Tensor, residuals: Tensor, form: Form
) -> float:
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
