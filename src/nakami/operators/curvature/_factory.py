"""The geometry of parameters: Fisher information, Gauss-Newton, empirical Fisher and Hessian."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ...results import UsageError, wrong
from ...spectra import check_at_least, check_budget, check_seed
from ..model._functional_model import FunctionalModel
from ..model._view import Forward, Select, View
from ._batches import batches
from ._distributed import Ranks
from ._losses import Criterion, criterion
from ._operator import Fisher

KINDS = ("fisher", "ggn", "empirical", "hessian")


def fisher(
    model: nn.Module | View,
    data: Any,
    loss: nn.Module | str | Callable[[Tensor, Any], Tensor],
    kind: str = "fisher",
    forward: Forward | None = None,
    params: str | None = None,
    *,
    samples: int | None = None,
    seed: int = 0,
    batch_statistics: bool = False,
    select: Select | None = None,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
    memory_budget: int | None = None,
    group: Any = None,
) -> Fisher:
    """A curvature matrix of a network's parameters, as a matrix-free symmetric operator.

    ``"fisher"``: ``F = 1/T sum_t J_t^T L_t J_t``, the Fisher information of the model's own
    distribution: **sum over outputs, mean over samples**, whatever the loss's reduction; ``L_t`` is
    ``diag(p) - p p^T`` for cross-entropy, ``diag(p (1 - p))`` for Bernoulli, the identity for
    squared error (unit variance). ``"ggn"``: the generalised Gauss-Newton matrix of the loss as
    it is, its own reduction included; the Hessian at zero residual, which bounds learning rates.
    ``"empirical"``: ``1/T sum_t g_t g_t^T`` with the gradients at the data's own targets; another
    matrix, which vanishes where the data are fitted. ``"hessian"``: the second derivative of the
    loss, its own reduction included; it may have negative eigenvalues.

    The operator is a snapshot: it keeps a copy of the data, the weights and the buffers, so that
    it stays the same matrix whatever the model does later, also in parts that are built when they
    are asked for. ``at_current_weights()`` is the matrix of the model as it is then. What cannot
    be copied is the model's code: if one of its modules or of their plain attributes changes, a
    product that needs to run it again is refused; a change behind ``forward``, ``select``, a loss
    function, a hook or a closure is not seen.

    A Fisher matrix of many outputs (a language model's) is had by ``samples``: the outer products
    of gradients at targets drawn from the model's own distribution, right on average over draws.

    Args:
        model: Any module, or a ``View`` of one; read in evaluation mode, left as it was.
        data: ``(x, y)``, or an iterable of such batches, read once and held.
        loss: ``CrossEntropyLoss``, ``MSELoss``, ``BCEWithLogitsLoss``, their names
            (``"cross_entropy"``, ``"mse"``, ``"bce_with_logits"``), or, for ``"ggn"`` and
            ``"hessian"``, any function of (outputs, targets) that is convex in the outputs and
            a mean over the batch.
        kind: See above.
        forward: ``forward(model, x)`` where ``model(x)`` does not do.
        params: A shell pattern of parameter names; default all that require a gradient.
        samples: With ``kind="fisher"``, draws of each sample's target; default the exact matrix.
        seed: Seed of the draws; the global random state is not touched.
        batch_statistics: Batch normalisation by the statistics of each batch of ``data``, as in
            training, in place of its running ones; buffers stay as they are. Then examples of a
            batch depend on each other, and ``data`` should come in the batches of the training.
        select: Picks the output that the loss takes.
        dtype: Arithmetic to compute in; default that of the weights.
        device: Where to compute; default where the weights are.
        memory_budget: Bytes for what is kept of the network between products; default 1 GiB.
        group: A ``torch.distributed`` process group, or ``"world"``: each of its ranks passes data
            of its own, and the matrix, the loss and the trace are those of all data together. All
            ranks make the same calls with the same arguments and seeds, and get the same numbers;
            draws of ``samples`` differ by rank. ``root`` and ``kernel`` are None, ``by_batch`` is
            refused. A product adds two ``all_reduce``.

    Returns:
        A ``Fisher``, shape ``(P, P)``, for ``nakami.eigh``, ``trace`` and ``density``.

    Raises:
        UsageError: Empty data, wrong targets, a loss that is not finite, no parameters, batch
            statistics in a network with dropout or without normalisation by the batch; ranks with
            other arguments, weights or buffers, or an error on one of them.

    Cost: building, some passes over the data; a product, about three passes for each column.
    Source: Martens, JMLR 21 (2020), sections 5 to 9; Karakida, Akaho & Amari, AISTATS 2019.
    """
    ranks = Ranks(group)
    with ranks.together("the arguments", UsageError):
        judged = _checked(loss, kind, samples)
        seed, budget = check_seed(seed), check_budget(memory_budget)
        network = FunctionalModel(model, forward, select, dtype, device, batch_statistics)
        parts = batches(network, data, judged, params, budget)
        if samples is not None:
            generator = torch.Generator().manual_seed(ranks.seed(seed))
            for part in parts:
                part.sample(samples, generator)
    ranks.check_alike(
        (kind, judged.name, judged.sums, samples, seed, parts[0].names), network.weights
    )
    return Fisher(parts, judged, kind, samples, ranks)


def _checked(loss: Any, kind: str, samples: object) -> Criterion:
    """The loss taken apart, where it and the samples suit the kind."""
    if kind not in KINDS:
        raise wrong("kind", f"be one of {', '.join(KINDS)}", repr(kind), "use 'fisher'")
    judged = criterion(loss)
    if kind in ("fisher", "empirical") and judged.nll is None:
        raise UsageError(
            f"loss must be a plain negative log-likelihood for kind={kind!r}, got {judged.name} "
            "(weighted, smoothed or a function of your own); use kind='ggn'."
        )
    if samples is not None:
        _check_samples(samples, kind)
    return judged


def _check_samples(samples: object, kind: str) -> None:
    if kind != "fisher":
        raise wrong("samples", "be left out unless kind='fisher'", f"kind={kind!r}", "drop it")
    check_at_least("samples", samples, 1, "use 1")
