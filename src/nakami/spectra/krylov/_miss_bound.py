"""One eigenvalue alone: a Lanczos run from one vector, and how unlikely it is that it missed more.

The last Lanczos vector is ``p(A) v`` of the first one, with a polynomial ``p`` that the run knows.
Its share of an eigenvector ``x`` of value ``l`` is ``p(l) <v, x>``, at most 1. So, where ``v`` is
random, an ``l`` with a large ``p(l)`` is improbable: its share in ``v`` would be too small.

Source: van Dorsselaer, Hochstenbach & van der Vorst, SIAM J. Matrix Anal. Appl. 22 (2000).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .._operator import LinearOperator

UNLIKELY = 1e-3  # chance that a value beyond the margin was missed, at most
MARGIN = 0.1  # relative, beyond the value found


def first_vector(
    op: LinearOperator, generator: torch.Generator, guess: Tensor | None = None
) -> tuple[Tensor, float]:
    """A unit vector ``(n, 1)``, and ``log 1/d``: its share of any direction is below d by accident.

    Half of it is random in any case: beside a guess ``(n, 1)`` a share is the least likely to be
    small where the guess has none, so that d only shrinks by the random part's length.
    """
    n = op.shape[1]
    draw = torch.randn(n, 1, generator=generator, dtype=torch.float64) / math.sqrt(n)
    random, least = draw.to(op.device), UNLIKELY * math.sqrt(math.pi / (2 * n))
    whole = random
    if guess is not None:
        whole = random + guess.double() / guess.double().norm().clamp_min(1e-300)
    length = float(whole.norm())
    return (whole / length).to(op.dtype), math.log(length / least)
