"""Seconds of a training, and of what measures it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class Clock:
    """Two stopwatches: one for the training, one for the work that stops it.

    Attributes:
        spent: Seconds of that work.
    """

    def __init__(self, device: torch.device):
        self._device, self.spent, self._trained = device, 0.0, 0.0
        self._since: float | None = None

    def start(self) -> None:
        """Let the training's time run, if it does not."""
        if self._since is None:
            self._since = time.perf_counter()

    def put(self, spent: float, training: float) -> None:
        """Go on from these seconds."""
        self.spent, self._trained = spent, training
        if self._since is not None:
            self._since = time.perf_counter()

    @property
    def training(self) -> float:
        """Seconds of the training since ``start``, the other work left out."""
        now = 0.0 if self._since is None else time.perf_counter() - self._since
        return self._trained + now

    @contextmanager
    def working(self) -> Iterator[None]:
        """The block's time is that of the work; what a GPU has left to do counts as training."""
        self._wait()
        began, self._trained, running = time.perf_counter(), self.training, self._since is not None
        self._since = None
        try:
            yield
        finally:
            self._wait()
            self.spent += time.perf_counter() - began
            if running:
                self.start()

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
