"""Transport losses for training: modules that compare a batch of masses with targets."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..results import check_choice, named_as, wrong, wrong_type
from ._check import check_ends, check_masses, check_reg
from ._costs import Cost, as_cost
from ._divergences import entropic_cost, lambda_divergence, sinkhorn_divergence
from ._sinkhorn import MAX_STEPS

LOSS_TOLERANCE = 1e-4
REDUCTIONS = ("mean", "sum", "none")


class TransportLoss(nn.Module):
    """What the transport losses share; ``forward(prediction, target)``."""

    def __init__(
        self,
        cost: Cost | Tensor,
        reg: float,
        *,
        reduction: str = "mean",
        tolerance: float = LOSS_TOLERANCE,
        max_steps: int = MAX_STEPS,
        memory_budget: int | None = None,
    ):
        super().__init__()
        check_choice("reduction", reduction, REDUCTIONS, "'mean' is the default")
        self.cost, self.reg, self.reduction = as_cost(cost), check_reg(reg), reduction
        self.tolerance, self.max_steps = check_ends(tolerance, max_steps)
        self.memory_budget = memory_budget

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Of masses ``(B, *shape)``, or anything with as many numbers in each row."""
        masses = [
            self._rows(name, given, shape)
            for name, given, shape in (
                ("prediction", prediction, self.cost.target),
                ("target", target, self.cost.shape),
            )
        ]
        with named_as("p", "target", q="prediction"):
            check_masses(masses[1], masses[0], self.cost, given=(target, prediction))
            values = self._values(*masses)
        if self.reduction == "none":
            return values
        return values.mean() if self.reduction == "mean" else values.sum()

    def extra_repr(self) -> str:
        """The cost in words, and the blur."""
        return f"{self.cost.convention}, reg={self.reg:g}, reduction={self.reduction!r}"

    def _values(self, prediction: Tensor, target: Tensor) -> Tensor:
        raise NotImplementedError

    def _rows(self, name: str, given: object, shape: tuple[int, ...]) -> Tensor:
        if not isinstance(given, Tensor):
            raise wrong_type(name, "be a tensor of masses", given, "pass softmax(logits, 1)")
        if given.ndim < 2 or given[0].numel() != torch.Size(shape).numel():
            rule = f"have {torch.Size(shape).numel()} masses in each row, as the cost has points"
            raise wrong(name, rule, tuple(given.shape), "pass (B, ...) of that size")
        return given.reshape(len(given), *shape)


class LambdaDivergenceLoss(TransportLoss):
    """``D[target : prediction]``, the lambda-divergence, as a loss; see ``lambda_divergence``.

    Zero where the prediction is the target, by one solution for each pair, where the Sinkhorn
    divergence needs three.

    Args:
        cost: A ``Grid``, ``Points(x)``, or a square matrix.
        reg: Factor of the entropy, in units of the cost: the blur, of variance ``reg / 2``.
        reduction: ``"mean"`` or ``"sum"`` over the batch, or ``"none"``.
        tolerance: On the marginals of the plans, L1.
        max_steps: Of the iteration.
        memory_budget: Bytes for kernels; default 1 GiB.

    ``forward(prediction, target)`` takes masses ``(B, *shape)`` with equal sums, for example
    ``softmax`` outputs and pictures divided by their sums; ``(B, 1, 28, 28)`` and ``(B, 784)`` fit
    ``Grid((28, 28))`` too.

    Raises:
        UsageError: As ``lambda_divergence``.
    """

    def _values(self, prediction: Tensor, target: Tensor) -> Tensor:
        return lambda_divergence(
            target, prediction, self.cost, self.reg, tolerance=self.tolerance,
            max_steps=self.max_steps, memory_budget=self.memory_budget,
        )  # fmt: skip


class SinkhornLoss(TransportLoss):
    """The Sinkhorn divergence of target and prediction, or the entropic cost, as a loss.

    The entropic cost alone is smallest at a blurred target, not at the target.

    Args:
        cost: A ``Grid``, ``Points``, or a matrix.
        reg: Factor of the entropy, in units of the cost.
        debiased: True: ``sinkhorn_divergence``, three solutions for each pair; False:
            ``entropic_cost``, one.
        reduction: ``"mean"`` or ``"sum"`` over the batch, or ``"none"``.
        tolerance: On the marginals of the plans, L1.
        max_steps: Of the iteration.
        memory_budget: Bytes for kernels; default 1 GiB.

    ``forward(prediction, target)`` takes masses as ``LambdaDivergenceLoss`` does.

    Raises:
        UsageError: As ``sinkhorn_divergence``.
    """

    def __init__(
        self,
        cost: Cost | Tensor,
        reg: float,
        *,
        debiased: bool = True,
        reduction: str = "mean",
        tolerance: float = LOSS_TOLERANCE,
        max_steps: int = MAX_STEPS,
        memory_budget: int | None = None,
    ):
        super().__init__(
            cost, reg, reduction=reduction, tolerance=tolerance, max_steps=max_steps,
            memory_budget=memory_budget,
        )  # fmt: skip
        self.debiased = debiased

    def _values(self, prediction: Tensor, target: Tensor) -> Tensor:
        loss = sinkhorn_divergence if self.debiased else entropic_cost
        return loss(
            target, prediction, self.cost, self.reg, tolerance=self.tolerance,
            max_steps=self.max_steps, memory_budget=self.memory_budget,
        )  # fmt: skip
