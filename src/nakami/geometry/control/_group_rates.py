"""The rates of an optimizer's groups, scaled together."""

from __future__ import annotations

from torch import Tensor
from torch.optim import Optimizer

from ...results import wrong


class GroupRates:
    """Sets the rates of all groups at once and keeps their ratios.

    Attributes:
        ratios: Rates over the largest, as they were at the start.
        last: Rate of the fastest group that was set last, as the optimizer holds it.
    """

    def __init__(self, optimizer: Optimizer):
        self.optimizer = optimizer
        rates = self._rates()
        self.ratios = tuple(rate / max(rates) for rate in rates)
        self.last, self._given = max(rates), rates

    def set(self, rate: float) -> None:
        """Give the fastest group this rate, and the others in proportion."""
        for group, ratio in zip(self.optimizer.param_groups, self.ratios, strict=True):
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate * ratio)
            else:
                group["lr"] = rate * ratio
        self._given = self._rates()
        self.last = self._given[self.ratios.index(max(self.ratios))]

    def check(self) -> None:
        """Refuse groups or rates that other code has changed."""
        seen = self._rates()
        if len(seen) != len(self._given):
            rule = f"keep its {len(self._given)} parameter groups"
            raise wrong("optimizer", rule, len(seen), "make a new RateControl for it")
        for now, given in zip(seen, self._given, strict=True):
            if now != given:
                rule, way_out = "keep the rates it is given", "drop its scheduler, pass schedule="
                raise wrong("optimizer", rule, f"lr {now:g} where {given:g} was set", way_out)

    def _rates(self) -> list[float]:
        return [float(group["lr"]) for group in self.optimizer.param_groups]
