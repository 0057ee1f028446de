"""The exact natural gradient of a batch, by a dense solve on the shorter side."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from ..operators import CurvatureOperator, check_order, criterion, ggn
from ..results import RunError, check_at_least, wrong
from ._batches_seen import BatchesSeen, one_group_alone
from ._drawn import LOSSES, never_observed
from ._kronecker import decayed
from ._natural_steps import NOT_FINITE, NaturalSteps, check_model, checked_state

REFINED = 4  # times at most that a solution is corrected for the rounding of its own matrix
EXACT, ROUGH = 1e-4, 0.02  # corrections, of what the step does to the outputs: enough, too large


class NaturalGradient(NaturalSteps):
    """Steps by ``(F + damping)^-1 g`` with the whole Fisher matrix of the batch, exactly.

    With ``F = A^T A``, ``A`` of a row for each output of an example (the Jacobian times the root of
    the loss's Hessian over the root of the samples), the solve is the dual one, ``(g - A^T (A A^T +
    damping)^-1 A g) / damping``: for ``g = A^T r`` it is ``A^T (A A^T + damping)^-1 r``. With fewer
    parameters than rows ``F`` itself is solved. It is a reference for approximations and a choice
    for small problems; nothing is averaged over steps.

    A step of training::

        outputs = model(x)
        optimizer.observe(outputs, y)
        loss(outputs, y).backward()
        optimizer.step()

    Args:
        model: The module to train; its parameters that require gradients are optimized. float32 or
            float64. It must give the same outputs in evaluation mode: no dropout, no statistics of
            the batch. With damping below 1e-5 of the largest eigenvalue take float64.
        loss: As ``nakami.ggn`` takes it: "cross_entropy", "mse", "bce_with_logits" or a torch loss
            of these kinds; weighted or smoothed ones, too. Its mean or sum must be what the
            training descends.
        lr: Learning rate, from 0 on; 1 is a full step, which with squared error takes a
            wide net to its targets at once.
        momentum: Of the steps, from 0 on and below 1; applied to the natural gradient.
        damping: Above 0, in units of the Fisher matrix of the loss (its mean over samples).
        weight_decay: From 0 on, added to the gradient as ``weight_decay w``.
        kl_clip: Above 0: steps are shortened so that ``lr^2 v^T g`` is at most this; None for none,
            for batches that are all of the data: a full step fits a small batch and nothing else.
        largest: Rows of the largest system that is solved; a larger one is refused.

    Raises:
        UsageError: Arguments out of range, a loss without a closed root of its Hessian, half
            precision, a step without ``observe``, a system that is too large, several processes.
        RunError: The damping is too small for the arithmetic of the weights; gradients that are not
            finite.

    Cost: the dual matrix of n rows takes a backward pass for each output of an example and ``O(n^2
    (i + o))`` for a layer, its solve ``O(n^3)`` in float64; on the other side P products for P
    parameters. Memory: ``8 n^2`` bytes and what ``op.kernel.dense()`` holds, by default up to 1
    GiB.

    Source: Amari, Neural Computation 1998; the dual: Karakida and Osawa, NeurIPS 2020.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: nn.Module | str = "",
        lr: float = 1.0,
        *,
        momentum: float = 0.0,
        damping: float = 1e-3,
        weight_decay: float = 0.0,
        kl_clip: float | None = 1e-2,
        largest: int = 4096,
    ):
        check_order(model=model, loss=loss)
        check_model(model)
        if loss == "":
            raise wrong("loss", "be given, for its Hessian", "none", LOSSES)
        judged = criterion(loss)
        if not judged.key:
            raise wrong("loss", "have a Hessian of known root", judged.name, LOSSES)
        self._largest = check_at_least("largest", largest, 1, "4096 is the default")
        settings: dict[str, Any] = {"lr": lr, "momentum": momentum, "damping": damping}
        super().__init__(model, settings | {"weight_decay": weight_decay, "kl_clip": kl_clip})
        self._seen = BatchesSeen(model, self.param_groups[0]["params"], loss, ggn)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """The weights of the model are one group; another is refused."""
        one_group_alone(self)
        super().add_param_group(param_group)

    def observe(self, outputs: Tensor, targets: Any) -> None:
        """Take the batch that the model has just been called with, for the next step.

        Before the next call of the model; with gradient accumulation for each batch.

        Args:
            outputs: What the model returned.
            targets: As the loss takes them.

        Raises:
            UsageError: Outputs without a graph or of another model, a system that is too large.
        """
        self._seen.take(outputs, targets)
        rows = sum(s.outputs.numel() for s in self._seen.seen)
        numbers = sum(p.numel() for group in self.param_groups for p in group["params"])
        if min(rows, numbers) > self._largest:
            self._seen.clear()
            got = f"{rows} outputs and {numbers} parameters"
            ways = ["pass smaller batches", "raise {largest}", "take nakami.optim.EKFAC"]
            rule = f"have at most {self._largest} outputs or parameters for an exact solve"
            raise wrong("a batch", rule, got, ways)

    def _moves(self) -> tuple[dict[Tensor, Tensor], dict[int, float]]:
        if not self._seen.seen:
            raise never_observed(self, "each step")
        op = self._seen.operator()
        group = self.param_groups[0]
        # in the operator's order, that of the model; without a gradient no move
        held = group["params"]
        grads = [torch.zeros_like(p) if p.grad is None else decayed(p, group) for p in held]
        flat = torch.cat([g.reshape(-1) for g in grads])
        if not flat.isfinite().all():
            raise RunError(f"NaturalGradient met {NOT_FINITE}")
        move = solved(op, flat, float(group["damping"]))
        parts = zip(held, move.split([p.numel() for p in held]), strict=True)
        moves = {p: part.reshape(p.shape) for p, part in parts if p.grad is not None}
        return moves, {id(group): float(move @ flat)}

    def _made(self) -> None:
        return  # what was observed is let go by then

    def remove(self) -> None:
        """Take the hook off the model."""
        self._seen.remove()

    def state_dict(self) -> dict[str, Any]:
        """As torch's, with what it is of."""
        return {**super().state_dict(), "kind": self._kind}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on bit by bit where ``state_dict`` was taken.

        Raises:
            UsageError: A state of another optimizer.
        """
        super().load_state_dict(checked_state(state_dict, self._kind))


def solved(op: CurvatureOperator, grad: Tensor, damping: float) -> Tensor:
    """``(F + damping)^-1 g``, ``(P,)``, by the dual where it is the shorter side.

    Args:
        op: The matrix, which has a root.
        grad: ``(P,)``.
        damping: Above 0.

    Raises:
        RunError: The damping is too small for this arithmetic.
    """
    root, kernel = op.root, op.kernel
    assert root is not None  # of the losses that are taken
    assert kernel is not None
    dual = kernel.shape[0] < op.shape[0]
    matrix = (kernel.dense() if dual else op.dense()).double()
    matrix.diagonal().add_(damping)
    factor, failed = torch.linalg.cholesky_ex(matrix)
    if failed:
        size = float(matrix.diagonal().max())
        raise RunError(
            f"the Fisher matrix with damping {damping:.3g} is not positive in {op.dtype}: its "
            f"rounding is larger, at entries of {size:.3g}; raise damping, or use model.double()."
        )

    def once(g: Tensor) -> Tensor:
        if not dual:
            return torch.cholesky_solve(g.double()[:, None], factor)[:, 0].to(grad)
        inner = torch.cholesky_solve((root @ g).double()[:, None], factor)[:, 0]
        return (g - root.T @ inner) / damping

    found, gap = once(grad), math.inf
    for _ in range(REFINED):
        seen = root @ found
        more = once(grad - damping * found - root.T @ seen)
        found, gap = found + more, float((root @ more).norm()) / max(float(seen.norm()), 1e-30)
        if gap <= EXACT:
            return found
    if not gap <= ROUGH:
        raise RunError(
            f"the natural gradient is off by {gap:.2g} of what it does to the outputs in "
            f"{op.dtype} with damping {damping:.3g}; raise damping, or use model.double()."
        )
    return found
