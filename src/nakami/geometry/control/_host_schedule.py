"""A training's own schedulers: they see the rates that they wrote, and multiply ours."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from ..rate._schedule import on


def read(optimizer: Optimizer) -> list[float]:
    """The rates of the groups."""
    return [float(group["lr"]) for group in optimizer.param_groups]


def write(optimizer: Optimizer, rates: Sequence[float]) -> None:
    """Set the rates of the groups, in place where they are tensors."""
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def schedulers_of(optimizer: Optimizer) -> list[LRScheduler]:
    """Schedulers that were built on an optimizer and are still in use.

    An optimizer does not know them, so that what refers to it is looked through.
    """
    holding = gc.get_referrers(optimizer)
    wrapped = [each for each in holding if issubclass(type(each), Optimizer)]  # as accelerate does
    holding += gc.get_referrers(*wrapped) if wrapped else []
    fields = [each for each in holding if type(each) is dict and "optimizer" in each]
    if fields:  # attributes that are kept in a dictionary
        holding += gc.get_referrers(*fields)
    found = {id(each): each for each in holding if issubclass(type(each), LRScheduler)}
    return [each for each in found.values() if on(optimizer, each)]


class HostSchedule:
    """Schedulers of torch on an optimizer whose rates are another's.

    While one of them steps, the groups hold the rates it would have had alone, whichever way it
    computes the next ones; afterwards those that are used, which ``get_last_lr`` gives, too.

    Attributes:
        own: Rates of the groups as the schedulers alone would have them.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: Sequence[Any],
        tops: Sequence[float],
        counted: bool,
        put: Callable[[], None],
    ):
        """``put`` writes the rates that are used; ``counted``: whether factors are other than 1."""
        self.optimizer, self.schedulers, self.own = optimizer, list(schedulers), read(optimizer)
        self._tops, self._counted, self._put, self._depth = list(tops), counted, put, 0
        for scheduler in self.schedulers:
            scheduler.__class__ = self._watched(type(scheduler))

    @property
    def factors(self) -> list[float]:
        """What each group's rate is multiplied by."""
        if not self._counted:
            return [1.0] * len(self.own)
        return [own / top if top else 1.0 for own, top in zip(self.own, self._tops, strict=True)]

    def tell(self) -> None:
        """Let ``get_last_lr`` give the rates that are used."""
        for scheduler in self.schedulers:
            if hasattr(scheduler, "_last_lr"):
                scheduler._last_lr = read(self.optimizer)

    def release(self) -> None:
        """Give the schedulers their classes back, and the rates that are theirs."""
        for scheduler in self.schedulers:
            if hasattr(type(scheduler), "unwatched"):
                scheduler.__class__ = type(scheduler).unwatched

    def _watched(self, kind: type) -> type:
        """A class like it: what is set on a scheduler itself would enter its ``state_dict``."""
        host = self

        def step(scheduler: Any, *args: Any, **kwargs: Any) -> Any:
            if host._depth == 0:  # SequentialLR steps its parts
                write(host.optimizer, host.own)
            host._depth += 1
            try:
                done = kind.step(scheduler, *args, **kwargs)  # type: ignore[attr-defined]
            finally:
                host._depth -= 1
            if host._depth == 0:
                host.own = read(host.optimizer)
                host._put()
            return done

        own = {"step": step, "unwatched": kind, "__module__": kind.__module__}
        return type(kind.__name__, (kind,), own)
