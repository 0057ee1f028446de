"""The limit of an optimizer's learning rate at the present weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ..operators import Fisher, fisher
from ..results import wrong
from ..spectra import EighResult, LinearOperator, Scaled, check_budget, check_seed, eigh
from ._probe import probed
from ._result import LearningRate
from ._settings import Coordinates, adaptive, check_optimizer, coordinates, make, started
from ._stability import limit

FORWARD, FORWARD_MODE, GRADIENT = 1 / 3, 2 / 3, 1.0  # in gradient evaluations


def learning_rate(
    model: nn.Module,
    data: Any,
    loss: nn.Module | str | Callable[[Tensor, Any], Tensor],
    optimizer: Optimizer | str = "sgd",
    *,
    probe: int = 20,
    each_batch: bool = True,
    tol: float = 1e-3,
    seed: int = 0,
    forward: Callable[[nn.Module, Any], Any] | None = None,
    select: Callable[[Any], Tensor] | None = None,
    batch_statistics: bool = False,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
    memory_budget: int | None = None,
) -> LearningRate:
    """The learning rate above which an optimizer's steps grow, at the present weights.

    Along an eigenvector of the loss's Gauss-Newton matrix ``G`` a step is linear; it shrinks below

    * gradient descent ``2 / l``, with ``l`` the largest eigenvalue of ``G``;
    * momentum ``m``, dampening ``d``: ``2 (1 + m) / ((1 - d) l)``;
    * Nesterov's momentum ``2 (1 + m) / ((1 + 2 m) l)``;
    * Adam ``2 (1 + b1) / ((1 - b1) l)`` with ``l`` of ``D^-1/2 G D^-1/2``, ``D`` its denominators
      ``sqrt(v) + eps``, held: real Adam changes them and may bear more.

    Weight decay is in. The limit is **local**: exact where residuals are tiny; with larger ones
    the loss rises above it, and may come down again in a flatter place.

    Args:
        model: Any module; read in evaluation mode, left as it was.
        data: ``(x, y)``, or an iterable of such batches, read once and held: a loader in random
            order does no harm, an endless one must be cut.
        loss: A torch loss, its name, or a function, as ``nakami.fisher`` takes it.
        optimizer: ``"sgd"``, ``"momentum"`` (0.9), ``"nesterov"`` (0.9), ``"adam"``, ``"adamw"``
            with torch's defaults, or an instance of torch's ``SGD``, ``Adam`` or ``AdamW`` on the
            model's parameters. Only the ratios of its rates count, but for the probe.
        probe: Steps on a copy that fill Adam's denominators where the optimizer has none yet, at
            its own rate (by name 1e-3), batch after batch; all is then read where they end.
        each_batch: Whether the batches are read one by one beside all together.
        tol: Bound on the estimated relative error of the eigenvalues.
        seed: Seed of the search's random start; the global random state is not touched.
        forward: ``forward(model, x)`` where ``model(x)`` does not do.
        select: Picks the output that the loss takes.
        batch_statistics: Batch normalisation by each batch, as in training.
        dtype: Arithmetic to compute in; default that of the weights.
        device: Where to compute; default where the weights are.
        memory_budget: Bytes for what is kept of the network between products; default 1 GiB.

    Returns:
        A ``LearningRate``; rates in the unit of the optimizer's ``lr``.

    Raises:
        UsageError: What ``nakami.fisher`` refuses; an optimizer of another kind, of other
            parameters, without a rate, with ``maximize`` or a momentum of 1 and more.
        RunError: The probe diverged.

    Cost: some ten products with ``G`` over the data for each eigenvalue (one of all data, one of
    each batch, one more for Adam and for groups), said in ``cost``.
    Source: Cohen et al., arXiv 2103.00065 (momentum) and 2207.14484 (Adam); Karakida, Akaho &
    Amari, AISTATS 2019 (Fisher information and learning rates).
    """
    check_optimizer(optimizer)
    probe, seed = _check_probe(probe), check_seed(seed)
    op = fisher(
        model, data, loss, "ggn", forward, select=select, batch_statistics=batch_statistics,
        dtype=dtype, device=device, memory_budget=memory_budget,
    )  # fmt: skip
    parameters: dict[str, Tensor] = dict(model.named_parameters())
    named = {name: parameters[name] for name in op.names}
    stepping = make(optimizer, named)
    kind, source, spent = type(stepping).__name__, "", 0.0
    if adaptive(stepping):
        source = "the optimizer's state"
        if not started(stepping, named):
            rate = max(float(group["lr"]) for group in stepping.param_groups)
            stepping, named, op = probed(stepping, named, op, probe)
            source = f"{probe} steps on a copy at rate {rate:.3g}; all is read where they ended"
            spent = probe * GRADIENT
    frame = coordinates(stepping, named, op.parts[0].point)
    reading = _Reading(frame, tol, seed, check_budget(memory_budget), spent)
    return reading.result(op, kind, source, each_batch)


class _Reading:
    """Eigenvalues in an optimizer's coordinates, with what they cost.

    Attributes:
        cost: In gradient evaluations on one batch. ends: How each search ended.
    """

    def __init__(self, frame: Coordinates, tol: float, seed: int, budget: int, cost: float):
        self.frame, self.tol, self.seed, self.budget = frame, tol, seed, budget
        self.cost, self.ends = cost, list[EighResult]()

    def result(self, op: Fisher, kind: str, source: str, each_batch: bool) -> LearningRate:
        """All that is read of the matrix of all data, and of each batch."""
        frame, batches = self.frame, op.by_batch()
        n = len(batches)
        self.cost += n * FORWARD
        sharpness, relative = self.sharpness(op, n)
        shift = frame.common_shift
        if frame.plain and shift is not None:
            lambda_max = sharpness - shift
        else:
            lambda_max = self.top(op, op, n)[0]
        alone = batches if each_batch and n > 1 else []
        warm = self.ends[0].vectors
        each = tuple(self.sharpness(part, 1, warm)[0] for part in alone) or (sharpness,)
        found = limit(frame.rule, sharpness)
        return LearningRate(
            limit=found,
            error=found * relative if found < float("inf") else 0.0,
            limits=tuple(found * rate if rate else 0.0 for rate in frame.rates),
            lambda_max=lambda_max,
            sharpness=sharpness,
            batch_sharpness=each,
            batch_limit=limit(frame.rule, max(each)),
            rule=frame.rule,
            optimizer=kind,
            preconditioner=source,
            loss=op.loss,
            value=op.value,
            matrix="Gauss-Newton, the loss's own reduction",
            n_samples=op.n_samples,
            sample=op.sample,
            n_batches=n,
            cost=self.cost,
            seed=self.seed,
            converged=all(end.converged for end in self.ends),
            reason=next((e.reason for e in self.ends if not e.converged), self.ends[0].reason),
        )

    def sharpness(
        self, op: Fisher, n_batches: int, start: Tensor | None = None
    ) -> tuple[float, float]:
        """Largest eigenvalue in the optimizer's coordinates, and its relative error."""
        frame, shift = self.frame, self.frame.common_shift
        matrix: LinearOperator = op
        if not frame.plain or shift is None:
            matrix = Scaled(op, frame.scale, frame.shift if shift is None else None)
        value, relative = self.top(matrix, op, n_batches, start)
        moved = value + (shift or 0.0)
        return moved, relative * value / moved if moved else 0.0

    def top(
        self, matrix: LinearOperator, op: Fisher, n_batches: int, start: Tensor | None = None
    ) -> tuple[float, float]:
        """Largest eigenvalue of a matrix made of the products of ``op``."""
        budget, seed = self.budget, self.seed
        found = eigh(matrix, 1, self.tol, seed=seed, memory_budget=budget, start=start)
        passes = found.n_products * (FORWARD_MODE + GRADIENT)
        if found.settings.get("root") == "dual" and matrix is op and op.root is not None:
            passes += GRADIENT * op.root.shape[0] / sum(len(part.z) for part in op.parts)
        self.cost += passes * n_batches
        self.ends.append(found)
        return max(0.0, float(found.values[0])), float(found.errors[0])


def _check_probe(probe: object) -> int:
    if isinstance(probe, bool) or not isinstance(probe, int) or probe < 1:
        raise wrong("probe", "be a whole number from 1 on", repr(probe), "20 is the default")
    return probe
