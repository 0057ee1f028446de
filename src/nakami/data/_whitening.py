"""Whitening: a linear map to uncorrelated values of one variance, and its inverse."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nakami.results import check_choice, check_count, is_number, wrong


@dataclass(frozen=True)
class Whitening:
    """``z = M (x - mean)`` and back, ``x = B z + mean``.

    Attributes:
        mean: ``(d,)``. matrix: ``M``, ``(k, d)``. back: ``B``, ``(d, k)``, with ``M B = 1`` for
            ``k`` components and ``B M`` the projection onto them (both at ``eps=0``).
        variances: Of the components, ``(k,)``, largest first.
    """

    mean: Tensor
    matrix: Tensor
    back: Tensor
    variances: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """Whitened, ``(N, ...) -> (N, k)``."""
        return (x.flatten(1) - self.mean) @ self.matrix.T

    def inverse(self, z: Tensor) -> Tensor:
        """From whitened values, ``(N, k) -> (N, d)``."""
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
        x: ``(N, ...)``, flattened.
        components: How many are kept, those of the largest variance; None: all.
        kind: ``"pca"``: each output is one component, ``M = L^-1/2 U^T``. ``"zca"``: turned back to
            the axes of the input, ``M = U L^-1/2 U^T``, as near to ``x`` as a whitening can be.
        eps: Added to the variances, as a share of the largest, so that noise is not raised.

    Raises:
        UsageError: More components than have a variance above rounding, where ``eps`` is 0.

    Cost: ``N d^2 + d^3`` multiplications, in float64.
    """
    check_choice("kind", kind, ("pca", "zca"), "use 'pca'")
    if not (is_number(eps) and eps >= 0):
        raise wrong("eps", "be a number from 0 on", eps, "use 0.01")
    rows = x.detach().flatten(1).double()
    mean = rows.mean(0)
    values, vectors = torch.linalg.eigh((rows - mean).T @ (rows - mean) / len(rows))
    values, vectors = values.flip(0).clamp_min(0), vectors.flip(1)
    d = len(values)
    k = d if components is None else check_count("components", components, d, "values of x", "")
    there = int((values > d * torch.finfo(torch.float32).eps * values[0]).sum())
    if k > there and eps == 0:
        rule = f"be at most {there}, the directions in which x varies"
        raise wrong("components", rule, k, ["lower it", "pass eps=0.01"])
    values, vectors = values[:k] + eps * values[0], vectors[:, :k]
    matrix, back = vectors.T / values.sqrt()[:, None], vectors * values.sqrt()
    if kind == "zca":
        matrix, back = vectors @ matrix, back @ vectors.T
    return Whitening(*(t.to(x.dtype) for t in (mean, matrix, back, values)))
