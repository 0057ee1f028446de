"""Inverses of a unit's block of the Fisher matrix at a cost of its number of inputs."""

from __future__ import annotations

import torch
from torch import Tensor


def quasi_diagonal_solved(grad: Tensor, squares: Tensor, mixed: Tensor, damping: float) -> Tensor:
    """Each weight solved with its unit's bias (Marceau-Caron and Ollivier 2016, quasi-diagonal).

    Args:
        grad: Of o units, (o, i + 1), the bias last.
        squares: ``F_jj``, (o, i + 1).
        mixed: ``F_0j``, (o, i + 1); its last column is not read.
        damping: Added to ``squares``.
    """
    g, g_0 = grad[:, :-1], grad[:, -1:]
    f, f_0 = squares[:, :-1] + damping, squares[:, -1:] + damping
    cross = mixed[:, :-1]
    # F_jj F_00 >= F_0j^2 before damping, so this bound holds; in float32 the difference may not
    least = damping * (f + f_0 - damping)
    move = (g * f_0 - g_0 * cross) / torch.maximum(f * f_0 - cross.square(), least)
    move_0 = (g_0 - (cross * move).sum(1, keepdim=True)) / f_0
    return torch.cat([move, move_0], dim=1)


def low_rank_solved(
    grad: Tensor, weight: Tensor, A: Tensor, mean: Tensor, variance: Tensor, damping: float
) -> Tensor:
    """``(F + damping)^-1 g`` with ``F = A_0 diag(v; 0) + V C V^T`` for each unit, exactly.

    ``V = [(s; 0), (m; 1)]``, ``C = [[A_2 - A_0, A_1], [A_1, A_0]]``, ``s = v w / sqrt(w v w)``: the
    block for independent normal inputs (Amari, Karakida, Oizumi 2019, section 4), by the identity
    of Woodbury.

    Args:
        grad: Of o units, (o, i), or (o, i + 1) with the bias last.
        weight: Of the units, (o, i).
        A: ``A_0, A_1, A_2`` of each, (3, o).
        mean: Of the inputs, (i,).
        variance: Of each input, (i,).
        damping: Above 0.
    """
    n, A = weight.shape[1], A.double()
    diagonal = A[0, :, None].to(grad) * variance + damping  # (o, i)
    with_bias = grad.shape[1] > n
    s = weight * variance
    length = (s * weight).sum(1, keepdim=True).sqrt()
    s = torch.where(length > 0, s / length, 0.0)  # without weights any direction is as good
    m = mean.expand_as(s)
    if with_bias:
        diagonal = torch.cat([diagonal, torch.full_like(grad[:, :1], damping)], dim=1)
        s = torch.cat([s, torch.zeros_like(s[:, :1])], dim=1)
        m = torch.cat([m, torch.ones_like(m[:, :1])], dim=1)
    first = grad / diagonal
    V = torch.stack([s, m], dim=2)  # (o, i, 2)
    scaled = V / diagonal[:, :, None]
    inner = (V.mT @ scaled).double()
    C = torch.stack([A[2] - A[0], A[1], A[1], A[0]], dim=1).reshape(-1, 2, 2)
    seen = (V.mT @ first[:, :, None]).double()  # (o, 2, 1)
    core = torch.eye(2, dtype=C.dtype, device=C.device) + C @ inner
    back = torch.linalg.solve(core, C @ seen).to(grad)
    return first - (scaled @ back)[:, :, 0]
