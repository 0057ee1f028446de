"""Batches of data at a network's weights: outputs, targets, and derivatives, kept or not."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ...results import UsageError
from .._jacobian import NetworkJacobian
from ..autodiff._autograd import PlainProduct
from ..autodiff._linearise import linearised
from ..autodiff._memory import give_back_memory
from ..autodiff._sharing import sharing
from ..autodiff._strategies import Product, reverse_product
from ..autodiff._vmap import vmap
from ..model._checks import FAILURES
from ..model._example import leaves_of
from ..model._parameters import Parameters
from ..model._uncompiled import gradient
from ..per_example._examples import Examples, OutputRoot, slices
from ._criterion import Criterion, check_repeats
from ._first_examples import LINEARISED, FirstExamples
from ._outputs import Formed

KEPT = 6  # copies of every state that a kept graph of tangents and one of gradients hold, about
GRADIENTS = 3  # of these, what the graph of gradients holds by itself, at most
ASYMMETRY = 0.01  # of a Hessian's product, which rounding does not reach


class BatchJacobian(NetworkJacobian):
    """The outputs of a batch by the parameters, ``(n outputs, P)``.

    Linearised without further checks where that was found to be right on a few examples: on all of
    them the checks would cost as much as ten products.
    """

    at: Parameters

    def __init__(self, batch: Batch):
        super().__init__(batch.at.network, {"output": batch.z.numel()}, batch.at)
        self.batch, self._once = batch, batch.linearises and not batch.keep
        self._thrifty = False  # whether a graph of tangents has to go after a product
        if not batch.linearises:
            self._build(self.at.flat, batch.widest, batch.examples.budget)
            return
        self._pulled(self.at.flat, batch.widest, batch.examples.budget, checked=True)
        if not self._once:
            give_back_memory(self.device, batch.graphs(keep=True))
        self.route = f"{LINEARISED}, {self.network.note}" if self.network.note else LINEARISED

    def function(self, flat: Tensor) -> Tensor:
        """The outputs at other parameters, ``(P,) -> (n outputs,)``."""
        return self.batch.outputs(flat)

    def _checked_pull(self, point: Tensor) -> tuple[Tensor, Product]:
        if self._once:
            return super()._checked_pull(point)
        self._push = linearised(self.function, point)
        try:
            still = partial(self.batch.outputs, fixed=True)
            return sharing(still, point, self._push.states)
        except FAILURES:
            return super()._checked_pull(point)

    def _matmat(self, block: Tensor) -> Tensor:
        try:
            return self._pushed(block)
        except FAILURES:
            if not self.batch.linearises:
                raise
            self._once = False
            self.batch.fails = True  # what does for a few examples does not for all
            self._build(self.at.flat, self.batch.widest, self.batch.examples.budget)
            return self._pushed(block)

    def _pushed(self, block: Tensor) -> Tensor:
        if self._once and block.shape[1] == 1:
            return self.batch.along(block[:, 0])[:, None]
        if self._once:
            self._push, self._once = linearised(self.function, self.at.flat), False
            self._thrifty = not self.batch.keep
        if block.shape[1] == 1 and not isinstance(self._push, PlainProduct):
            return self._push(block[:, 0])[:, None]
        return super()._matmat(block)

    def put_away(self) -> None:
        """Between products: what does not fit the budget goes."""
        if self._thrifty:
            self._once, self._thrifty = True, False
            del self._push

    def _rmatmat(self, block: Tensor) -> Tensor:
        if block.shape[1] == 1 and not isinstance(self._pull, PlainProduct):
            return self._pull(block[:, 0])[:, None]
        return super()._rmatmat(block)


class GradientJacobian(NetworkJacobian):
    """The gradient of a batch's total loss by the parameters, ``(P, P)``: its Hessian."""

    at: Parameters

    def __init__(self, batch: Batch):
        super().__init__(batch.at.network, {"gradient": batch.at.flat.numel()}, batch.at)
        self.batch, self._plain = batch, False
        try:
            derivative = self._build(self.at.flat, batch.widest, batch.examples.budget)
        except UsageError as refused:
            batch.judged.curve(batch.z, batch.y, batch.z)  # says so where the loss is the reason
            self._plain = True
            try:
                derivative = self._build(self.at.flat, batch.widest, batch.examples.budget)
            except UsageError:
                raise refused from None
        if batch.first:
            self._check_symmetric()
            batch.tried.check()
            derivative.check(repr(self), kinks=True)

    def function(self, flat: Tensor) -> Tensor:
        """The gradient at other parameters, ``(P,) -> (P,)``."""
        if not self._plain:
            return gradient(self.batch.loss, flat)
        with torch.enable_grad():  # for what torch.func cannot transform: checkpoints, custom steps
            start = flat if flat.requires_grad else flat.detach().requires_grad_()
            total = self.batch.loss(start)
            found = self.at.held(
                start, lambda: torch.autograd.grad(total, start, create_graph=True)[0]
            )
        return found if flat.requires_grad else found.detach()

    def _check_symmetric(self) -> None:
        """Refuse a gradient whose own derivative is wrong: no difference of losses shows it."""
        generator = torch.Generator().manual_seed(2)
        v = torch.randn(self.shape[1], 1, generator=generator, dtype=torch.float64).to(self.output)
        across, back = self @ v, self.T @ v
        gap, size = float((across - back).norm()), float(across.norm())
        rounding = 1e3 * torch.finfo(v.dtype).eps * float(self.output.norm() * v.norm())
        if gap > ASYMMETRY * size + rounding:
            raise UsageError(
                "the Hessian of this network comes out asymmetric (by "
                f"{gap / max(size, 1e-300):.2g} of its size): the gradient of "
                "a function in it has a wrong derivative; take nakami.ggn."
            )


