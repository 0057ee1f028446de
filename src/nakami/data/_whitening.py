"""Whitening: a linear map to uncorrelated values of one variance, and its inverse."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nakami.results import check_choice, check_count, is_number, wrong


@dataclass(frozen=True)
class Whitening:
    """``z = M (x - mean)`` and back, ``x = B z + mean``.

    Attributes:
        mean: ``(d,)``. matrix: ``M``, ``(k, d)``; ``(d, d)`` for ``"zca"``. back: ``B``, of the
            transposed shape: ``B M`` is the projection onto the ``k`` components, and so is
            ``M B`` for ``"zca"``, while it is 1 for ``"pca"``.
        variances: Of the components, ``(k,)``, largest first, with what ``eps`` adds.
    """

    mean: Tensor
    matrix: Tensor
    back: Tensor
    variances: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """Whitened, ``(N, ...) -> (N, k)``; ``(N, d)`` for ``"zca"``."""
        return (x.flatten(1) - self.mean) @ self.matrix.T

    def inverse(self, z: Tensor) -> Tensor:
        """From whitened values, ``(N, k)`` or ``(N, d)``, to ``(N, d)``."""
        return z @ self.back.T + self.mean

    def layer(self) -> nn.Linear:
        """The same as a layer that does not learn, for networks that take what was whitened."""
        made = nn.utils.skip_init(nn.Linear, self.matrix.shape[1], self.matrix.shape[0])
        made = made.to(self.matrix).requires_grad_(False)
        with torch.no_grad():
            made.weight.copy_(self.matrix)
            made.bias.copy_(-self.matrix @ self.mean)
        return made


def whitening(
    x: Tensor, components: int | None = None, *, kind: str = "pca", eps: float = 0.0
) -> Whitening:
    """The whitening of the rows of ``x``, by the eigenvectors of their covariance (1/N).

    Args:
        x: ``(N, ...)`` of a floating type, flattened.
        components: How many are kept, those of the largest variance; None: all.
        kind: ``"pca"``: each output is one component, ``M = L^-1/2 U^T``. ``"zca"``: turned back to
            the axes of the input, ``M = U L^-1/2 U^T``, as near to ``x`` as a whitening can be.
        eps: Added to the variances, as a share of the largest, so that noise is not raised.

    Raises:
        UsageError: Values that are not finite, rows that are all the same, or, where ``eps`` is 0,
            more components than have a variance above float32's rounding.

    Cost: ``N d^2 + d^3`` multiplications, in float64.
    """
    check_choice("kind", kind, ("pca", "zca"), "use 'pca'")
    if not (is_number(eps) and 0 <= eps < math.inf):
        raise wrong("eps", "be a number from 0 on", eps, "use 0.01")
    rows = _rows(x)
    mean = rows.mean(0)
    from nakami.spectra import _lapack  # which reading files does without

    values, vectors = _lapack.eigh((rows - mean).T @ (rows - mean) / len(rows))
    values, vectors = values.flip(0).clamp_min(0), vectors.flip(1)
    d = len(values)
    k = (
        d
        if components is None
        else check_count("components", components, d, "values of x", f"use {min(72, d)}")
    )
    there = int((values > d * torch.finfo(torch.float32).eps * values[0]).sum())
    if k > there and eps == 0:
        rule = f"be at most {there}, the directions in which x varies"
        raise wrong("components", rule, k, ["lower it", "pass {eps}=0.01"])
    values, vectors = values[:k] + eps * values[0], vectors[:, :k]
    matrix, back = vectors.T / values.sqrt()[:, None], vectors * values.sqrt()
    if kind == "zca":
        matrix, back = vectors @ matrix, back @ vectors.T
    return Whitening(*(t.to(x.dtype) for t in (mean, matrix, back, values)))


def _rows(x: Tensor) -> Tensor:
    """The rows flat, in float64, or a refusal."""
    floating = isinstance(x, Tensor) and x.is_floating_point() and x.ndim > 1 and x.numel() > 0
    if not floating:
        got = f"{x.dtype} of shape {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
        way_out = "pass data.patches(...).inputs"
        raise wrong("x", "be a floating tensor (N, ...) with rows", got, way_out)
    rows = x.detach().flatten(1).double()
    if not torch.isfinite(rows).all():
        raise wrong("x", "be finite", "NaN or infinity", "leave these rows out")
    if (rows == rows[0]).all():
        raise wrong("x", "hold rows that differ", f"{len(rows)} alike", "pass more examples")
    return rows
