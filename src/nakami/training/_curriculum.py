"""Any method, with examples that come in from the easy ones on (or in another order)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, final

import torch
from torch import Tensor

from nakami.results import check_at_least, check_choice, check_fraction, wrong, wrong_type

from ._method import Descend, Method
from ._wrapped import Wrapped

Order = Literal["easy", "hard", "random"]
ORDERS = ("easy", "hard", "random")


@final
class Curriculum(Wrapped):
    """A method whose examples come in one after the other, at as many updates as without.

    At progress ``l`` from 0 to 1 an example has the weight ``W_l``, 1 if it is among the first
    ``first + (1 - first) l`` of all in the chosen order, else 0; the rows of an epoch are drawn
    from ``Q_l = W_l / sum W_l``. Each weight never falls and the entropy of ``Q_l`` grows, as
    Bengio et al. ask of a curriculum. An epoch has as many rows and mini-batches as any: those that
    are in are dealt again and again in new orders, so that their numbers differ by 1 at most.

    Args:
        method: Any whose mini-batches may be drawn in any order.
        difficulty: ``(N,)``, of each row of the data; equal ones come in in the order of the rows.
        epochs: Until all are in: epoch i, counted from 0, runs at ``l = min(1, i / epochs)``.
        first: Share of the rows that the first epoch has, above 0 and below 1.
        order: ``"easy"`` ones first, ``"hard"`` ones first (an anti-curriculum), or ``"random"``,
            the control that has as few different rows at a time.

    Source: Bengio, Louradour, Collobert & Weston, "Curriculum learning", ICML 2009, section 3.
    """

    def __init__(
        self,
        method: Method,
        difficulty: Tensor,
        epochs: int,
        *,
        first: float = 0.3,
        order: Order = "easy",
    ):
        super().__init__(method)
        if method.in_order:
            rule, got = "take its rows in any order", type(method).__name__
            raise wrong("method", rule, got, "pass one with in_order = False")
        given: object = difficulty
        if not isinstance(given, Tensor):
            rule, got = "be a tensor, a number for each row", type(difficulty).__name__
            raise wrong_type("difficulty", rule, got, "pass torch.tensor(difficulty)")
        if difficulty.ndim != 1 or not len(difficulty) or not torch.isfinite(difficulty).all():
            got = f"NaN, infinity, or shape {tuple(difficulty.shape)}"
            rule = "be finite, a number for each row"
            raise wrong("difficulty", rule, got, "leave those rows out")
        check_fraction("first", first, "use 0.3")
        check_choice("order", order, ORDERS, 'use "easy"')
        self._epochs = check_at_least("epochs", epochs, 0, "pass half of those of the training")
        self._difficulty, self._first, self.order = difficulty.detach().cpu(), float(first), order
        self._order: Tensor | None = None  # of the rows, first to come in first
        self._rows: Tensor | None = None  # of this epoch, those that are left
        self._progress = 0.0

    def weights(self, progress: float) -> Tensor:
        """``W_l``, ``(N,)``, zeros and ones; of a random order once the training has begun."""
        rows = self._order if self._order is not None else self._sorted(None)
        n = len(rows)
        share = self._first + (1 - self._first) * min(1.0, max(0.0, progress))
        found = torch.zeros(n)
        found[rows[: max(1, min(n, round(n * share)))]] = 1
        return found

    def start(self, data: Sequence[Tensor], generator: torch.Generator) -> None:
        """Keep the data, settle the order."""
        if len(data[0]) != len(self._difficulty):
            rule = f"have a number for each of the {len(data[0])} rows"
            raise wrong("difficulty", rule, len(self._difficulty), "pass that of the same data")
        self._data, self._generator = data, generator
        self.method.start(data, generator)
        self._order = self._sorted(generator)

    def epoch(self, index: int) -> None:
        """Let in those of this epoch."""
        self._progress = index / self._epochs if index < self._epochs else 1.0
        self._rows = None  # drawn in the first step, behind whatever else draws before it
        self.method.epoch(index)

    def step(self, batch: Sequence[Tensor], descend: Descend) -> Tensor:
        """As the method does, with as many of the rows that are in."""
        if self._rows is None:
            self._rows = self._dealt()
        n = len(batch[0])
        rows, self._rows = self._rows[:n], self._rows[n:]
        chosen = [
            part[rows].to(given.device) for part, given in zip(self._data, batch, strict=True)
        ]
        return self.method.step(chosen, descend)

    def state_dict(self) -> dict[str, Any]:
        """The order, and what the method carries."""
        return {"order": self._order, "method": self.method.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take both up."""
        self._order = state["order"]
        self.method.load_state_dict(state["method"])

    def _sorted(self, generator: torch.Generator | None) -> Tensor:
        """Rows in the order in which they come in."""
        if self.order == "random":
            if generator is None:
                return torch.arange(len(self._difficulty))
            at = generator.device
            return torch.randperm(len(self._difficulty), generator=generator, device=at).cpu()
        return self._difficulty.argsort(stable=True, descending=self.order == "hard")

    def _dealt(self) -> Tensor:
        """As many rows as there are, of those that are in, dealt in turns."""
        rows = self.weights(self._progress).nonzero()[:, 0]
        n, g = len(self._difficulty), self._generator
        rounds = [torch.randperm(len(rows), generator=g, device=g.device).cpu()
                  for _ in range(-(-n // len(rows)))]  # fmt: skip
        return rows[torch.cat(rounds)[:n]]
