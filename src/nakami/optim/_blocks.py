"""Inverses of a unit's block of the Fisher matrix at a cost of its number of inputs."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.linalg import vecdot


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
    g, with_bias = grad[:, :n], grad.shape[1] > n
    inverse = (A[0, :, None].to(grad) * variance + damping).reciprocal_()  # (o, i)
    s = weight * variance
    length = vecdot(s, weight).sqrt()
    s *= torch.where(length > 0, 1 / length, 0.0)[:, None]  # without weights any direction will do
    scaled = s * inverse
    # V^T D^-1 V and V^T D^-1 g, D the diagonal with damping, whose entry for the bias is damping
    ss, sm, mm = vecdot(s, scaled), scaled @ mean, inverse @ mean.square()
    s_g, m_g = vecdot(scaled, g), (inverse * g) @ mean
    if with_bias:
        mm, m_g = mm + 1 / damping, m_g + grad[:, n] / damping
    # (I + C V^T D^-1 V)^-1 C V^T D^-1 g, two by two, in float64
    ss, sm, mm, s_g, m_g = (t.double() for t in (ss, sm, mm, s_g, m_g))
    c_s, c_m = (A[2] - A[0]) * s_g + A[1] * m_g, A[1] * s_g + A[0] * m_g
    a, b = 1 + (A[2] - A[0]) * ss + A[1] * sm, (A[2] - A[0]) * sm + A[1] * mm
    c, d = A[1] * ss + A[0] * sm, 1 + A[1] * sm + A[0] * mm
    back = torch.stack([d * c_s - b * c_m, a * c_m - c * c_s], dim=1) / (a * d - b * c)[:, None]
    back = back.to(grad)
    move = (g - s * back[:, :1] - mean * back[:, 1:]) * inverse
    if not with_bias:
        return move
    return torch.cat([move, (grad[:, n:] - back[:, 1:]) / damping], dim=1)
