"""When a training's stability is measured, and how many measures it takes to lower the rate."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ...results import check_at_least, check_budget, check_seed, counted, is_number, wrong
from ..rate._trials import PRODUCT
from ._sharpness import COLD, WARM

END = 20  # the last measure comes when a share of 1 / END of the steps is left
FEW = 3  # measures below which a training is told so
LEAVE_OUT = "leave it out for the default"


@dataclass(frozen=True)
class Measures:
    """When ``RateControl`` measures, at which cost, and how many measures a lowering takes.

    Args:
        budget: Share of the training's gradient evaluations to spend on measures, from 0 to below
            1; 0 measures nothing and never lowers.
        every: Steps between measures without suspicion; default what half the budget allows, and
            one near the end. Short trainings are measured at start, middle and end.
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

    def marks(self, worth: float, steps: int, warmup: int) -> tuple[int, ...]:
        """Steps of a calm training at which to measure.

        In the middle of the warm-up and at its end, then in equal distances and near the end of the
        training. Where the budget does not hold all of these, as many as it holds, the most
        telling: the start, the middle and the end; of two the end of the warm-up and the middle.
        """
        whole, every = self.budget * worth * steps, self.interval(worth, steps)
        able = math.floor((whole - PRODUCT * COLD) / (PRODUCT * WARM) + 1e-9) + 1
        start, warm, last = max(1, warmup // 2), warmup + 1, steps - steps // END
        if self.every is not None or not self.budget:
            return tuple(sorted({start, warm, *range(warm + every, steps + 1, every)}))
        regular = tuple(sorted({start, warm, *range(warm + every, last, every), last}))
        if len(regular) <= able and warm < last:
            return regular
        warm = min(warm, last)
        if able < FEW:
            return (warm, (warm + last) // 2)[: max(0, able)]
        inner = max(1, able - 2)
        return tuple(sorted({start + (last - start) * i // (inner + 1) for i in range(inner + 2)}))

    def why_few(self, marks: tuple[int, ...], worth: float, steps: int) -> str:
        """Why a training is measured less than at its start, middle and end; empty where it is."""
        if len(marks) >= FEW or not self.budget or self.every is not None or steps < FEW:
            return ""
        need = PRODUCT * (COLD + (FEW - 1) * WARM)
        share = math.ceil(100 * need / (worth * steps)) / 100
        said = (
            f"RateControl measures {counted(len(marks), 'time')} in {counted(steps, 'step')}, "
            f"not at start, middle and end: that would take {need:.3g} gradients, and "
            f"budget={self.budget:g} allows {self.budget * worth * steps:.2g}; "
        )
        if share < 1:
            return said + f"pass measures=Measures(budget={share:g})"
        return said + "a measure costs more than this training can pay"


DEFAULT = Measures()
