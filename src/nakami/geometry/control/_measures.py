"""When a training's stability is measured, and how many measures it takes to lower the rate."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ...results import check_at_least, check_budget, check_seed, is_number, wrong
from ..rate._trials import PRODUCT
from ._sharpness import WARM

LEAVE_OUT = "leave it out for the default"


@dataclass(frozen=True)
class Measures:
    """When ``RateControl`` measures, at which cost, and how many measures a lowering takes.

    Args:
        budget: Share of the training's gradient evaluations to spend on measures, from 0 to below
            1; 0 measures nothing and never lowers.
        every: Steps between measures without suspicion; default what half the budget allows.
        settle: Steps between measures of one suspicion, and after a lowering.
        patience: Measures beyond the limit before the rate is lowered.
        batch_size: Examples in one optimizer step (all micro-batches, all processes); default as
            many as ``data`` holds.
        seed: Of the random part of the search; the global random state is not touched.
        memory_budget: Bytes that the network's states may take during a measure; default 1 GiB.

    Raises:
        UsageError: An argument out of range.
    """

    budget: float = 0.05
    every: int | None = None
    settle: int = 5
    patience: int = 3
    batch_size: int | None = None
    seed: int = 0
    memory_budget: int | None = None

    def __post_init__(self) -> None:
        budget = self.budget
        if isinstance(budget, bool) or not is_number(budget) or not 0 <= budget < 1:
            raise wrong("budget", "be a share from 0 to below 1", repr(budget), "pass budget=0.05")
        object.__setattr__(self, "budget", float(budget))
        for name in ("every", "settle", "patience", "batch_size"):
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, check_at_least(name, value, 1, LEAVE_OUT))
        object.__setattr__(self, "seed", check_seed(self.seed))
        check_budget(self.memory_budget)

    def interval(self, worth: float, steps: int) -> int:
        """Steps between measures without suspicion.

        Args:
            worth: Examples of an optimizer step over those of a measure.
            steps: Planned, and the answer where there is no budget.
        """
        least = PRODUCT * WARM / worth / self.budget if self.budget else math.inf
        if self.every is not None and self.every < least:
            rule = f"be at least {least:.0f} within budget={self.budget:g}"
            raise wrong("every", rule, self.every, ["raise {budget}", "raise {every}"])
        return self.every or (math.ceil(2 * least) if self.budget else steps)


DEFAULT = Measures()
