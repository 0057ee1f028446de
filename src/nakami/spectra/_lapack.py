"""Small dense decompositions that do not give up.

LAPACK's divide and conquer, which torch calls, is the fastest way and at times does not converge,
as on matrices with many equal eigenvalues; QR iteration then takes its place, on the processor.
"""

from __future__ import annotations

import torch
from torch import Tensor


def eigh(a: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues, smallest first, and vectors of a symmetric matrix, as ``torch.linalg.eigh``."""
    try:
        values, vectors = torch.linalg.eigh(a)
    except torch.linalg.LinAlgError:
        import scipy.linalg  # takes longer to load than most matrices take

        found = scipy.linalg.eigh(a.detach().cpu().numpy(), driver="ev")
        values, vectors = (torch.from_numpy(part).to(a.device) for part in found)
    return values, vectors


def eigvalsh(a: Tensor) -> Tensor:
    """Eigenvalues alone, smallest first, as ``torch.linalg.eigvalsh``."""
    try:
        return torch.linalg.eigvalsh(a)
    except torch.linalg.LinAlgError:
        return eigh(a)[0]


def svd(a: Tensor, full_matrices: bool = True) -> tuple[Tensor, Tensor, Tensor]:
    """Left vectors, values, right vectors as rows, as ``torch.linalg.svd``."""
    try:
        u, s, vh = torch.linalg.svd(a, full_matrices=full_matrices)
    except torch.linalg.LinAlgError:
        import scipy.linalg

        matrix = a.detach().cpu().numpy()
        found = scipy.linalg.svd(matrix, full_matrices=full_matrices, lapack_driver="gesvd")
        u, s, vh = (torch.from_numpy(part).to(a.device) for part in found)
    return u, s, vh


def svdvals(a: Tensor) -> Tensor:
    """Singular values alone, as ``torch.linalg.svdvals``."""
    try:
        return torch.linalg.svdvals(a)
    except torch.linalg.LinAlgError:
        return svd(a, full_matrices=False)[1]
