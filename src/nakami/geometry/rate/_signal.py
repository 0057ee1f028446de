"""Whether gradients of batches agree: whether there is something to learn, as far as they show."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ...operators import LiveLoss, Piece, random_states_kept
from ...results import Outcome
from .._outcomes import AdviceNote
from ._kinds import dense, real
from ._trials import GRADIENT

LEAST, ENOUGH = 4, 16  # groups of examples: fewer show nothing, more are not needed
CUT = 10  # groups to cut fewer batches into
SAMPLES = 8  # of a group, at least: their own best constant is taken off
SEEN, SHARE = 3.0, 0.85  # from which it counts as seen: or this share of the most it can be
MEMORY = 2**30  # bytes of gradients to hold
KNOWS = 0.7  # share of a constant output's loss below which a network knows something already


@dataclass(frozen=True)
class Signal:
    """How far gradients of batches agree.

    Attributes:
        statistic: The largest over weight matrices of ``sum(G_ij) / sqrt(sum(G_ij^2))``, sums over
            pairs of groups of examples, ``G_ij`` products of their gradients: about normal where
            they have nothing in common, and the root of the number of pairs where they are alike.
        groups: How many: batches, parts of few, or some small ones together.
        n_batches: Read for it. cost: in gradients.
        of_constant: Whether the gradients are those at the best constant output, which ask whether
            targets go with inputs; else those of the loss, which ask whether it can fall.
    """

    statistic: float
    groups: int
    n_batches: int
    cost: float
    of_constant: bool

    @property
    def seen(self) -> float:
        """From where on a common direction counts as seen."""
        return min(SEEN, SHARE * math.sqrt(self.groups * (self.groups - 1) / 2))

    @property
    def note(self) -> Outcome | None:
        """What speaks against an advice; None where a common direction is seen."""
        if self.statistic >= self.seen:
            return None
        kind = AdviceNote.NO_LINK if self.of_constant else AdviceNote.SETTLED
        return Outcome(
            kind, {"batches": self.n_batches, "statistic": self.statistic, "seen": self.seen}
        )


def signal(live: LiveLoss, seed: int, most: float, known: float | None = None) -> Signal | None:
    """By as many batches as there are and a number of gradients allows; None where too few.

    The model stays as it is; dropout draws by ``seed``. ``known``: its loss, where that is less
    than a constant output's the loss's own gradients are read.
    """
    groups = _groups(live, most, CUT)
    if len(groups) < LEAST:
        return None
    constant = live.constant()
    learned = constant is not None and known is not None and 0 <= known < KNOWS * constant
    seen = dict(live.seen)
    try:
        found = _read(live, groups, seed, learned)
    except Exception:  # a model may want batches of one size, or targets in another order
        live.seen = seen
        groups = _groups(live, most, 1)
        if len(groups) < LEAST:
            return None
        found = _read(live, groups, seed, learned)
    return found


def _read(live: LiveLoss, groups: list[list[Piece]], seed: int, learned: bool) -> Signal | None:
    """By the gradients of these groups, at the best constant output unless it has ``learned``.

    Groups without targets, or with a gradient that is not finite, say nothing; None where too few
    are left.
    """
    model = live.copy()
    own = list(live.parameters(model).values())
    rows = list[tuple[Tensor, ...]]()
    with random_states_kept(live.device, seed), torch.enable_grad():
        for group in groups:
            value = None if learned else live.away(model, group)
            if value is None and rows and not learned:
                continue  # these alone have no such output: their targets may be left out
            learned = learned or value is None
            if value is None:
                value = live.over(model, group)
            found = torch.autograd.grad(value, own, allow_unused=True, materialize_grads=True)
            row = tuple(dense(slope.detach()) for slope in found)
            if any(map(live.has_targets, group)) and all(bool(s.isfinite().all()) for s in row):
                rows.append(row)
    if len(rows) < LEAST:
        return None
    made = len({piece.i for group in groups for piece in group})
    return Signal(_agreement(rows), len(rows), made, made * GRADIENT, not learned)


def _groups(live: LiveLoss, most: float, cut: int) -> list[list[Piece]]:
    """Examples apart: batches, some together where they are small.

    Fewer than ``cut`` are cut into so many, of two examples at least.
    """
    size = sum(p.numel() * p.element_size() for p in live.parameters().values())
    room = MEMORY // max(1, size)  # gradients that can be held
    samples = max(1, live.samples(0))
    each = math.ceil(SAMPLES / samples)  # batches of a group
    wanted = max(0, min(ENOUGH, int(most / GRADIENT / each), room))
    if wanted:
        live.batch(wanted * each - 1)
    count = min(wanted, live.n_batches // each)
    if each > 1:
        starts = range(0, count * each, each)
        return [[p for k in range(i, i + each) for p in live.pieces(k, 1)] for i in starts]
    most_parts = min(samples // SAMPLES, live.batch(0)[0].count // 2, room // max(1, count))
    parts = min(math.ceil(cut / max(1, count)), most_parts)
    return [[piece] for i in range(count) for piece in live.pieces(i, parts)]


def _agreement(rows: list[tuple[Tensor, ...]]) -> float:
    """The largest statistic of a weight matrix; of any parameter where there is no matrix."""
    shapes = [part.ndim for part in rows[0]]
    which = [k for k, ndim in enumerate(shapes) if ndim > 1] or list(range(len(shapes)))
    return max((_statistic([real(row[k]).reshape(-1) for row in rows]) for k in which), default=0.0)


def _statistic(gradients: list[Tensor]) -> float:
    """Of one parameter; 0 where its gradients are."""
    stacked = torch.stack(gradients).double()
    products = (stacked @ stacked.T).triu(1)
    spread = float(products.square().sum().sqrt())
    return float(products.sum()) / spread if 0 < spread < math.inf else 0.0
