"""K-FAC and EKFAC: natural gradients with a Kronecker product for each layer's Fisher matrix."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..results import check_at_least
from ._kronecker import (
    average,
    decompose,
    moments,
    over_processes,
    solved,
    squares_in_bases,
)
from ._observed import Observed
from ._taps import Matrix

EARLY = (1, 2, 4, 8)  # observations after which bases are made anew whatever ``basis`` says


class KFAC(Observed):
    """Natural gradient with ``F = G (x) A`` for each layer.

    For linear, convolutional and recurrent layers ``A`` is the mean of ``a a^T`` over examples and
    positions (``a`` the inputs with a 1 for the bias, or patches), ``G`` the sum of ``d d^T`` over
    positions per sample, ``d`` the slopes of the layer's output at targets drawn from the model
    (random signs through the root of the loss's Hessian: class weights, label smoothing and ignored
    targets count as in the loss). Both are running means. The step solves ``(G (x) A + damping) v =
    g`` in their eigenbases, exactly. All other parameters (norms, embeddings, biases apart, shared
    weights) are divided by the diagonal of the same Fisher matrix plus ``damping``.

    A step of training::

        outputs = model(x)
        optimizer.observe(outputs, y)      # does nothing but in every refresh-th step
        loss(outputs, y).backward()
        optimizer.step()

    Args:
        model: The module to train; its parameters that require gradients are optimized. float32 or
            float64 (autocast around the call is fine).
        loss: As ``nakami.fisher`` takes it: "cross_entropy", "mse", "bce_with_logits" or a torch
            loss of these kinds. Its mean or sum must be what the training descends.
        lr: Learning rate, from 0 on; 1 is a full step of the approximate Newton method.
        momentum: Of the steps, 0 to 1; applied to the natural gradient.
        damping: Above 0, in units of the Fisher matrix of the loss (its mean over samples).
        weight_decay: From 0 on, added to the gradient as ``weight_decay w``.
        decay: Of the running means at each observation, between 0 and 1.
        refresh: Steps between observations. basis: steps between eigendecompositions; also after
            observations 1, 2, 4 and 8.
        kl_clip: Above 0: steps are shortened so that ``lr^2 v^T g`` is at most this; None for none.
            Its default and that of ``damping`` reached the goal in all trainings of four small nets
            (docs/natural-gradient.md); a small damping wants a small clip.
        seed: Of the drawn targets. torch's global random state is left alone.

    Raises:
        UsageError: Arguments out of range, a loss without a closed root of its Hessian, half
            precision, sharded weights, a first step without ``observe``.

    Cost: an observation takes one backward pass and ``O(n (i^2 + o^2))`` for n positions of a layer
    with i inputs and o outputs (a recurrent layer is run again, step by step); a basis ``O(i^3 +
    o^3)``; a step ``O(i o (i + o))``. Memory: ``2 (i^2 + o^2)`` a layer beside the momentum.
    Processes that train together (``DistributedDataParallel``) average their observations.

    Source: Martens and Grosse, ICML 2015 (arXiv 1503.05671); convolutions: Grosse and Martens, ICML
    2016; shared weights as "expand" of Eschenhagen et al., NeurIPS 2023.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: nn.Module | str = "",
        lr: float = 0.1,
        *,
        momentum: float = 0.9,
        damping: float = 3e-3,
        weight_decay: float = 0.0,
        decay: float = 0.95,
        refresh: int = 10,
        basis: int = 50,
        kl_clip: float | None = 1e-5,
        seed: int = 0,
    ):
        self._basis = check_at_least("basis", basis, 1, "50 is the default")
        self._last_basis = -self._basis
        settings: dict[str, Any] = {"lr": lr, "momentum": momentum, "damping": damping}
        settings |= {"weight_decay": weight_decay, "decay": decay, "kl_clip": kl_clip}
        super().__init__(model, loss, settings, refresh, seed)

    def _read(self, sums: list[dict[str, Any]], samples: Tensor, decay: float) -> None:
        for name, matrix in self._taps.matrices.items():
            pairs = [pair for s in sums for pair in s["pairs"].get(name, ())]
            if pairs:
                a = moments([x for x, _ in pairs])
                d = moments([d for _, d in pairs])
                count = a.new_tensor(float(sum(x.shape[0] * x.shape[1] for x, _ in pairs)))
                a = over_processes(a) / over_processes(count)
                state = self.state[matrix.weight]
                average(state, "inputs", a, decay)
                average(state, "slopes", over_processes(d) / samples.to(d), decay)
        if self._observations in EARLY or self._steps - self._last_basis >= self._basis:
            self._last_basis = self._steps
            for matrix in self._taps.matrices.values():
                if "inputs" in self.state[matrix.weight]:
                    decompose(self.state[matrix.weight])
        self._rescale(sums, samples, decay)

    def _rescale(self, sums: list[dict[str, Any]], samples: Tensor, decay: float) -> None:
        """The variances in the eigenbases: here products of the factors' eigenvalues."""
        for matrix in self._taps.matrices.values():
            state = self.state[matrix.weight]
            if "inputs" in state:
                state["scales"] = torch.outer(state["slopes_values"], state["inputs_values"])

    def _solved(self, matrix: Matrix, grad: Tensor, damping: float) -> Tensor | None:
        state = self.state[matrix.weight]
        return solved(state, grad, damping) if "scales" in state else None

    def _counts(self) -> tuple[int, ...]:
        return *super()._counts(), self._last_basis

    def _count_from(self, counts: tuple[int, ...]) -> None:
        super()._count_from(counts[:2])
        self._last_basis = counts[2]


class EKFAC(KFAC):
    """K-FAC whose variances in the eigenbases are measured, not products of two factors'.

    ``scales[i, j]`` is the running mean of ``(U_G^T g U_A)_ij^2``, ``g`` the gradient of one
    example at drawn targets: the best diagonal in that basis, so ``F`` is met at least as well as
    by K-FAC. Arguments as ``KFAC``.

    Rows along axis 0 of a layer's input count as examples where the outputs have as many; else the
    gradient of the whole batch is taken, which is right in the mean and noisier. Of time-first
    inputs whose steps mix later, products between steps are left out. Cost beside K-FAC's: per
    observation ``O(n i o)`` for n positions.

    Source: George et al., NeurIPS 2018 (arXiv 1806.03884).
    """

    def _rescale(self, sums: list[dict[str, Any]], samples: Tensor, decay: float) -> None:
        for name, matrix in self._taps.matrices.items():
            state = self.state[matrix.weight]
            if "inputs" not in state:
                continue
            if "scales" not in state or self._last_basis == self._steps:
                # K-FAC's counts as one observation in a new basis
                state["scales"] = torch.outer(state["slopes_values"], state["inputs_values"])
                state["scales_weight"] = 1 - decay
            squares = [
                squares_in_bases(s["pairs"][name], state, s["rows"])
                for s in sums
                if name in s["pairs"]
            ]
            if squares:
                measured = over_processes(torch.stack(squares).sum(0)) / samples.to(squares[0])
                average(state, "scales", measured, decay)
