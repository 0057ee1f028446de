"""The four curvature matrices by name: Hessian, Gauss-Newton, Fisher and empirical Fisher.

Every one is a ``CurvatureOperator``, and every one is a snapshot: it keeps a copy of the data, the
weights and the buffers, so that it stays the same matrix whatever the model does later, also in
parts that are built when they are asked for. ``at_current_weights()`` is the matrix of the model as
it is then. What cannot be copied is the model's code: if one of its modules or of their plain
attributes changes, a product that needs to run it again is refused; a change behind ``forward``,
``select``, a loss function, a hook or a closure is not seen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ...results import UsageError, told
from ...spectra import budget_beside, check_at_least, check_seed, without_autocast
from .._arguments import check_order
from ..model._functional_model import FunctionalModel
from ..model._view import View
from ._data import batches
from ._distributed import Ranks
from ._losses import check_kind, criterion
from ._operator import CurvatureOperator

Loss = nn.Module | str | Callable[[Any, Any], Tensor] | None


@told
@without_autocast
def fisher(
    model: nn.Module | View,
    data: Any,
    loss: nn.Module | str,
    params: str | None = None,
    *,
    samples: int | None = None,
    seed: int = 0,
    memory_budget: int | None = None,
    group: Any = None,
) -> CurvatureOperator:
    """The Fisher information of the model's own distribution, ``F = 1/T sum_t J_t^T L_t J_t``.

    **Sum over outputs, mean over samples**, whatever the loss's reduction; ``L_t`` is ``diag(p) -
    p p^T`` for cross-entropy, ``diag(p (1 - p))`` for Bernoulli, the identity for squared error
    (unit variance). A matrix of many outputs (a language model's) is had by ``samples``: the outer
    products of gradients at targets drawn from the model's own distribution, right on average.

    Args:
        model: Any module, or a ``View`` of one; read in evaluation mode, left as it was. With
            ``View(batch_statistics=True)`` examples of a batch depend on each other, and ``data``
            should come in the batches of the training.
        data: ``(x, y)``, or an iterable of such batches, read once and copied. A batch may also be
            a mapping or an object that holds its targets, or a tuple of several inputs and a
            target, see ``View(target=)``. NumPy's arrays count as tensors. A batch is taken in
            parts, to keep to the budget, only where all of its rows are shown to be independent,
            and the loss a sum over parts; else it is kept whole.
        loss: ``CrossEntropyLoss``, ``MSELoss``, ``BCEWithLogitsLoss`` without weights or
            smoothing, or their names (``"cross_entropy"``, ``"mse"``, ``"bce_with_logits"``). It
            gets what the model returns: its only floating tensor, or ``logits`` among several.
            Classes lie on axis 1, as in torch; logits of sequences may also have them last, ``(n,
            T, classes)`` with targets ``(n, T)``, or be flattened, ``(n T, classes)``.
        params: A shell pattern of parameter names; default all that require a gradient.
        samples: Draws of each sample's target; default the exact matrix.
        seed: Seed of the draws; the global random state is not touched.
        memory_budget: Bytes for what is kept of the network between products; default 1 GiB, or
            eight times those of the weights where that is more.
        group: A ``torch.distributed`` process group, or ``"world"``: each of its ranks passes data
            of its own, and the matrix, the loss and the trace are those of all data together. All
            ranks make the same calls with the same arguments and seeds, and get the same numbers;
            draws of ``samples`` differ by rank. ``root`` and ``kernel`` are None, ``by_batch`` is
            refused. A product adds two ``all_reduce``.

    Returns:
        A snapshot, ``(P, P)``, for ``nakami.eigh``, ``trace`` and ``density``; the model's later
        weights are in its ``at_current_weights()``.

    Raises:
        UsageError: Empty data, wrong targets, a loss that is not finite, no parameters, batch
            statistics in a network with dropout or without normalisation by the batch; ranks with
            other arguments, weights or buffers, or an error on one of them.

    Cost: building, some passes over the data; a product, about three passes for each column; an
    estimate of the trace, a backward pass for each probe. None of these takes a pass for each
    position of a sequence.
    Source: Martens, JMLR 21 (2020), sections 5 to 9; Karakida, Akaho & Amari, AISTATS 2019.
    """
    if samples is not None:
        check_at_least("samples", samples, 1, "use 1")
    return _made("fisher", model, data, loss, params, memory_budget, group, samples, seed)


@told
@without_autocast
def ggn(
    model: nn.Module | View,
    data: Any,
    loss: Loss,
    params: str | None = None,
    *,
    memory_budget: int | None = None,
    group: Any = None,
) -> CurvatureOperator:
    """The generalised Gauss-Newton matrix of a loss, its own reduction included.

    It is the Hessian at zero residual, never negative, and bounds learning rates. Arguments,
    result, errors and cost are those of ``fisher``, but that ``loss`` may also be weighted or
    smoothed, or any function of (outputs, targets) that is convex in the outputs. A function gets
    all that the model returns, unless the view selects one tensor; torch's own losses get one
    tensor, as above. It reaches the model through its outputs alone: a term of the weights is
    refused. Whether it is a sum or a mean, and what batches count in it, is measured on the
    outputs: over several batches it is what it would be of all data at once; batches of other
    lengths count their tokens where the loss is a mean over tokens. Where that is no sum over
    batches (a contrastive loss, one with a term of its own, a mean of each sequence), it is the
    mean of its values of the batches, by their examples (rows of axis 0): ``op.reduction`` says
    which.

    Source: Martens, JMLR 21 (2020), section 8.
    """
    return _made("ggn", model, data, loss, params, memory_budget, group)


@told
@without_autocast
def hessian(
    model: nn.Module | View,
    data: Any,
    loss: Loss,
    params: str | None = None,
    *,
    memory_budget: int | None = None,
    group: Any = None,
) -> CurvatureOperator:
    """The second derivative of a loss, its own reduction included; eigenvalues may be negative.

    Arguments, result, errors and cost are those of ``ggn``, but that ``loss`` need not be convex,
    the matrix has no root, and a gradient whose own derivative torch has wrong is refused. With
    ``loss=None`` it is that of the loss which the model returns (``loss`` of its output, or the one
    number in it) when its targets are among its inputs, as models of transformers do. All of a
    batch goes to the model as it is, labels too.
    """
    return _made("hessian", model, data, loss, params, memory_budget, group)


@told
@without_autocast
def empirical_fisher(
    model: nn.Module | View,
    data: Any,
    loss: nn.Module | str,
    params: str | None = None,
    *,
    memory_budget: int | None = None,
    group: Any = None,
) -> CurvatureOperator:
    """``1/T sum_t g_t g_t^T`` with the gradients at the data's own targets.

    It is another matrix than the Fisher information, and vanishes where the data are fitted.
    Arguments, result, errors and cost are those of ``fisher``.

    Source: Kunstner, Balles & Hennig, NeurIPS 2019.
    """
    return _made("empirical_fisher", model, data, loss, params, memory_budget, group)


def _made(
    kind: str,
    model: nn.Module | View,
    data: Any,
    loss: Any,
    params: str | None,
    memory_budget: int | None,
    group: Any,
    samples: int | None = None,
    seed: int = 0,
) -> CurvatureOperator:
    ranks = Ranks(group)
    with ranks.together("the arguments", UsageError):
        check_order(model=model, data=data, loss=loss)
        judged = criterion(loss)
        check_kind(judged, kind)
        seed, network = check_seed(seed), FunctionalModel(model)
        entries = sum(weight.numel() for weight in network.weights.values())
        budget = budget_beside(memory_budget, entries, network.dtype or torch.float32)
        parts = batches(network, data, judged, kind, params, budget)
        if samples is not None:
            generator = torch.Generator().manual_seed(ranks.seed(seed))
            for part in parts:
                part.sample(samples, generator)
    at = parts[0].at
    same = (kind, judged.name, judged.sums, samples, seed, at.names)
    ranks.check_alike(same, at.network.weights)
    return CurvatureOperator(parts, samples, ranks)
