"""The rates of an optimizer's groups, scaled together."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch.optim import Optimizer

from ...results import counted, wrong
from ..rate._optimizers import rates
from ..rate._schedule import peaks
from ._host_schedule import HostSchedule, read, write


class GroupRates:
    """Sets the rates of all groups at once and keeps their ratios.

    Attributes:
        ratios: Rates over the largest, as they were at the start; with schedulers those that they
            are factors of.
        host: The schedulers whose factors multiply, or None.
        made: Rates of the last step that the optimizer made.
    """

    def __init__(self, optimizer: Optimizer, schedulers: Sequence[Any] = (), factors: bool = True):
        """``factors``: whether the schedulers' factors count; else their rates are overwritten."""
        self.optimizer, self.host, self._hook = optimizer, None, None
        self._released = False
        given, tops = read(optimizer), rates(optimizer)
        if schedulers:
            tops = peaks(optimizer, schedulers)
        if not max(tops) > 0:
            way_out = "build it with lr=1.0, of which only the ratios between groups count"
            raise wrong("optimizer", "have a learning rate above 0", f"{max(tops):g}", way_out)
        if schedulers:
            self.host = HostSchedule(optimizer, schedulers, tops, factors, self._put)
            given = tops
            write(optimizer, tops)  # a schedule may begin at 0; ratios are what counts
            own = weakref.ref(self)

            def remember(*_: Any) -> None:
                if (alive := own()) is not None:
                    alive.made = read(alive.optimizer)

            self._hook = optimizer.register_step_post_hook(remember)
        self.ratios = tuple(rate / max(tops) for rate in tops)
        self.made = self._given = given
        self._rate = max(tops)

    @property
    def last(self) -> float:
        """Rate of the fastest group in the last step."""
        return self.made[self._fastest]

    @property
    def factor(self) -> float:
        """What the schedulers multiply the rate of the fastest group by, in the next step."""
        return 1.0 if self.host is None else self.host.factors[self._fastest]

    def set(self, rate: float) -> None:
        """Give the fastest group this rate, times its schedulers' factor, others in proportion."""
        self._check_in_use()
        self._rate = rate
        self._put()
        if self.host is None:
            self.made = self._given

    def check(self) -> None:
        """Refuse groups or rates that other code has changed, and any after ``release``."""
        self._check_in_use()
        seen = read(self.optimizer)
        if len(seen) != len(self._given):
            rule = f"keep its {counted(len(self._given), 'parameter group')}"
            raise wrong("optimizer", rule, len(seen), "make a new RateControl for it")
        for now, given in zip(seen, self._given, strict=True):
            if now != given:
                rule = "keep the rates it is given"
                ways = ["build its scheduler before the RateControl", "pass schedule=scheduler"]
                raise wrong("optimizer", rule, f"lr {now:g} where {given:g} was set", ways)

    @contextmanager
    def as_made(self) -> Iterator[None]:
        """The groups with the rates of the last step."""
        write(self.optimizer, self.made)
        try:
            yield
        finally:
            write(self.optimizer, self._given)

    def release(self) -> None:
        """Give the schedulers back, and their rates to the optimizer; once."""
        if self._released:
            return
        self._released = True
        if self.host is not None:
            self.host.release()
            if read(self.optimizer) == self._given:  # no other training has begun with it
                write(self.optimizer, self.host.own)
        if self._hook is not None:
            self._hook.remove()

    def _check_in_use(self) -> None:
        if self._released:
            way_out = "build a new one"
            raise wrong("the RateControl", "be in use", "one after release()", way_out)

    @property
    def _fastest(self) -> int:
        return self.ratios.index(max(self.ratios))

    def _put(self) -> None:
        """Write the rates; called by the schedulers too, once they have new factors."""
        factors = [1.0] * len(self.ratios) if self.host is None else self.host.factors
        rates = [self._rate * ratio * f for ratio, f in zip(self.ratios, factors, strict=True)]
        write(self.optimizer, rates)
        self._given = read(self.optimizer)
        if self.host is not None:
            self.host.tell()
