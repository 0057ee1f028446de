"""The batches that a model was called with, and the curvature of the loss on them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import BackwardCFunction
from torch.optim import Optimizer

from ..operators import CurvatureOperator, OwnHook, View
from ..results import wrong, wrong_type
from ._drawn import FIRST, others
from ._kronecker import together

ALIKE = 0.05  # of the outputs: autocast moves them by less, dropout by more

Matrix = Callable[..., CurvatureOperator]


class Seen(NamedTuple):
    """A batch as the model took it, its targets, and what the model returned."""

    x: Any
    y: Any
    outputs: Tensor


class BatchesSeen:
    """The inputs that a model is called with while gradients are on, kept until they are asked for.

    Args:
        model: A hook stays on it until ``remove``.
        held: Its parameters that the matrix is of, in the model's order.
        loss: As ``matrix`` takes it.
        matrix: ``nakami.ggn`` or ``nakami.hessian``.

    Attributes:
        seen: What was taken in since the last ``clear``.
    """

    def __init__(self, model: nn.Module, held: list[Tensor], loss: Any, matrix: Matrix):
        self._model, self._loss, self._matrix = model, loss, matrix
        self._held = held
        self._call: tuple[Any, Mapping[str, Any]] | None = None
        self._reading = self._as_one = False
        self.seen: list[Seen] = []
        self._hook = model.register_forward_pre_hook(OwnHook(self._caught), with_kwargs=True)

    def _caught(self, _: nn.Module, args: Any, named: Mapping[str, Any]) -> None:
        if torch.is_grad_enabled() and not self._reading:
            self._call = args, named

    def take(self, outputs: Tensor, targets: Any) -> None:
        """Keep the batch that the model has just been called with.

        Raises:
            UsageError: Outputs without a graph or of another model.
        """
        given: object = outputs
        if not isinstance(given, Tensor) or not outputs.requires_grad:
            got = "one without" if isinstance(given, Tensor) else type(outputs).__name__
            raise wrong_type("outputs", "be a tensor with its graph", got, FIRST)
        if self._call is None or not _made_with(outputs, self._model):
            raise others()
        if together():
            way_out = "take KFAC or EKFAC, which average over processes"
            raise wrong("the training", "run in one process", "several", way_out)
        x, self._call = self._input(*self._call), None
        self.seen.append(Seen(x, targets, outputs.detach()))

    def _input(self, args: Any, named: Mapping[str, Any]) -> Any:
        """What the model was called with in one: a tensor, a tuple, or a mapping by names."""
        if not named:
            self._as_one = len(args) == 1 and isinstance(args[0], (tuple, list, Mapping))
            return args[0] if len(args) == 1 else tuple(args)
        if args:
            named = inspect.signature(self._model.forward).bind(*args, **named).arguments
        return dict(named)

    def operator(self) -> CurvatureOperator:
        """The matrix of the loss on all that was taken in, at the model's present weights.

        What was taken in is let go.

        Raises:
            UsageError: In evaluation mode the model gives other outputs than were observed.
        """
        seen, self.seen = self.seen, []
        data = [(s.x, s.y) for s in seen]
        view = View(self._model, forward=_as_one if self._as_one else None)
        self._reading = True
        try:
            with _training_alone(self._model, self._held):
                op = self._matrix(view, data, self._loss)
        finally:
            self._reading = False
        _check(op, seen)
        return op

    def clear(self) -> None:
        """Let go of what was taken in."""
        self.seen = []

    def remove(self) -> None:
        """Take the hook off the model."""
        self._hook.remove()


def one_group_alone(optimizer: Optimizer) -> None:
    """Refuse a second parameter group: all weights are solved together."""
    if optimizer.param_groups:
        rule, way_out = "be one, the model's: they are solved together", "freeze what must not move"
        raise wrong("parameter groups", rule, "another one", way_out)


def _made_with(outputs: Tensor, model: nn.Module) -> bool:
    """Whether a parameter of the model is in the graph of outputs, or may be hidden in it."""
    own = {id(p) for p in model.parameters()}
    waiting: list[Any] = [outputs.grad_fn]
    seen = set[Any]()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        # a function of Python's own may hold a graph inside (a re-entrant checkpoint)
        if id(getattr(node, "variable", None)) in own or isinstance(node, BackwardCFunction):
            return True
        waiting += [before for before, _ in node.next_functions]
    return False


@contextmanager
def _training_alone(model: nn.Module, held: list[Tensor]) -> Iterator[None]:
    """Of the model's parameters these alone require gradients, whatever was frozen since."""
    before = [(p, p.requires_grad) for p in model.parameters()]
    own = {id(p) for p in held}
    try:
        for p, _ in before:
            p.requires_grad_(id(p) in own)
        yield
    finally:
        for p, required in before:
            p.requires_grad_(required)


def _as_one(model: nn.Module, x: Any) -> Any:
    return model(x)


def _check(op: CurvatureOperator, seen: list[Seen]) -> None:
    """Refuse a model whose outputs in evaluation mode are not those that were observed."""
    mine = torch.cat([z.reshape(-1) for _, z in op.examples()]).sort().values
    theirs = torch.cat([s.outputs.reshape(-1) for s in seen]).to(mine).sort().values
    rule = "give in evaluation mode the outputs that were observed"
    if mine.shape != theirs.shape:
        got = f"{mine.numel()} numbers for {theirs.numel()}"
        raise wrong("model", rule, got, "pass the whole of what the model returned")
    gap = float((mine - theirs).norm()) / max(float(theirs.norm()), 1e-30)
    if not gap <= ALIKE:
        ways = ["leave out dropout and statistics of the batch", "train with model.eval()"]
        ways.append("take nakami.optim.KFAC, which needs neither")
        raise wrong("model", rule, f"others by {gap:.2g} of their size", ways)
