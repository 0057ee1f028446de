"""The squared norm of an encoder's Jacobian at each example, as a loss that can be descended.

``nakami.jacobian`` is not used here: it holds a network still at one input, detaches all states and
checks its products, so it has no gradient by the weights and no batch. What it calls reverse mode
and double reverse is done here by plain autograd, through the graph that the loss is made of, so
that the penalty is that of the same run (and of the same dropout mask, if there is one).
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from nakami.operators import random_states_kept
from nakami.results import wrong
from nakami.zoo._layers import uniform

EXACT = 64  # values of the smaller side, up to which the default is exact
PROBES = 4  # of the default beyond


def squared_norm(
    h: Tensor, x: Tensor, probes: int | None = None, generator: torch.Generator | None = None
) -> Tensor:
    """``|dh/dx|_F^2`` of each example, ``(N,)``, with a gradient.

    Exactly: the sum of ``|J^T e|^2`` over unit vectors ``e`` of ``h``, or of ``|J e|^2`` over those
    of ``x`` where it has fewer values. Otherwise the mean of ``|J^T s|^2`` over random signs ``s``,
    drawn for each example by itself (Hutchinson): unbiased, with the variance
    ``2 / probes sum over i != j of (J J^T)_ij^2``.

    Args:
        h: Hidden units ``(N, ...)``, each example's from its own row of ``x`` alone.
        x: What they were computed from, ``(N, ...)``, requiring a gradient.
        probes: As ``contraction_probes`` of ``Autoencoding``.
        generator: Source of the signs; None: a fresh one with seed 0.

    Raises:
        UsageError: ``h`` has no derivative by ``x``.

    Cost: a backward pass for each probe or value (two for values of ``x``), at once, and as many
    backward passes again for the gradient.
    Source: Hutchinson, Communications in Statistics 18 (1989).
    """
    if not h.requires_grad:
        way_out = "compute the hidden units without detach() and no_grad()"
        raise wrong("module", "be differentiable by its input", "an encoder that is not", way_out)
    m, n = h[0].numel(), x[0].numel()
    least = min(m, n)
    if least > (EXACT if probes is None else probes):
        count, generator = probes or PROBES, generator or torch.Generator().manual_seed(0)
        signs = uniform(h.detach().expand(count, *h.shape), generator).lt(0.5).to(h) * 2 - 1
        return _products(h, x, signs).flatten(2).square().sum(2).mean(0)
    if m == least:
        return _products(h, x, _units(h)).flatten(2).square().sum((0, 2))
    u = torch.zeros_like(h, requires_grad=True)
    (pulled,) = torch.autograd.grad(h, x, u, create_graph=True, materialize_grads=True)
    return _products(pulled, u, _units(x)).flatten(2).square().sum((0, 2))


def _products(y: Tensor, x: Tensor, block: Tensor) -> Tensor:
    """``J^T u`` for each ``u`` of a block ``(count, *y.shape)``: ``(count, *x.shape)``."""
    (made,) = torch.autograd.grad(
        y, x, block, create_graph=True, is_grads_batched=True, materialize_grads=True
    )
    return made


def _units(like: Tensor) -> Tensor:
    """Each unit vector, the same for all examples: ``(size, N, ...)``."""
    size = like[0].numel()
    eye = torch.eye(size, dtype=like.dtype, device=like.device)
    return eye.reshape(size, 1, *like.shape[1:]).expand(-1, *like.shape)


def check_apart(module: nn.Module, x: Tensor) -> None:
    """Refuse an encoder that mixes examples, tried on two: then there is no Jacobian of each."""
    if len(x) < 2:
        return
    other, x = copy.deepcopy(module), x.detach().clone()
    x = x.to(next(other.parameters())).requires_grad_()
    with random_states_kept(x.device), torch.enable_grad():
        h = other(x)
        if not h.requires_grad:
            return  # refused where the norm is taken
        (slope,) = torch.autograd.grad(h[0].sum(), x, materialize_grads=True)
    if slope[1].any():
        got, way_out = (
            "a contraction of one that mixes them",
            "replace batch by layer normalisation",
        )
        raise wrong("module", "keep the examples of a batch apart", got, way_out)