class Batch:
    """Some examples with their targets, and the matrix that they make.

    Args:
        examples: The examples. y: Their targets.
        judged: The loss. kind: Which matrix of it.
        tried: What the network's code is tried on; one for all batches.
        widest: Numbers of the widest state of the network for all of these examples.
        keep: Whether the graph of derivatives stays between products.
        of: Which batch of the data it belongs to.
        first: Whether it is the first of all, which is checked most.

    Attributes:
        at: The parameters. z: The outputs. total: The loss, summed.
        divisor, samples: What a mean divides the total by, and how many samples there are.
    """

    def __init__(
        self,
        examples: Examples,
        y: Any,
        judged: Criterion,
        kind: str,
        tried: FirstExamples,
        widest: int,
        keep: bool,
        of: int,
        first: bool,
    ):
        self.y, self.kind, self.widest, self.keep = y, kind, widest, keep
        self.of, self.first = of, first
        self._held = False  # whether the graph of gradients stays for a while
        self.fails = False  # whether linearised products do, though they did not where tried
        self._drawn: tuple[int, Tensor] | None = None  # how many targets, and the generator's state
        self._slopes: Tensor | None = None  # gradients there, (n, draws, ...)
        self._look(examples, judged, tried)
        if first:
            judged.check_reads(self.at, examples.example.tree, self.z, y)
        self.divisor = judged.divisor(self.z, y)
        self.samples = int(judged.samples(self.z, y).sum())

    def _take(self, examples: Examples, tried: FirstExamples) -> None:
        self.examples, self.at, self.z, self.tried = examples, examples.at, examples.z, tried
        self.keep, self._held = self.keep and not self._held, False
        self._graphs: dict[type, NetworkJacobian] = {}

    def _look(self, examples: Examples, judged: Criterion, tried: FirstExamples) -> None:
        self._take(examples, tried)
        self.judged = judged
        seen = judged.check(self.z, self.y)
        self.total = judged.total(self.z, self.y).detach()
        if seen is not None:
            check_repeats(float(seen), float(self.total) / (judged.divisor(self.z, self.y) or 1.0))

    @property
    def holds_nan(self) -> bool:
        """Whether the targets hold NaN."""
        aims = self.y.y if isinstance(self.y, Formed) else self.y
        return any(bool(leaf.isnan().any()) for leaf in leaves_of(aims))

    @property
    def linearises(self) -> bool:
        """Whether products are linearised ones."""
        return not self.fails and self.tried.check()

    def loss(self, flat: Tensor) -> Tensor:
        """The total loss at other weights."""
        return self.judged.total(self.at.outputs(self.examples.example.tree, flat), self.y)

    def outputs(self, flat: Tensor, fixed: bool = False) -> Tensor:
        """The outputs at other parameters, ``(P,) -> (n outputs,)``; ``fixed`` as for a ``run``."""
        outputs = self.at.outputs(self.examples.example.tree, flat, fixed)
        return outputs.reshape(-1).to(flat.dtype)

    def along(self, v: Tensor) -> Tensor:
        """The outputs' derivative along one vector, by a run for it alone.

        For one product to record the steps takes longer.
        """
        moved: Tensor = torch.func.jvp(self.outputs, (self.at.flat,), (v,))[1]
        return moved

    def alone(self, block: Tensor) -> Tensor | None:
        """``along`` a block of one column, ``(n outputs, 1)``; None where a graph is better."""
        if block.shape[1] == 1 and self.linearises and not self.keep:
            with suppress(*FAILURES):
                return self.along(block[:, 0])[:, None]
        return None

    def jacobian(self) -> NetworkJacobian:
        """Outputs by parameters."""
        return self._graph(BatchJacobian)

    def derivative(self) -> NetworkJacobian:
        """What the products are made of: gradients by parameters for the Hessian, else outputs."""
        return self._graph(GradientJacobian if self.kind == "hessian" else BatchJacobian)

    def root(self) -> OutputRoot | None:
        """The root of the matrix by the outputs that stands between the Jacobians, if known."""
        z, y, slopes = self.z, self.y, self._slopes
        if self.kind == "empirical_fisher":
            slopes = self.judged.slope(z, y).unsqueeze(1)
        if slopes is not None:  # the mean over draws of their products with themselves
            shape, draws = self.judged.samples(z, y).shape, slopes.shape[1]
            zero = z.new_zeros(shape[0], draws, *shape[1:])
            return OutputRoot(lambda u: (u * slopes).sum(1) / draws**0.5, zero)
        up = None if self.kind == "hessian" else self.judged.root(z, y)
        if up is None:
            return None
        turn = self.judged.turn(z)
        if turn is None:
            return OutputRoot(up, torch.zeros_like(z))
        thin = OutputRoot(lambda v: up(turn(v)), torch.zeros_like(z[:, 1:]))
        return OutputRoot(up, torch.zeros_like(z), thin)

    def sample(self, draws: int, generator: torch.Generator) -> None:
        """Draw targets from the model's own distribution; kept are the gradients there."""
        self._drawn = draws, generator.get_state()
        shape = (len(self.z), draws, *self.z.shape[1:])
        uniform = torch.rand(shape, generator=generator, dtype=torch.float64).to(self.z.device)
        each = [self.judged.drawn(self.z, self.y, u) for u in uniform.unbind(1)]
        self._slopes = torch.stack(each, 1)

    def restricted(self, at: Parameters, tried: FirstExamples) -> Batch:
        """The same batch with fewer parameters at the same weights; shares all else."""
        part = copy.copy(self)
        part._take(self.examples.restricted(at), tried)
        return part

    def moved(self, at: Parameters, judged: Criterion, tried: FirstExamples) -> Batch:
        """The same examples at other weights, with targets drawn by the same random numbers."""
        part = copy.copy(self)
        part._look(self.examples.moved(at), judged, tried)
        if self._drawn is not None:
            draws, state = self._drawn
            part.sample(draws, torch.Generator().set_state(state))
        return part

    def gradient(self) -> Tensor:
        """Gradient of the total loss, ``(P,)``."""
        return self.jacobian().T @ self.judged.slope(self.z, self.y).reshape(-1)

    def loss_and_gradient(self, at: Tensor) -> tuple[Tensor, Tensor]:
        """The total loss and its gradient, ``(P,)``, at other weights, by one pass each way."""
        value, pull = reverse_product(lambda flat: self.loss(flat)[None], at, self.at.held)
        return value[0].detach(), pull(torch.ones_like(value)).detach()

    def product(self, block: Tensor) -> Tensor:
        """The matrix of this batch, unscaled, times a block of columns, ``(P, k)``."""
        op = self.derivative()
        if self.kind == "hessian":
            return op @ block
        root = self.root()

        def curved(v: Tensor) -> Tensor:
            return self.judged.curve(self.z, self.y, v) if root is None else root.up(root.down(v))

        def through(some: Tensor) -> Tensor:
            moves = (op @ some).T.reshape(-1, *self.z.shape)
            return op.T @ vmap(curved)(moves).reshape(len(moves), -1).T

        if block.shape[1] <= op.chunk:
            out = through(block)
        else:
            out = torch.empty_like(block)
            for here in slices(block.shape[1], op.chunk):  # so that outputs of few columns are held
                out[:, here] = through(block[:, here])
        if isinstance(op, BatchJacobian):
            op.put_away()
        return out

    def graphs(self, keep: bool) -> int:
        """Bytes of all graphs that products run through, or (not ``keep``) of gradients alone."""
        whole = self.examples.count * self.examples.each
        return whole if keep or self.kind == "hessian" else whole * GRADIENTS // KEPT

    def hold(self, keep: bool) -> None:
        """Let these graphs stay between products for a while."""
        self.keep, self._held = keep, True

    def let_go(self) -> None:
        """The graphs that ``hold`` lets stay go."""
        if self._held:
            self.keep = self._held = False
            self._graphs.clear()

    def _graph(self, kind: type[BatchJacobian | GradientJacobian]) -> NetworkJacobian:
        found = self._graphs.get(kind)
        if found is None:
            found = kind(self)
            if self.keep or self._held:
                self._graphs[kind] = found
        return found


def moved(parts: Sequence[Batch], at: Parameters, current: bool = False) -> list[Batch]:
    """The same examples at other weights; what was tried holds while the code is the same.

    The losses stay as they were, or are read anew where ``current``.
    """
    tried = parts[0].tried
    if at.network.structure is not parts[0].at.network.structure:
        tried = tried.moved(at)
    losses = [part.judged.current() if current else part.judged for part in parts]
    return [part.moved(at, loss, tried) for part, loss in zip(parts, losses, strict=True)]


def current(parts: Sequence[Batch]) -> list[Batch]:
    """The same examples for the model and the loss as they are now."""
    return moved(parts, parts[0].at.current(), current=True)
