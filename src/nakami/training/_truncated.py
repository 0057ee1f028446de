"""Back-propagation through time, cut after some steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, final

import torch
from torch import Tensor
from torch.optim import Optimizer

from nakami.results import check_at_least, is_number, wrong

from ._method import Descend, Method


class Unrolled(Protocol):
    """A recurrent module that goes through sequences and gives outputs and states."""

    def unroll(self, inputs: Tensor, states: Tensor, /) -> tuple[Tensor, Tensor]:
        """Outputs ``(N, T, ...)`` of inputs ``(N, T, ...)``; states ``(N, S)`` before, after."""
        ...

    def start(self, n: int) -> Tensor:
        """States ``(n, S)`` to begin with."""
        ...


@final
class TruncatedBPTT(Method):
    """Gradient descent on sequences, whose gradients go back a few steps only.

    The rows of the data are steps in time, ``(steps, N, ...)``, of N sequences side by side; a
    mini-batch is as many steps in order. States are carried on from one to the next, without a
    gradient; each epoch begins with ``start``.

    Without ``window`` gradients go back to the first step of a mini-batch: an output late in it
    sees more of the past than an early one. With it the gradient of every output goes back so many
    steps, its own counted, also into the mini-batch before (Mikolov's way), which costs that many
    times as much. Where a mini-batch is all of the data, and ``window`` its length, both are the
    whole gradient.

    Args:
        module: Has ``unroll`` and ``start``, as ``Unrolled`` says.
        optimizer: Of its parameters.
        loss: ``loss(outputs, targets)``, a mean over ``(N, T)``; default the module's own.
        window: Steps that the gradient of each output goes back; None: to the mini-batch's start.
        most: Longest gradient; a longer one is shortened to it. None: as it is.
        loss_name: As for ``Method``.

    Source: Werbos 1990; Mikolov et al., "Extensions of recurrent neural network language model",
    ICASSP 2011; Pascanu et al., ICML 2013 (``most``).
    """

    in_order = True

    def __init__(
        self,
        module: Any,
        optimizer: Optimizer,
        loss: Callable[[Tensor, Tensor], Tensor] | None = None,
        *,
        window: int | None = None,
        most: float | None = None,
        loss_name: str = "cross-entropy, nats",
    ):
        self.module, self.optimizer, self.loss_name = module, optimizer, loss_name
        self._net: Unrolled = module
        self.loss = module.loss if loss is None else loss
        self.window = window if window is None else check_at_least("window", window, 1, "use 5")
        self._states: Tensor | None = None
        self._before: list[tuple[Tensor, Tensor]] = []  # last inputs, and the states before them
        if most is not None:
            if not (is_number(most) and most > 0):
                raise wrong("most", "be a number above 0", repr(most), "use 1.0")
            parameters = list(module.parameters())
            optimizer.register_step_pre_hook(lambda *_: shorten(parameters, most))

    def optimizers(self) -> Sequence[Optimizer]:
        """The one."""
        return (self.optimizer,)

    def epoch(self, index: int) -> None:
        """Begin all sequences anew."""
        self._states, self._before = None, []

    def step(self, batch: Sequence[Tensor], descend: Descend) -> Tensor:
        """One update by the steps of a mini-batch."""
        x, y = (part.transpose(0, 1) for part in batch)
        states = self._net.start(len(x)).detach() if self._states is None else self._states
        if self.window is None:
            outputs, after = self._net.unroll(x, states)
            self._states = after.detach()
        else:
            outputs = self._every(x, states, self.window)
        return descend(self.loss(outputs, y), self.optimizer)

    def _every(self, x: Tensor, states: Tensor, window: int) -> Tensor:
        """Outputs ``(N, T, ...)``, each with a graph of ``window`` steps."""
        new = x.shape[1]
        for step in range(new):
            now = x[:, step : step + 1]
            self._before.append((now, states))
            with torch.no_grad():
                states = self._net.unroll(now, states)[1]
        self._states = states
        inputs = torch.cat([now for now, _ in self._before], 1)
        starts = torch.stack([before for _, before in self._before], 1)
        short = min(window - 1, inputs.shape[1])  # so early that the start is in sight
        whole = inputs.shape[1] - short
        found = []
        if new > whole:
            early, _ = self._net.unroll(inputs[:, :short], starts[:, 0])
            found.append(early[:, short - (new - whole) :])
        if whole:
            many = min(whole, new)
            first = whole - many
            parts = [inputs[:, first + i : first + i + many] for i in range(window)]
            rows = torch.stack(parts, 2).flatten(0, 1)
            begin = starts[:, first : first + many].flatten(0, 1)
            late, _ = self._net.unroll(rows, begin)
            found.append(late[:, -1].unflatten(0, (len(x), many)))
        self._before = self._before[-(window - 1) :] if window > 1 else []
        return torch.cat(found, 1)


def shorten(parameters: Iterable[Tensor], most: float) -> None:
    """Scale the gradient of all parameters together so that it is no longer than ``most``."""
    torch.nn.utils.clip_grad_norm_(parameters, most)
