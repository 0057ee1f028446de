"""Natural gradient unit by unit: a block of the Fisher matrix for each unit's weights and bias."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge

from ..results import check_choice
from ._behind import behind
from ._blocks import low_rank_solved, quasi_diagonal_solved
from ._kronecker import Pairs, average, over_processes, products, used_by_all
from ._observed import Observed
from ._slope_moments import Activation, slope_moments
from ._taps import Matrix

Use = tuple[nn.Module, Activation, Tensor]  # a layer, what follows it, the slope of what that makes

FORMS = ("estimated", "quasi-diagonal", "closed")


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
    * ``form="closed"``: the block of "estimated" with ``A_j = beta E[phi'(u)^2 z^j]`` computed from
      the weights and the inputs' means and variances, ``phi`` the elementwise activation behind a
      linear layer or convolution and ``beta = E[e^2]`` measured, ``e`` the slope of phi's output.
      It holds in wide nets with random weights, where ``e`` and ``phi'(u)`` are independent: use it
      at the start or in theory, "estimated" in training. phi is found in the graph of autograd:
      linear (the model's last layer), ReLU, leaky ReLU, hard tanh and erf in closed form, tanh,
      sigmoid, GELU, SiLU, softplus, Mish, sine and cosine by a rule. Other layers have the block of
      "estimated"; ``activations`` says which do not. Four numbers a unit and two an input.

    Used as ``KFAC`` is: ``observe`` between the model's call and ``backward()``.

    Args:
        model: The module to train; its parameters that require gradients are optimized. float32 or
            float64 (autocast around the call is fine).
        loss: As ``nakami.fisher`` takes it: "cross_entropy", "mse", "bce_with_logits" or a torch
            loss of these kinds. Its mean or sum must be what the training descends.
        lr: Learning rate, from 0 on; 1 is a full step of the approximate Newton method.
        form: "estimated", "quasi-diagonal" or "closed".
        momentum: Of the steps, 0 to 1; applied to the natural gradient.
        damping: Above 0, added to the diagonal of F; in units of the Fisher matrix of the loss (its
            mean over samples).
        weight_decay: From 0 on, added to the gradient as ``weight_decay w``.
        decay: Of the running means at each observation, between 0 and 1.
        refresh: Steps between observations.
        kl_clip: Above 0: steps are shortened so that ``lr^2 v^T g`` is at most this; None for none.
            Its default and that of ``damping`` reached the goal in all trainings of four small nets
            (docs/natural-gradient.md); a small damping wants a small clip.
        seed: Of the drawn targets. torch's global random state is left alone.

    Raises:
        UsageError: Arguments out of range, a loss without a closed root of its Hessian, half
            precision, sharded weights, a first step without ``observe``.
        RunError: What is observed is not finite; "closed" with inputs of a smooth activation that
            deviate by more than 1000.

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
        damping: float = 3e-3,
        weight_decay: float = 0.0,
        decay: float = 0.95,
        refresh: int = 10,
        kl_clip: float | None = 1e-5,
        seed: int = 0,
    ):
        check_choice("form", form, FORMS, 'pass "estimated", the default')
        self._form = form
        self._activations = dict[str, Activation]()
        settings: dict[str, Any] = {"lr": lr, "momentum": momentum, "damping": damping}
        settings |= {"weight_decay": weight_decay, "decay": decay, "kl_clip": kl_clip}
        super().__init__(model, loss, settings, refresh, seed)

    @property
    def _kind(self) -> str:
        return f'{type(self).__name__}(form="{self._form}")'

    @property
    def activations(self) -> dict[str, str]:
        """Of ``form="closed"``: weights whose layers had a known activation when last observed."""
        return {name: str(phi) for name, phi in self._activations.items()}

    def _places(self, outputs: Tensor) -> list[tuple[Any, GradientEdge]]:
        if self._form != "closed":
            return []
        layers = self._taps.layers()
        found = behind(outputs, [place for _, _, place in layers])
        return [
            ((name, module, follows.activation), follows.place)
            for (name, module, _), follows in zip(layers, found, strict=True)
            if follows is not None
        ]

    def _read(self, sums: list[dict[str, Any]], samples: Tensor, decay: float) -> None:
        closed = self._closed(sums)
        self._activations = {name: uses[0][1] for name, uses in closed.items()}
        for name, matrix in self._taps.matrices.items():
            batches = [(s["pairs"][name], s["rows"]) for s in sums if name in s["pairs"]]
            pairs = [pair for p, _ in batches for pair in p]
            if batches and self._form == "quasi-diagonal":
                self._read_squares(matrix, batches, samples, decay)
            elif name in closed:
                self._read_closed(matrix, pairs, closed[name], samples, decay)
            elif batches:
                self._read_moments(matrix, pairs, samples, decay)

    def _closed(self, sums: list[dict[str, Any]]) -> dict[str, list[Use]]:
        """Uses of weights whose layers have one known activation behind them, in all processes."""
        if self._form != "closed":
            return {}
        found = dict[str, list[Use]]()
        for name in self._taps.matrices:
            pairs = sum(len(s["pairs"].get(name, ())) for s in sums)
            uses = [(*key[1:], g) for s in sums for key, g in s["places"]
                    if key[0] == name and g is not None]  # fmt: skip
            if len(uses) == pairs and len({phi for _, phi, _ in uses}) == 1:
                found[name] = uses
        names = list(self._taps.matrices)
        weights = [matrix.weight for matrix in self._taps.matrices.values()]
        everywhere = used_by_all([name in found for name in names], weights[0]) if names else []
        return {name: found[name] for name, all_ in zip(names, everywhere, strict=True) if all_}

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

    def _read_inputs(self, matrix: Matrix, pairs: Pairs, decay: float) -> tuple[Tensor, Tensor]:
        """Their means and variances; and the inputs without their mean, (n, i), and how many."""
        state = self.state[matrix.weight]
        x = torch.cat([x.flatten(0, 1) for x, _ in pairs])  # (n, i) and the 1 for the bias
        x = x if matrix.bias is None else x[:, :-1]
        count = over_processes(x.new_tensor(float(len(x))))
        mean = over_processes(x.sum(0)) / count
        centred = x - mean
        variance = over_processes(centred.square().sum(0)) / count
        # the mixture of the old and the new inputs, without a difference of large numbers
        share = (1 - decay) / (1 - decay + decay * float(state.get("mean_weight", 0.0)))
        between = share * (1 - share) * (mean - state.get("mean", mean)).square()
        average(state, "mean", mean, decay)
        average(state, "variance", variance, decay)
        state["variance"] += between
        return centred, count

    def _read_moments(self, matrix: Matrix, pairs: Pairs, samples: Tensor, decay: float) -> None:
        centred, count = self._read_inputs(matrix, pairs, decay)
        squares = torch.cat([d.flatten(0, 1) for _, d in pairs]).square()  # (n, o)
        u = centred @ matrix.weight.detach().reshape(len(matrix.weight), -1).T
        spread = (over_processes(u.square().sum(0)) / count).sqrt()
        z = torch.where(spread > 0, u / spread, 0.0)
        total = torch.stack([squares.sum(0), (squares * z).sum(0), (squares * z.square()).sum(0)])
        average(self.state[matrix.weight], "A", over_processes(total) / samples.to(total), decay)

    def _read_closed(
        self, matrix: Matrix, pairs: Pairs, uses: list[Use], samples: Tensor, decay: float
    ) -> None:
        self._read_inputs(matrix, pairs, decay)
        state, weight = self.state[matrix.weight], matrix.weight.detach()
        axis = -1 if weight.ndim == 2 else 1 - weight.ndim  # of the units
        squares = [g.to(weight).square().movedim(axis, -1).flatten(0, -2).sum(0) for *_, g in uses]
        total = over_processes(torch.stack(squares).sum(0))
        average(state, "beta", total / samples.to(total), decay)
        module, phi, _ = uses[0]
        flat, bias = weight.reshape(len(weight), -1), module._parameters.get("bias")
        h = flat @ state["mean"] + (0.0 if bias is None else bias.detach())
        s = (flat.square() @ state["variance"]).sqrt()
        state["A"] = (state["beta"] * slope_moments(phi, s, h)).to(weight)

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
