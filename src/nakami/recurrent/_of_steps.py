"""What hangs on the steps of an optimizer: skipped steps, and how it is taken off."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from torch.optim import Optimizer


class OfSteps(ABC):
    """Hooked onto an optimizer's steps; a ``with`` block takes it off at its end."""

    @abstractmethod
    def remove(self) -> None:
        """Take it off."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.remove()


def skipped(optimizer: Optimizer) -> bool:
    """Whether the step that just ended was a fused one that a gradient scaler left out.

    Other implementations of a step are not called then.
    """
    found = getattr(optimizer, "found_inf", None)
    return found is not None and bool(found)
