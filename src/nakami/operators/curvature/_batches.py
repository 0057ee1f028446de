"""Batches of data at a network's present weights: outputs, targets, and derivatives kept or not."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ...results import UsageError
from .._jacobian import NetworkJacobian
from ..autodiff._autograd import PlainProduct
from ..autodiff._derivative import Derivative
from ..autodiff._linearise import linearised
from ..autodiff._strategies import FAILURES, forward_product, reverse_product
from ..model._example import Example
from ._loss_hessian_sqrt import LossHessianSqrt, drawn_slopes, loss_hessian_sqrt, root_of_slopes
from ._losses import Criterion
from ._parameters import Parameters

LINEARISED = "linearised"
TRIED = 8  # examples that a route is tried on
ASYMMETRY = 0.01  # of a Hessian's product, which rounding does not reach


class BatchJacobian(NetworkJacobian):
    """The outputs of a batch by the parameters, ``(n outputs, P)``.

    Linearised without further checks where that was found to be right on a few examples: on all of
    them the checks would cost as much as ten products.
    """

    def __init__(self, batch: Batch, check: bool):
        super().__init__(batch.network, {"output": batch.z.numel()})
        self.batch = batch
        if not batch.linearises():
            derivative = self._build(batch.point, batch.widest, batch.budget)
            if check and self.network.batch_statistics:  # else a few examples were
                derivative.check(repr(self))
            return
        self._pulled(batch.point, batch.widest, batch.budget, checked=True)
        self._push = linearised(self.function, batch.point)
        self.route = f"{LINEARISED}, {self.network.note}" if self.network.note else LINEARISED

    def _states(self, flat: Tensor, to: tuple[str, ...]) -> tuple[Tensor, ...]:
        return (self.batch.outputs(flat),)

    def _matmat(self, block: Tensor) -> Tensor:
        try:
            return self._pushed(block)
        except FAILURES:
            if not self.batch.linearises():
                raise
            self.batch.linearises(False)  # what does for a few examples may not for all
            self._build(self.batch.point, self.batch.widest, self.batch.budget)
            return self._pushed(block)

    def _pushed(self, block: Tensor) -> Tensor:
        if block.shape[1] == 1 and not isinstance(self._push, PlainProduct):
            return self._push(block[:, 0])[:, None]
        return super()._matmat(block)

    def _rmatmat(self, block: Tensor) -> Tensor:
        if block.shape[1] == 1 and not isinstance(self._pull, PlainProduct):
            return self._pull(block[:, 0])[:, None]
        return super()._rmatmat(block)

    def _moving(self) -> dict[str, Tensor]:
        return self.batch.weights

    def _held(self, point: Tensor, act: Callable[[], Tensor]) -> Tensor:
        return self.batch.held(point, act)


class GradientJacobian(NetworkJacobian):
    """The gradient of a batch's total loss by the parameters, ``(P, P)``: its Hessian."""

    def __init__(self, batch: Batch, check: bool):
        super().__init__(batch.network, {"gradient": batch.n_parameters})
        self.batch = batch
        derivative = self._build(batch.point, batch.widest, batch.budget)
        if check:
            self._check_symmetric()
            batch.check_derivative()
            derivative.check(repr(self))

    def _states(self, flat: Tensor, to: tuple[str, ...]) -> tuple[Tensor, ...]:
        gradient: Tensor = torch.func.grad(self.batch.loss)(flat)
        return (gradient,)

    def _moving(self) -> dict[str, Tensor]:
        return self.batch.weights

    def _held(self, point: Tensor, act: Callable[[], Tensor]) -> Tensor:
        return self.batch.held(point, act)

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
    """Some examples with their targets.

    Attributes:
        keep: Whether the graph of derivatives stays between products.
        each: Bytes that such a graph holds for one example, about.
        of: Which batch of the data it belongs to.
        z: The outputs. slopes: Gradients at targets drawn from the model, ``(n, draws, ...)``.
    """

    def __init__(
        self,
        at: Parameters,
        example: Example,
        y: Any,
        judged: Criterion,
        widest: int,
        budget: int,
        keep: bool,
        each: int,
    ):
        self.example, self.y, self.judged = example, y, judged
        self.widest, self.budget, self.each = widest, budget, each
        self.keep, self.first = keep, False  # the first batch is checked most
        self.of = 0
        self.slopes: Tensor | None = None
        self._drawn: tuple[int, Tensor] | None = None  # how many, and the generator's state
        self._ways: dict[str, bool] = {}  # what was tried, for all who share the network's code
        self._take(at)
        self._look()
        self.divisor, self.samples = judged.divisor(self.z, y), int(judged.samples(self.z, y).sum())

    def _look(self) -> None:
        with torch.no_grad():
            self.z = self.network.run(self.example.tree).detach()
        self.judged.check(self.z, self.y)
        self.total = self.judged.total(self.z, self.y).detach()

    def _take(self, at: Parameters) -> None:
        self.at, self.network, self.point = at, at.network, at.flat
        self.weights, self.names, self.n_parameters = at.weights, at.names, at.flat.numel()
        self.dtype, self.device = at.flat.dtype, at.flat.device
        self._graphs: dict[type, NetworkJacobian] = {}

    def outputs(self, flat: Tensor) -> Tensor:
        """The outputs at other weights, ``(P,) -> (n, ...)``."""
        return self.at.outputs(self.example.tree, flat)

    def loss(self, flat: Tensor) -> Tensor:
        """The total loss at other weights."""
        return self.judged.total(self.outputs(flat), self.y)

    def held(self, point: Tensor, act: Callable[[], Tensor]) -> Tensor:
        """What ``act`` returns while the network is still, at other weights."""
        found: Tensor = self.network.run_in_at(self.weights, point, act)
        return found

    def jacobian(self) -> NetworkJacobian:
        """Outputs by parameters."""
        return self._graph(BatchJacobian)

    def hessian(self) -> NetworkJacobian:
        """Gradient of the total loss by parameters."""
        return self._graph(GradientJacobian)

    def linearises(self, known: bool | None = None) -> bool:
        """Whether linearised products work and agree with reverse mode, on a few examples.

        ``known`` is taken down as the answer from now on.
        """
        if known is not None:
            self._ways[LINEARISED] = known
        if LINEARISED not in self._ways:
            self._ways[LINEARISED] = not self.network.batch_statistics and self._agrees()
        return self._ways[LINEARISED]

    def share(self, other: Batch) -> None:
        """Take over what is tried of the network's code on another batch."""
        self._ways = other._ways

    def check_derivative(self) -> None:
        """Compare the derivative of a few outputs with differences, once; see ``Derivative``."""
        if not self.network.batch_statistics:
            self.linearises()

    def _agrees(self) -> bool:
        output, pull = reverse_product(self._few, self.point, self.held, blocks=True)
        chunk, room = 2, self.budget // 4
        way, _, trial = forward_product(self._few, self.point, output, pull, self.held, chunk, room)
        each = self.z[0].numel()
        parts = {
            f"example {i}": slice(i * each, (i + 1) * each) for i in range(len(output) // each)
        }
        network, held = self.network, self.held
        Derivative(
            self._few, self.point, trial, way, network, held, parts, room, self.weights
        ).check("the outputs by the parameters")
        return way == LINEARISED and not isinstance(pull, PlainProduct)

    def _few(self, flat: Tensor) -> Tensor:
        """Outputs of a few examples at other weights, flattened; of all with batch statistics."""
        n = len(self.z) if self.network.batch_statistics else min(TRIED, len(self.z))
        few = self.example.rows(0, n).tree
        return self.at.outputs(few, flat).reshape(-1)

    def root(self, kind: str) -> LossHessianSqrt | None:
        """The root of the matrix by the outputs that a kind puts between the Jacobians."""
        if self.slopes is not None:
            return root_of_slopes(self.judged, self.z, self.y, self.slopes)
        return loss_hessian_sqrt(self.judged, self.z, self.y, kind)

    def mixes(self) -> bool:
        """Whether an example's output depends on the others of its batch."""
        if self.network.batch_statistics:
            return True
        if len(self.z) == 1:
            return False
        with torch.no_grad():
            alone = self.network.run(self.example.rows(0, 1).tree)
        if alone.shape != self.z[:1].shape:
            return True
        gap = float((alone - self.z[:1]).abs().max())
        return not gap <= torch.finfo(alone.dtype).eps ** 0.5 * float(self.z.abs().max())

    def sample(self, draws: int, generator: torch.Generator) -> None:
        """Draw targets from the model's own distribution; kept are the gradients there."""
        self._drawn = draws, generator.get_state()
        self.slopes = drawn_slopes(self.judged, self.z, self.y, draws, generator)

    def restricted(self, at: Parameters) -> Batch:
        """The same batch with fewer parameters at the same weights; shares all else."""
        part = copy.copy(self)
        part._ways = {}  # another function
        part._take(at)
        return part

    def moved(self, at: Parameters, judged: Criterion) -> Batch:
        """The same examples at other weights, with targets drawn by the same random numbers."""
        part = copy.copy(self)
        part.judged = judged
        if at.network.structure is not self.network.structure:
            part._ways = {}  # the model's code may be another
        part._take(at)
        part._look()
        if self._drawn is not None:
            draws, state = self._drawn
            part.sample(draws, torch.Generator().set_state(state))
        return part

    def route(self, kind: str) -> str:
        """How products of a kind are made."""
        return (self.hessian() if kind == "hessian" else self.jacobian()).route

    def gradient(self, at: Tensor | None = None) -> Tensor:
        """Gradient of the total loss, ``(P,)``, here or at other weights."""
        if at is not None:
            return self.loss_and_gradient(at)[1]
        return self.jacobian().T @ self.judged.slope(self.z, self.y).reshape(-1)

    def loss_and_gradient(self, at: Tensor) -> tuple[Tensor, Tensor]:
        """The total loss and its gradient, ``(P,)``, at other weights, by one pass each way."""
        value, pull = reverse_product(lambda flat: self.loss(flat)[None], at, self.held)
        return value[0], pull(torch.ones_like(value))

    def product(self, block: Tensor, kind: str) -> Tensor:
        """The matrix of this batch, unscaled, times a block of columns, ``(P, k)``."""
        if kind == "hessian":
            return self.hessian() @ block
        op = self.jacobian()
        out = torch.empty_like(block)
        for at in range(0, block.shape[1], op.chunk):  # so that outputs of few columns are held
            here = slice(at, at + op.chunk)
            out[:, here] = op.T @ self.weighted(op @ block[:, here], kind)
        return out

    def weighted(self, rows: Tensor, kind: str) -> Tensor:
        """Outputs' moves, ``(outputs of the batch, k)``, times the Hessian by the outputs."""
        moves = rows.T.reshape(-1, *self.z.shape)
        root = self.root(kind)
        if root is None:
            curved = torch.vmap(lambda v: self.judged.curve(self.z, self.y, v))(moves)
        else:
            curved = torch.vmap(lambda v: root.up(root.down(v)))(moves)
        return curved.reshape(len(moves), -1).T

    def _graph(self, kind: type) -> NetworkJacobian:
        found = self._graphs.get(kind)
        if found is None:
            found = kind(self, check=self.first)
            if self.keep:
                self._graphs[kind] = found
        return found
