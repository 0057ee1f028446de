"""Hessian-free optimization: steps by conjugate gradients on a model of the loss."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, overload

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ..operators import CurvatureOperator, check_order, criterion, ggn, hessian
from ..results import RunError, check_at_least, check_choice, check_seed, is_number, wrong
from ._batches_seen import BatchesSeen, one_group_alone
from ._conjugate_gradients import Path, conjugate_gradients
from ._drawn import LOSSES, never_observed
from ._kronecker import decayed
from ._natural_steps import NOT_FINITE, LeftOut, check_above_0, check_model, checked_state
from ._settings import check_from_0, check_rate

MATRICES = {"ggn": ggn, "hessian": hessian}
DRAWS = 8  # for the diagonal of the preconditioner
POWER = 0.75  # of it, Martens 2010, section 4.7
SHORTER, TRIALS = 0.8, 60  # of a rate in the line search
SUFFICIENT = 0.01  # share of the slope's promise that a step must keep
LOW, HIGH = 0.25, 0.75  # reduction ratios at which damping changes


class HessianFreeStep(NamedTuple):
    """What a step did.

    Attributes:
        loss, after: Of the observed batches with weight decay, before and after the step.
        iterations: Of conjugate gradients. products: with the matrix, in all.
        reason: Why these ended. ratio: the fall of the loss over that of the undamped model, before
            the line search. rate: of the line search, 0 where nothing moved.
        damping: Of this step.
    """

    loss: float
    after: float
    iterations: int
    products: int
    reason: str
    ratio: float
    rate: float
    damping: float


class HessianFree(Optimizer):
    """Truncated Newton steps: conjugate gradients on ``g^T d + d^T (B + damping) d / 2``.

    ``B`` is the Gauss-Newton matrix (or the Hessian) of the loss on the observed batches, known by
    its products alone; ``g`` stands in ``.grad`` and may be of more data. As Martens has it,
    conjugate gradients begin at ``warm`` times where they ended in the last step and stop when the
    model hardly falls; of the iterates on their way the one is taken from which going back no
    longer lowers the loss; a line search shortens it; damping grows by ``factor`` where the loss
    falls by less than a quarter of the undamped model's fall, and shrinks above three quarters. No
    step raises the loss of the observed batches.

    A step of training, with batches much larger than SGD's, or all data::

        outputs = model(x)
        optimizer.observe(outputs, y)
        loss(outputs, y).backward()
        optimizer.step()

    Args:
        model: The module to train; its parameters that require gradients are optimized. float32 or
            float64. It must give the same outputs in evaluation mode: no dropout, no statistics of
            the batch.
        loss: As ``nakami.ggn`` takes it (or ``nakami.hessian``): a name, a torch loss, a function
            of outputs and targets. Its mean or sum must be what the training descends.
        lr: Factor of the steps, from 0 on; 1 is the method's.
        matrix: "ggn" or "hessian". With the Hessian conjugate gradients end at the first direction
            of negative curvature.
        damping: Above 0, to begin with; in units of the matrix. It lies in the parameter group.
        factor: Of its changes, from 1 on; 1 holds it.
        weight_decay: From 0 on: ``weight_decay |w|^2 / 2`` is part of loss, gradient and matrix.
        iterations: Of conjugate gradients, at most.
        tolerance: Above 0: relative fall of the model in an iteration below which they end.
        warm: From 0 on and below 1: of the last solution, to begin with.
        preconditioner: None, or "diagonal": ``(D + damping)^0.75``, D the diagonal of the
            Gauss-Newton matrix from 8 draws of signs, for losses with a root. (Martens takes
            squared gradients of the examples.)
        seed: Of these signs. torch's global random state is left alone.

    Attributes:
        last: A ``HessianFreeStep``: what the last step did; None before.

    Raises:
        UsageError: Arguments out of range, half precision, a step without ``observe``, several
            processes, a second parameter group.
        RunError: Gradients or a loss that are not finite.

    Cost: a product takes about three passes over the observed batches, a trial of the loss one.
    Memory: about ``log(iterations) / log 1.3`` vectors of the weights.

    Source: Martens, Deep learning via Hessian-free optimization, ICML 2010.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: nn.Module | str | Callable[[Any, Any], Tensor] = "",
        lr: float = 1.0,
        *,
        matrix: str = "ggn",
        damping: float = 1.0,
        factor: float = 1.5,
        weight_decay: float = 0.0,
        iterations: int = 250,
        tolerance: float = 5e-4,
        warm: float = 0.95,
        preconditioner: str | None = None,
        seed: int = 0,
    ):
        check_order(model=model, loss=loss)
        check_model(model)
        check_rate(lr)
        check_choice("matrix", matrix, tuple(MATRICES), '"ggn" is the default')
        check_above_0("damping", damping)
        check_from_0("weight_decay", weight_decay, "0 is the default")
        check_above_0("tolerance", tolerance)
        self._most = check_at_least("iterations", iterations, 1, "250 is the default")
        if isinstance(factor, bool) or not is_number(factor) or not 1 <= factor < math.inf:
            raise wrong("factor", "be a number from 1 on", repr(factor), "1.5 is the default")
        if isinstance(warm, bool) or not is_number(warm) or not 0 <= warm < 1:
            raise wrong("warm", "be from 0 on and below 1", repr(warm), "0.95 is the default")
        if loss == "":
            raise wrong("loss", "be given", "none", LOSSES)
        if preconditioner is not None:
            check_choice("preconditioner", preconditioner, ("diagonal",), "leave it out for none")
            if matrix != "ggn" or not criterion(loss).key:
                rule = "be left out where the matrix has no closed root"
                raise wrong("preconditioner", rule, repr(preconditioner), "leave it out")
        self._diagonal = preconditioner is not None
        self._tolerance, self._warm, self._factor = float(tolerance), float(warm), float(factor)
        self._generator = torch.Generator().manual_seed(check_seed(seed))
        self.last: HessianFreeStep | None = None
        settings = {"lr": lr, "damping": float(damping), "weight_decay": weight_decay}
        super().__init__([p for p in model.parameters() if p.requires_grad], settings)
        self._left = LeftOut(self, model)
        self._seen = BatchesSeen(model, self.param_groups[0]["params"], loss, MATRICES[matrix])

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """The weights of the model are one group; another is refused."""
        one_group_alone(self)
        super().add_param_group(param_group)

    def observe(self, outputs: Tensor, targets: Any) -> None:
        """Take the batch that the model has just been called with, for the next step.

        Before the next call of the model; with gradient accumulation for each batch, or for some.

        Args:
            outputs: What the model returned.
            targets: As the loss takes them.

        Raises:
            UsageError: Outputs without a graph or of another model.
        """
        self._seen.take(outputs, targets)

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch._disable_dynamo
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Make one step by the gradients that stand in ``.grad``; weights without one stay.

        Args:
            closure: Calls the model, ``observe`` and ``backward`` before the step.

        Raises:
            UsageError: Nothing was observed for this step.
            RunError: Gradients that are not finite.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self._left.tell()
        if not self._seen.seen:
            raise never_observed(self, "each step")
        op, group = self._seen.operator(), self.param_groups[0]
        held: list[Tensor] = group["params"]
        grads = [torch.zeros_like(p) if p.grad is None else decayed(p, group) for p in held]
        gradient = torch.cat([g.reshape(-1) for g in grads])
        if not gradient.isfinite().all():
            raise RunError(f"HessianFree met {NOT_FINITE}")
        moves = torch.cat([torch.full_like(g, p.grad is not None).reshape(-1)
                           for g, p in zip(grads, held, strict=True)])  # fmt: skip
        with op.held():
            move = self._move(_Model(op, gradient, moves, float(group["weight_decay"])), group)
        for p, part in zip(held, move.split([p.numel() for p in held]), strict=True):
            p.add_(part.reshape(p.shape))
        return loss

    def _move(self, model: _Model, group: dict[str, Any]) -> Tensor:
        """Where the weights go; keeps the solution and adapts the damping."""
        damping, lr = float(group["damping"]), float(group["lr"])
        held: list[Tensor] = group["params"]
        old = [self.state[p].get("solution", torch.zeros_like(p)).reshape(-1) for p in held]
        path = conjugate_gradients(
            lambda v: model.product(v) + damping * v,
            model.gradient,
            self._warm * torch.cat(old) * model.moves,
            model.inverse_preconditioner(damping, self._generator) if self._diagonal else 1.0,
            self._most,
            self._tolerance,
        )
        parts = path.kept[-1].split([p.numel() for p in held])
        for p, part in zip(held, parts, strict=True):
            self.state[p]["solution"] = part.reshape(p.shape).clone()
        step, fallen = _best(path, model)
        model_falls = float(model.gradient @ step + step @ model.product(step) / 2)
        ratio = fallen / model_falls if model_falls < 0 else -math.inf
        rate, after = _line_search(model, step, lr, fallen)
        if not ratio >= LOW:
            group["damping"] = damping * self._factor
        elif ratio > HIGH:
            group["damping"] = damping / self._factor
        self.last = HessianFreeStep(
            model.value, model.value + after, path.iterations, model.products, path.reason, ratio,
            rate, damping,
        )  # fmt: skip
        return rate * step

    def remove(self) -> None:
        """Take the hook off the model."""
        self._seen.remove()

    def state_dict(self) -> dict[str, Any]:
        """As torch's, with the state of the drawn signs."""
        own = {"kind": type(self).__name__, "generator": self._generator.get_state()}
        return {**super().state_dict(), **own}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on bit by bit where ``state_dict`` was taken.

        Raises:
            UsageError: A state of another optimizer.
        """
        state = checked_state(state_dict, type(self).__name__)
        self._generator.set_state(state.pop("generator").cpu())
        super().load_state_dict(state)


class _Model:
    """The loss of the observed batches with weight decay, and its quadratic model at the weights.

    Args:
        op: The matrix. gradient: with weight decay, (P,). moves: 1 where weights move, else 0.
        decay: Weight decay.
    """

    def __init__(self, op: CurvatureOperator, gradient: Tensor, moves: Tensor, decay: float):
        self.op, self.gradient, self.moves, self.decay = op, gradient, moves, decay
        self.weights = torch.cat([w.detach().reshape(-1) for w in op.weights.values()])
        self.value, self.products = op.value + self._decay_of(self.weights), 0

    def product(self, v: Tensor) -> Tensor:
        self.products += 1
        return self.moves * (self.op @ v) + self.decay * v

    def falls(self, step: Tensor) -> float:
        """The loss after a step less that before; infinite where it is no number."""
        at = self.weights + step
        found = self.op.loss_at(at) + self._decay_of(at) - self.value
        return found if math.isfinite(found) else math.inf

    def inverse_preconditioner(self, damping: float, generator: torch.Generator) -> Tensor:
        root = self.op.root
        assert root is not None  # of the losses that are taken
        signs = torch.randint(0, 2, (root.shape[0], DRAWS), generator=generator, dtype=torch.int8)
        diagonal = (root.T @ (2 * signs - 1).to(self.gradient)).square().mean(1)
        return 1 / (diagonal + self.decay + damping) ** POWER

    def _decay_of(self, weights: Tensor) -> float:
        return self.decay * float(weights.double().square().sum()) / 2 if self.decay else 0.0


def _best(path: Path, model: _Model) -> tuple[Tensor, float]:
    """Going back over the iterates, the first from which the one before is no lower."""
    step, fallen = path.kept[-1], model.falls(path.kept[-1])
    for earlier in reversed(path.kept[:-1]):
        found = model.falls(earlier)
        if found > fallen:
            break
        step, fallen = earlier, found
    return step, fallen


def _line_search(model: _Model, step: Tensor, lr: float, fallen: float) -> tuple[float, float]:
    """A rate, ``lr`` or shorter, with a sufficient fall of the loss; and that fall."""
    slope, rate = float(model.gradient @ step), lr
    if not slope < 0:
        return 0.0, 0.0
    for _ in range(TRIALS):
        if rate != 1:
            fallen = model.falls(rate * step)
        if fallen <= SUFFICIENT * rate * slope:
            return rate, fallen
        rate *= SHORTER
    return 0.0, 0.0
