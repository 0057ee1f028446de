"""Natural gradient unit by unit: a block of the Fisher matrix for each unit's weights and bias."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..results import check_choice
from ._blocks import low_rank_solved, quasi_diagonal_solved
from ._kronecker import Pairs, average, over_processes, products
from ._observed import Observed
from ._taps import Matrix

FORMS = ("estimated", "quasi-diagonal")


class UnitwiseNaturalGradient(Observed):
    """Natural gradient with a block of the Fisher matrix for each unit, stored in O(fan-in).

    The weights ``w`` and the bias of one output of a linear, convolutional or recurrent layer have
    a block ``E[d^2 (x; 1) (x; 1)^T]``: ``x`` the inputs, ``d`` the slope of the output ``u = w x +
    bias`` at targets drawn from the model. Units do not mix. All other parameters (norms,
    embeddings, shared weights) are divided by the diagonal of the same Fisher matrix plus
    ``damping``.

    * ``form="estimated"``: the block that holds for independent normal inputs with their measured
      means ``m`` and variances ``v``: diagonal plus rank 2, ``A_0 diag(v; 0) + V C V^T`` with
      ``V = [(s; 0), (m; 1)]``, ``C = [[A_2 - A_0, A_1], [A_1, A_0]]``, ``s = v w / sqrt(w v w)``,
      ``A_j = E[d^2 z^j]``, ``z`` the standardized ``u``. ``(F + damping)^-1`` is exact. Positions
      of a convolution and steps of a recurrent layer count as independent. Three numbers a unit
      and two an input are stored.
    * ``form="quasi-diagonal"``: each weight is solved with the bias, from measured ``F_00 =
      E[g_0^2]``, ``F_0j = E[g_0 g_j]``, ``F_jj = E[g_j^2]``, g the gradient of an example (over all
      positions). Without damping steps do not depend on scale or offset of each input. Weights
      without a bias go by the plain diagonal. Two numbers a weight are stored.

    Used as ``KFAC`` is: ``observe`` between the model's call and ``backward()``.

    Args:
        model: The module to train; its parameters that require gradients are optimized. float32 or
            float64 (autocast around the call is fine).
        loss: As ``nakami.fisher`` takes it: "cross_entropy", "mse", "bce_with_logits" or a torch
            loss of these kinds. Its mean or sum must be what the training descends.
        lr: Learning rate, from 0 on; 1 is a full step of the approximate Newton method.
        form: "estimated" or "quasi-diagonal".
        momentum: Of the steps, 0 to 1; applied to the natural gradient.
        damping: Above 0, added to the diagonal of F; in units of the Fisher matrix of the loss (its
            mean over samples).
        weight_decay: From 0 on, added to the gradient as ``weight_decay w``.
        decay: Of the running means at each observation, between 0 and 1.
        refresh: Steps between observations.
        kl_clip: Above 0: steps are shortened so that ``lr^2 v^T g`` is at most this; None for none.
        seed: Of the drawn targets. torch's global random state is left alone.

    Raises:
        UsageError: Arguments out of range, a loss without a closed root of its Hessian, half
            precision, a first step without ``observe``.

    Cost: an observation takes one backward pass and ``O(n i o)`` for n positions of a layer with i
    inputs and o outputs, as the layer itself; a step ``O(i o)``. Processes that train together
    (``DistributedDataParallel``) average their observations.

    Source: Amari, Karakida, Oizumi, AISTATS 2019 (arXiv 1808.07172), with a variance for each input
    and damping added to F exactly; quasi-diagonal: Ollivier, Information and Inference 2015 (arXiv
    1303.0818); Marceau-Caron and Ollivier 2016 (arXiv 1602.08007).
    """

    def __init__(
        self,
        model: nn.Module,
        loss: nn.Module | str = "",
        lr: float = 0.1,
        *,
        form: str = "estimated",
        momentum: float = 0.9,
        damping: float = 3e-2,
        weight_decay: float = 0.0,
        decay: float = 0.95,
        refresh: int = 10,
        kl_clip: float | None = 1e-3,
        seed: int = 0,
    ):
        check_choice("form", form, FORMS, 'pass "estimated", the default')
        self._form = form
        settings: dict[str, Any] = {"lr": lr, "momentum": momentum, "damping": damping}
        settings |= {"weight_decay": weight_decay, "decay": decay, "kl_clip": kl_clip}
        super().__init__(model, loss, settings, refresh, seed)

    @property
    def _kind(self) -> str:
        return f'{type(self).__name__}(form="{self._form}")'

    def _read(self, sums: list[dict[str, Any]], samples: Tensor, decay: float) -> None:
        for name, matrix in self._taps.matrices.items():
            batches = [(s["pairs"][name], s["rows"]) for s in sums if name in s["pairs"]]
            if batches and self._form == "estimated":
                self._read_moments(matrix, [pair for p, _ in batches for pair in p], samples, decay)
            elif batches:
                self._read_squares(matrix, batches, samples, decay)

    def _read_squares(
        self, matrix: Matrix, batches: list[tuple[Pairs, int]], samples: Tensor, decay: float
    ) -> None:
        state = self.state[matrix.weight]
        keys = ["squares"] if matrix.bias is None else ["squares", "mixed"]
        choices = [lambda g: g, lambda g: g[..., -1:]][: len(keys)]
        each = [products(pairs, rows, choices) for pairs, rows in batches]
        for key, parts in zip(keys, zip(*each, strict=True), strict=True):
            total = over_processes(torch.stack(parts).sum(0))
            average(state, key, total / samples.to(total), decay)

    def _read_moments(self, matrix: Matrix, pairs: Pairs, samples: Tensor, decay: float) -> None:
        state, bias = self.state[matrix.weight], matrix.bias
        x = torch.cat([x.flatten(0, 1) for x, _ in pairs])  # (n, i) and the 1 for the bias
        squares = torch.cat([d.flatten(0, 1) for _, d in pairs]).square()  # (n, o)
        x = x if bias is None else x[:, :-1]
        count = over_processes(torch.tensor(float(len(x)))).to(x)
        mean = over_processes(x.sum(0)) / count
        centred = x - mean
        u = centred @ matrix.weight.detach().reshape(len(matrix.weight), -1).T
        spread = (over_processes(u.square().sum(0)) / count).sqrt()
        z = torch.where(spread > 0, u / spread, 0.0)
        total = torch.stack([squares.sum(0), (squares * z).sum(0), (squares * z.square()).sum(0)])
        average(state, "A", over_processes(total) / samples.to(total), decay)
        variance = over_processes(centred.square().sum(0)) / count
        # the mixture of the old and the new inputs, without a difference of large numbers
        share = (1 - decay) / (1 - decay + decay * float(state.get("mean_weight", 0.0)))
        between = share * (1 - share) * (mean - state.get("mean", mean)).square()
        average(state, "mean", mean, decay)
        average(state, "variance", variance, decay)
        state["variance"] += between

    def _solved(self, matrix: Matrix, grad: Tensor, damping: float) -> Tensor | None:
        state = self.state[matrix.weight]
        if "squares" in state:
            if matrix.bias is None:
                return grad / (state["squares"] + damping)
            return quasi_diagonal_solved(grad, state["squares"], state["mixed"], damping)
        if "A" not in state:
            return None
        weight = matrix.weight.detach().reshape(len(grad), -1)
        return low_rank_solved(grad, weight, state["A"], state["mean"], state["variance"], damping)
