"""Training of gated recurrent nets within the region where their resting state is stable."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary, ref

from torch import nn
from torch.optim import Optimizer

from ..operators import unwrapped_optimizer
from ..results import EDGE, check_callable, is_number, warn, wrong, wrong_type
from ._blocks import Block, candidate_blocks
from ._of_steps import OfSteps, skipped
from ._projection import SpectralBall

SCHEMA = 1
DELTA_RULE = "lie above 0 and below 2"
_of: WeakKeyDictionary[Optimizer, ref[SpectralConstraint]] = WeakKeyDictionary()


@dataclass
class BlockRecord:
    """What a constraint has done to one matrix so far.

    Attributes:
        name: Of the parameter whose last rows it is.
        least, most: Between these lies its largest singular value after the last step. Apart where
            nothing was decomposed: a step can move it by its norm at most.
        highest: The largest value seen before a projection, at least.
        clipped: Singular values lowered at the last step.
        counts: Steps by what they took: ``skipped``, ``inside``, ``truncated``, ``full``.
    """

    name: str
    least: float = 0.0
    most: float = math.inf
    highest: float = 0.0
    clipped: int = 0
    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("skipped", "inside", "truncated", "full"), 0)
    )


class SpectralConstraint(OfSteps):
    """Keeps every GRU of a model at ``sigma_1(W_hn) <= 2 - delta`` while an optimizer trains it.

    ``W_hn`` maps the state to the candidate (the last third of ``weight_hh``). At zero input and
    zero biases the state 0 is a fixed point with the Jacobian ``I/2 + W_hn/4``, stable while
    ``sigma_1(W_hn) < 2``: beyond it the state leaves 0, and there gradients over many steps are
    largest. After each ``optimizer.step()`` the matrix of every layer and direction is replaced by
    the nearest one within the bound. Singular values below the bound and all vectors stay.

    Building it projects once. Nothing else in the training changes: it hooks onto
    ``optimizer.step``, so a step that a gradient scaler skips is not projected, averages of weights
    taken after the step stay within the bound (the ball is convex), and the fused kernels' flat
    buffers stay in place.

    Args:
        model: Any module with ``nn.GRU`` or ``nn.GRUCell``: all layers, both directions. Matrices
            that the optimizer does not hold are left alone, with a warning if they are trained.
        optimizer: torch's, or a wrapper of one. One constraint for each optimizer.
        delta: Distance of the bound from 2, above 0 and below 2. Small values leave more freedom.
        schedule: ``schedule(step)`` is delta after optimizer step 0 (the start), 1, 2, ...; in
            place of ``delta``.

    Attributes:
        blocks: A ``BlockRecord`` for each matrix.
        count: Optimizer steps so far.

    Raises:
        UsageError: What ``candidate_blocks`` refuses; an optimizer that holds none of the matrices;
            a second constraint on one optimizer; ``delta`` out of range.
        RunError: At a step: a matrix is not finite.

    The bound holds to a factor 1 + 1e-5 in float32, 1 + 1e-12 in float64. Cost of a step: see
    ``SpectralBall``; where no singular value can have crossed, O(H^2). Memory: 2 H^2 a matrix.
    Several processes: build it on each; all project alike. What it does not bound: the Jacobian
    along driven trajectories, and other states of rest (the theorem is local, at zero input and
    biases); ``nakami.recurrent.margins`` and ``lyapunov`` read these.

    Source: Kanai, Fujiwara and Iwamura, "Preventing gradient explosions in gated recurrent units",
    NIPS 2017.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        *,
        delta: float = 0.2,
        schedule: Callable[[int], float] | None = None,
    ):
        optimizer = _checked(optimizer)
        check_callable("schedule", schedule, "schedule(step)")
        check_delta("delta", delta)
        self._delta, self._schedule = delta, schedule
        self._blocks = _held(candidate_blocks(model), optimizer)
        self._balls = [SpectralBall(block.matrix) for block in self._blocks]
        self.blocks = [BlockRecord(block.name) for block in self._blocks]
        self.count = 0
        self._hold()
        self._hook = optimizer.register_step_post_hook(self._after)
        self._optimizer = ref(optimizer)
        _of[optimizer] = ref(self)

    @property
    def bound(self) -> float:
        """2 - delta, now."""
        if self._schedule is None:
            return EDGE - self._delta
        delta = self._schedule(self.count)
        check_delta("schedule", delta)
        return EDGE - float(delta)

    def _after(self, optimizer: Optimizer, *_: object) -> None:
        if skipped(optimizer):
            return
        self.count += 1
        self._hold()

    def _hold(self) -> None:
        bound = self.bound
        for block, ball, record in zip(self._blocks, self._balls, self.blocks, strict=True):
            held = ball.hold(block.matrix, bound)
            record.least, record.most = min(held.least, bound), min(held.most, bound)
            record.clipped = held.clipped
            record.highest = max(record.highest, held.least)
            record.counts[held.how] += 1

    def remove(self) -> None:
        """Take it off the optimizer; the weights stay as they are."""
        self._hook.remove()
        if (optimizer := self._optimizer()) is not None:
            _of.pop(optimizer, None)

    def state_dict(self) -> dict[str, Any]:
        """All that a resumed run needs to go on bit by bit: numbers and tensors.

        ``delta`` and ``schedule`` are not in it: build the constraint alike first, after the
        weights are loaded.
        """
        return {
            "schema": SCHEMA,
            "count": self.count,
            "blocks": {
                record.name: {**ball.state(), "record": _as_dict(record)}
                for record, ball in zip(self.blocks, self._balls, strict=True)
            },
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where ``state_dict`` was taken.

        Raises:
            UsageError: A state of something else, or of a model with other matrices.
        """
        names = [record.name for record in self.blocks]
        kept = state.get("blocks") if isinstance(state, Mapping) else None
        if (
            not isinstance(kept, Mapping)
            or state.get("schema") != SCHEMA
            or set(kept) != set(names)
        ):
            got = sorted(kept) if isinstance(kept, Mapping) else type(state).__name__
            rule = f"be a SpectralConstraint's, of {', '.join(names)}"
            raise wrong("state", rule, got, "pass what state_dict() of such a constraint gave")
        for block in self._blocks:
            shape = tuple(kept[block.name]["reference"].shape)
            if shape != tuple(block.matrix.shape):
                rule = f"fit {block.name}, whose matrix is {tuple(block.matrix.shape)}"
                raise wrong("state", rule, shape, "build the model as it was")
        self.count = int(state["count"])
        for i, (block, ball) in enumerate(zip(self._blocks, self._balls, strict=True)):
            ball.load(kept[block.name], block.matrix)
            self.blocks[i] = BlockRecord(**kept[block.name]["record"])

    def __repr__(self) -> str:
        least, most = (max(getattr(r, name) for r in self.blocks) for name in ("least", "most"))
        between = f"{most:.4g}" if f"{least:.4g}" == f"{most:.4g}" else f"{least:.4g} to {most:.4g}"
        return (
            f"SpectralConstraint({len(self.blocks)} matrices, bound {self.bound:.4g}, "
            f"largest sigma_1 {between}, {self.count} steps)"
        )


def _as_dict(record: BlockRecord) -> dict[str, Any]:
    return {**vars(record), "counts": dict(record.counts)}


def _checked(optimizer: Any) -> Optimizer:
    """The optimizer without a wrapper, and without a constraint so far."""
    optimizer = unwrapped_optimizer(optimizer)
    if not isinstance(optimizer, Optimizer):
        way_out = "pass the optimizer that trains the model, such as torch.optim.SGD(...)"
        raise wrong_type("optimizer", "be a torch optimizer", type(optimizer).__name__, way_out)
    if (first := _of.get(optimizer)) is not None and first() is not None:
        way_out = "call remove() on the first one"
        raise wrong("optimizer", "carry one SpectralConstraint", "a second one", way_out)
    return optimizer


def check_delta(argument: str, delta: object) -> None:
    if not is_number(delta) or not 0 < delta < EDGE:
        rule = DELTA_RULE if argument == "delta" else f"return a delta that does {DELTA_RULE}"
        raise wrong(argument, rule.replace("does lie", "lies"), repr(delta), "0.2 is the default")


def _held(blocks: list[Block], optimizer: Optimizer) -> list[Block]:
    """The blocks that the optimizer trains."""
    own = {id(p) for group in optimizer.param_groups for p in group["params"]}
    held = [block for block in blocks if id(block.parameter) in own]
    if not held:
        way_out = "build it on model.parameters() of this very model"
        got = f"none of {', '.join(block.name for block in blocks)}"
        raise wrong("optimizer", "hold a recurrent weight of the model", got, way_out)
    left = [b.name for b in blocks if id(b.parameter) not in own and b.parameter.requires_grad]
    if left:
        warn(f"The optimizer does not hold {', '.join(left)}: left without a constraint.")
    return held
