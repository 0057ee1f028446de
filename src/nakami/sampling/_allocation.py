"""Geometric allocation of Suwa and Todo: a move among n states that seldom stays.

Origin: Suwa, Todo, "Markov chain Monte Carlo method without detailed balance", Phys. Rev. Lett.
105, 120603 (2010). Weights are laid end to end, largest first, and once more shifted by the
largest; what overlaps is the flow from state to state.

With ``S_i = w_1 + ... + w_i``, ``S_0 = S_n`` and ``D_ij = S_i - S_(j-1) + w_1`` the flow is
``max(0, min(D_ij, w_i + w_j - D_ij, w_i, w_j))``. Here each case is written out, so that states of
tiny weight lose no digits: nothing flows to ``1 < j <= i``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..results import wrong


def suwa_todo(weights: Tensor) -> Tensor:
    """Transition matrix ``K`` among n states that keeps ``weights`` invariant.

    Its rejection ``sum_i w_i K_ii = max(0, 2 w_1 - sum w)`` is the least possible (``w_1`` the
    largest). For two states it is Metropolis' kernel; from three on it breaks detailed balance.

    Args:
        weights: ``(..., n)``, not negative, not all 0; any scale.

    Returns:
        ``(..., n, n)``, rows sum to 1. States of weight 0 go to the first of the largest.
    """
    if weights.ndim < 1 or weights.shape[-1] < 1 or not weights.is_floating_point():
        got = f"{weights.dtype} of shape {tuple(weights.shape)}"
        raise wrong(
            "weights", "be floating, of shape (..., n)", got, "pass torch.tensor([1.0, 2.0])"
        )
    largest = weights.amax(-1, keepdim=True)
    if not (torch.isfinite(weights).all() and (weights >= 0).all() and (largest > 0).all()):
        got = f"{float(weights.min()):g} to {float(weights.max()):g}"
        raise wrong("weights", "be finite, not negative, not all 0", got, "pass exp(-energy)")
    w, order = (weights / largest).sort(stable=True, dim=-1, descending=True)
    n = w.shape[-1]
    back, square = order.argsort(-1), (*w.shape, n)
    places = torch.arange(n, device=w.device).expand(w.shape)
    matrix = row(w[..., None, :].expand(square), places)
    matrix = matrix.gather(-2, back[..., :, None].expand_as(matrix))
    return matrix.gather(-1, back[..., None, :].expand_as(matrix))


def row(w: Tensor, place: Tensor) -> Tensor:
    """Row of the matrix for sorted weights ``(..., n)``, ``w_1 = 1``, at ``place`` ``(...,)``."""
    sums, at = w.cumsum(-1), place[..., None]
    own, upto = w.gather(-1, at), sums.gather(-1, at)
    first = torch.minimum(1 - (sums[..., -1:] - upto), own)
    between = sums - w - upto  # of the states between this one and j
    later = torch.minimum(1 - between, own + (w - 1) + between)
    later = torch.minimum(later, torch.minimum(w, own))
    places = torch.arange(w.shape[-1], device=w.device)
    flow = torch.where(places == 0, first, torch.where(places > at, later, 0.0)).clamp_(min=0)
    flow[..., 0] += torch.where(own[..., 0] > 0, 0.0, 1.0)
    return flow / flow.sum(-1, keepdim=True)


def allocated(log_weight: Tensor, current: Tensor, generator: torch.Generator) -> Tensor:
    """A move by this kernel: new states, ``(..., n)`` and ``(...,) -> (...,)``."""
    w, order = log_weight.sort(stable=True, dim=-1, descending=True)
    w = (w - w[..., :1]).clamp_(min=-60).exp_()
    place = (order == current[..., None]).int().argmax(-1)
    target = chosen(row(w, place), generator)
    return order.gather(-1, target[..., None])[..., 0]


def heat_bath(log_weight: Tensor, current: Tensor, generator: torch.Generator) -> Tensor:
    """A state drawn from the weights alone, ``(..., n)`` and ``(...,) -> (...,)``."""
    return chosen(log_weight.softmax(-1), generator)


def chosen(p: Tensor, generator: torch.Generator) -> Tensor:
    """An index for each row of probabilities ``(..., n)``."""
    sums = p.cumsum(-1)
    u = torch.empty_like(sums[..., :1]).uniform_(generator=generator)
    return (sums <= u * sums[..., -1:]).sum(-1).clamp_(max=p.shape[-1] - 1)


def moved_pairs(logit: Tensor, v: Tensor, u: Tensor) -> Tensor:
    """New states of pairs of independent units by this kernel, all ``(..., 2)``; ``u`` ``(...,)``.

    The four weights, over the largest, are ``1, q, r, q r`` with ``q >= r``: without a sort they
    are those of no unit, the weaker, the stronger and both against their logits. The rows of the
    matrix are written out with ``1 + q r >= q + r``, and ``u`` in [0, 1) chooses.
    """
    size, up = logit.abs(), logit > 0
    first = (size[..., 0] < size[..., 1]) | ((size[..., 0] == size[..., 1]) & up[..., 0])
    weaker = torch.stack([first, ~first], -1)
    against = up != (v > 0.5)
    q, r = size.amin(-1).neg_().exp_(), size.amax(-1).neg_().exp_()
    s, small, large = q * r, (against & weaker).any(-1), (against & ~weaker).any(-1)
    both = torch.minimum(torch.minimum(1 - r, q + r + s - 1), s).clamp_(min=0)
    t = u * q  # of the weaker against its logit alone
    from_small_both, from_small_large = t < both, t < both + (q + r - 1).clamp_(min=0)
    from_large_both = u * r < r + s - 1
    none, only_small = ~(small | large), small & ~large
    goes_small = none & ((u < q) | ((u >= q + r) & (u < q + r + s)))
    goes_small |= (only_small & from_small_both) | (large & ~small & from_large_both)
    goes_large = none & (u >= q) & (u < q + r + s)
    goes_large |= (only_small & from_small_large) | (large & ~small & from_large_both)
    turned = torch.where(weaker, goes_small[..., None], goes_large[..., None])
    return (up != turned).to(v.dtype)
