"""A warning before the gradients of a recurrent net explode."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ...operators import unwrapped_optimizer
from ...results import (
    check_at_least,
    check_callable,
    check_state,
    counted,
    is_number,
    warn,
    wrong,
    wrong_type,
)
from .._of_steps import OfSteps, skipped
from ._backward_growth import backward_growth
from ._episodes import Episodes, ExplosionReading
from ._matrices import recurrent_matrices
from ._witness import Witness

SCHEMA = 1
UPDATE = 0.12  # set on seeds 100 to 104 of reproductions/explosion_monitor.py
KEPT = 1000  # readings in the history
EXAMPLES = 4


class ExplosionMonitor(OfSteps):
    """Watches the steps of an optimizer and warns before a recurrent net's gradients explode.

    After each ``optimizer.step()`` it reads how far every recurrent matrix (``weight_hh``) has
    moved, over the norm of the matrix: the *relative update*. Above ``limit`` it warns, once for
    each episode: an episode ends after 20 steps below. It never changes the training. A step that a
    gradient scaler skips is not read.

    Of 16 signals that were compared (sigma_1, spectral radius, backward growth, gradient norm, ...)
    this one warned of most explosions: docs/recurrent.md has the shares, leads and false alarms. It
    sees the step that is made, so clipping, schedules and momentum are in it.

    Args:
        model: Any module with ``nn.RNN``, ``nn.GRU``, ``nn.LSTM`` or cells of these: all layers and
            directions that the optimizer trains.
        optimizer: torch's, or a wrapper of one.
        limit: Relative update above which it warns, above 0.
        growth_limit: None, or nats above which the growth of a backward signal over ``length``
            steps of the sequence warns as well (``backward_growth``: 4 examples of the last batch,
            each layer by itself, at the weights after the step). Not for cells, nor within
            ``torch.compile``.
        every, length: Steps of the optimizer between two readings of growth, and of the sequence in
            a window.
        on_warning: ``on_warning(reading)`` is called in place of Python's warning.

    Attributes:
        count: Optimizer steps so far.
        history: The last 1000 readings, oldest first.
        warned: All readings that warned.

    Raises:
        UsageError: No recurrent layer, none in the optimizer, sharded or parametrized weights,
            arguments out of range.

    Cost: a copy of the recurrent matrices in memory and three passes over them for each step, below
    1 % of a step (measured in docs/recurrent.md), and on a GPU one wait for its result. Growth: 0.2
    to 1.9 of a training step for each reading, divided by ``every``. Several processes: each warns.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        *,
        limit: float = UPDATE,
        growth_limit: float | None = None,
        every: int = 20,
        length: int = 20,
        on_warning: Callable[[ExplosionReading], object] | None = None,
    ):
        optimizer = unwrapped_optimizer(optimizer)
        given: object = optimizer
        if not isinstance(given, Optimizer):
            way_out = "pass the optimizer that trains the model, such as torch.optim.SGD(...)"
            raise wrong_type("optimizer", "be a torch optimizer", type(given).__name__, way_out)
        if not is_number(limit) or not limit > 0:
            raise wrong("limit", "lie above 0", repr(limit), f"{UPDATE} is the default")
        if growth_limit is not None and (not is_number(growth_limit) or math.isnan(growth_limit)):
            way_out = "leave it out, or pass nats over length steps, as 3.0"
            raise wrong("growth_limit", "be a number or None", repr(growth_limit), way_out)
        self.limit, self.growth_limit = float(limit), growth_limit
        self.every = check_at_least("every", every, 1, "20 is the default")
        self.length = check_at_least("length", length, 1, "20 is the default")
        check_callable("on_warning", on_warning, "on_warning(reading)")
        self.on_warning = on_warning
        self._matrices = recurrent_matrices(model, optimizer)
        self._witness = None if growth_limit is None else Witness(model, EXAMPLES)
        self._before = [p.detach().clone() for p in self._matrices.values()]
        self._blind = False
        self._episodes = Episodes()
        self.count = 0
        self.history: deque[ExplosionReading] = deque(maxlen=KEPT)
        self.warned: list[ExplosionReading] = []
        self._wake()
        self._hooks = [
            optimizer.register_step_pre_hook(self._ahead),
            optimizer.register_step_post_hook(self._after),
        ]

    def _ahead(self, optimizer: Optimizer, *_: object) -> None:
        """Keep the matrices."""
        for kept, p in zip(self._before, self._matrices.values(), strict=True):
            kept.copy_(p.detach())

    def _wake(self) -> None:
        """Let the next run be kept where the growth at the next step is read."""
        if self._witness is not None:
            self._witness.forget()
            self._witness.awake = self._due

    @property
    def _due(self) -> bool:
        return (self.count + 1) % self.every == 0

    def _after(self, optimizer: Optimizer, *_: object) -> None:
        if skipped(optimizer):
            return
        grown = None  # after the step: where the host passes a closure, the run is within it
        if self._witness is not None and self._due:
            grown = self._grown(self._witness)
        self.count += 1
        self._wake()
        updates = self._moved()
        name = max(updates, key=updates.__getitem__)
        growth, growth_name = grown or (None, None)
        high = growth is not None and self.growth_limit is not None and growth > self.growth_limit
        above = updates[name] > self.limit or high
        warned = self._episodes.begins(self.count, above)
        reading = ExplosionReading(
            self.count, updates[name], name, growth, growth_name, above, warned
        )
        self.history.append(reading)
        if warned:
            self.warned.append(reading)
            if self.on_warning is None:
                warn(self._sentence(reading))
            else:
                self.on_warning(reading)

    def _moved(self) -> dict[str, float]:
        """The relative update of each matrix; of one that was 0 it is 0."""
        found = {}
        for kept, (name, p) in zip(self._before, self._matrices.items(), strict=True):
            number = float(_share(kept, p.detach()))
            found[name] = number if math.isfinite(number) else math.inf
        return found

    def _grown(self, witness: Witness) -> tuple[float, str] | None:
        """The largest growth, and the parameter of the layer where it is."""
        found = []
        for name, seen in witness.seen.items():
            for end, growth in backward_growth(witness.modules[name], seen, self.length).items():
                path = f"{name}.weight_hh_{end}" if name else f"weight_hh_{end}"
                found.append((float(growth.max()), path))
        if not found and not self._blind:
            self._blind = True
            warn("No run of a recurrent layer in training mode was seen; growth is not read.")
        return max(found, default=None)

    def _sentence(self, reading: ExplosionReading) -> str:
        if reading.update > self.limit:
            what = (
                f"{reading.name} moved by {reading.update:.2g} of its norm (limit {self.limit:g})"
            )
        else:
            what = (
                f"a backward signal grows by {reading.growth:.2g} nats over {self.length} steps in "
                f"the layer of {reading.growth_name} (limit {self.growth_limit:g})"
            )
        return (
            f"Optimizer step {reading.step}: {what}. Gradients may explode in the next steps; "
            "lower the rate, clip gradients, or keep a checkpoint."
        )

    def remove(self) -> None:
        """Take it off model and optimizer; history and warnings stay."""
        for hook in self._hooks:
            hook.remove()
        if self._witness is not None:
            self._witness.remove()

    def state_dict(self) -> dict[str, Any]:
        """All that a resumed run needs to go on alike: numbers, texts and lists.

        Settings are not in it: build the monitor alike first.
        """
        return {
            "schema": SCHEMA,
            "count": self.count,
            "last": self._episodes.last,
            "history": [asdict(reading) for reading in self.history],
            "warned": [asdict(reading) for reading in self.warned],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where ``state_dict`` was taken.

        Raises:
            UsageError: A state of something else.
        """
        check_state(state, SCHEMA, {"count", "last", "history", "warned"}, "ExplosionMonitor")
        self.count = int(state["count"])
        self._episodes = Episodes(state["last"])
        self.history = deque((ExplosionReading(**r) for r in state["history"]), maxlen=KEPT)
        self.warned = [ExplosionReading(**r) for r in state["warned"]]
        self._wake()

    def __repr__(self) -> str:
        last = f", last update {self.history[-1].update:.3g}" if self.history else ""
        return (
            f"ExplosionMonitor({counted(len(self._matrices), 'matrix', 'matrices')}, limit "
            f"{self.limit:g}, {counted(self.count, 'step')}{last}, "
            f"{counted(len(self.warned), 'warning')})"
        )


def _share(before: Tensor, after: Tensor) -> Tensor:
    """|after - before| over |before|, in float32 at least."""
    kind = torch.promote_types(before.dtype, torch.float32)
    moved = torch.linalg.vector_norm(after - before, dtype=kind)
    size = torch.linalg.vector_norm(before, dtype=kind)
    return torch.where(size > 0, moved / size, 0.0 * moved)
