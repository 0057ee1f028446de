"""What lies outside a basis: one random vector bounds it, and finds values that were missed."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .. import _lapack
from .._operator import LinearOperator, finite
from .._threads import one_thread
from ._basis import project
from ._certificate import Form, certified_level, log_christoffel, log_needed
from ._vector_lanczos import Product, VectorLanczos


@dataclass(frozen=True)
class Asked:
    """What a search is to show.

    Attributes:
        level: The level that should hold. missed: a gain above it shows a value that was missed.
        delta: Chance that the answer is wrong, at most.
        steps: Of Lanczos, at most. patient: go on to the end whatever is seen on the way.
    """

    level: float
    missed: float
    delta: float
    steps: int
    patient: bool = False


@dataclass(frozen=True)
class Outside:
    """What a search showed, in levels.

    Attributes:
        gain: Largest Ritz value of the complement, from below.
        upper: Level that holds but for the chance asked for.
        ritz: Ritz values of the complement, descending, with ``directions``, ``(p, n)``.
        steps: Lanczos steps made.
    """

    gain: float
    upper: float
    ritz: Tensor
    directions: Tensor
    steps: int


def normal_product(op: LinearOperator) -> Product:
    """``A^T A`` times rows ``(p, n)``, and their Rayleigh quotients; two products each."""

    def product(rows: Tensor) -> tuple[Tensor, Tensor]:
        image = finite(op @ rows.T)
        return finite(op.T @ image).T, image.double().square().sum(0).cpu()

    return product


def outside(
    product: Product,
    basis: Tensor,
    waiting: Tensor,
    form: Form,
    asked: Asked,
    generator: torch.Generator,
) -> Outside:
    """Lanczos on ``B + N^T K N`` from one random vector in the complement of a basis.

    ``B`` is ``H`` there and ``K`` what eliminating the Ritz vectors below the level adds, see
    ``Form.eliminated``. Where an eigenvalue from the level on exists, its share in the vector is at
    most ``1 / sqrt(sum p_i(level)^2)``; once that is improbably small, the level is certified. The
    event depends on the first vector alone, so it may be looked for after every step. It ends early
    where a value was missed, or where the level is seen not to hold.

    Args:
        product: ``H`` times rows.
        basis: ``V``, ``(c, n)`` rows.
        waiting: ``N``, ``(b, n)`` rows.
        form: What the run knows.
        asked: What to show.
        generator: Draws the vector.

    Source: van Dorsselaer, Hochstenbach & van der Vorst, SIAM J. Matrix Anal. Appl. 22 (2000), with
    a vector of its own, drawn after the basis.
    """
    corner = form.eliminated(asked.level)
    free = basis.shape[1] - len(basis)
    needed = log_needed(asked.delta, free)
    shares: list[Tensor] = []

    def with_corner(row: Tensor) -> tuple[Tensor, Tensor]:
        image, quotient = product(row)
        share = (row @ waiting.T).double().cpu()  # (1, b)
        added = share @ corner
        shares.append(share)
        return image + added.to(image) @ waiting, quotient + (added * share).sum(1)

    draw = torch.randn(1, basis.shape[1], generator=generator, dtype=torch.float64).to(basis)
    for _ in range(2):
        draw = project(draw, basis)[0]
    start = draw / float(draw.double().norm().clamp_min(1e-300))
    # Invariant is a space where nothing new is left, not where rounding is all that is new.
    run = VectorLanczos(with_corner, start, min(asked.steps, free), basis, least=1e-3)
    upper = math.inf
    while True:
        run.step()
        alpha, beta = (each[0, : run.made].tolist() for each in (run.alpha, run.beta))
        ritz, gains, directions = _ritz(run.tridiagonal()[0], torch.cat(shares), corner)
        hopeless = run.made > 2 and (gains[0] > asked.missed or ritz > asked.level)
        certain = ritz < asked.level and log_christoffel(alpha, beta, asked.level) >= needed
        if run.made > 3 and certain:
            upper = asked.level
            break
        if not run.alive.all():
            upper = ritz + 2 * torch.finfo(basis.dtype).eps * float(run.scale)
            break
        if run.made == run.rows.shape[1] or (hopeless and not asked.patient):
            upper = certified_level(alpha, beta, ritz, needed)
            break
    found = directions.T.to(basis) @ run.rows[0, : run.made]
    return Outside(float(gains[0]), upper, gains, found, run.made)


def _ritz(t: Tensor, shares: Tensor, corner: Tensor) -> tuple[float, Tensor, Tensor]:
    """Largest Ritz value of ``B + N^T K N``; all of ``B``, descending, and their small vectors."""
    with one_thread(t):
        top = _lapack.eigvalsh(t)[-1]
        gains, vectors = _lapack.eigh(t - shares @ corner @ shares.T)
    return float(top), gains.flip(0), vectors.flip(1)
