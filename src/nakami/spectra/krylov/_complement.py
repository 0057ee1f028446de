"""What lies outside a basis: one random vector bounds it, and finds values that were missed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .._operator import LinearOperator, finite
from .._threads import one_thread
from ._basis import project
from ._certificate import Form, certified_level, log_christoffel, log_needed

Apply = Callable[[Tensor], tuple[Tensor, float]]


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


def normal_product(op: LinearOperator) -> Apply:
    """``A^T A`` times a row ``(1, n)``, and its Rayleigh quotient; two products."""

    def apply(row: Tensor) -> tuple[Tensor, float]:
        image = finite(op @ row.T)
        return finite(op.T @ image).T, float(image.double().square().sum())

    return apply


def signed_product(op: LinearOperator, sign: int) -> Apply:
    """``A`` or ``-A`` times a row ``(1, n)``, and its Rayleigh quotient."""

    def apply(row: Tensor) -> tuple[Tensor, float]:
        image = finite(op @ row.T).T * sign
        return image, float((image.double() * row.double()).sum())

    return apply


def outside(
    apply: Apply,
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
        apply: ``H`` times a row.
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
    eps = torch.finfo(basis.dtype).eps
    draw = torch.randn(1, basis.shape[1], generator=generator, dtype=torch.float64).to(basis)
    upper, scale, steps = math.inf, 0.0, min(asked.steps, free)
    rows = basis.new_empty(steps, basis.shape[1])  # of Lanczos, as far as they are made
    rows[0] = _unit(_outside(draw, basis))
    alpha: list[float] = []
    beta: list[float] = []
    shares: list[Tensor] = []
    for j in range(steps):
        found, row = rows[: j + 1], rows[j : j + 1]
        z, quotient = apply(row)
        share = (row @ waiting.T).double().cpu()  # (1, b)
        added = share @ corner
        shares.append(share)
        alpha.append(quotient + float(added @ share.T))
        z = z + added.to(z) @ waiting
        scale = max(scale, float(z.double().norm()), abs(alpha[-1]))
        z = _outside(z, basis, found)
        beta.append(float(z.double().norm()))
        ritz, gains, directions = _ritz(alpha, beta, torch.cat(shares), corner)
        closed = beta[-1] <= 1e-3 * eps * scale  # the space is invariant, not by rounding alone
        hopeless = j >= 2 and (gains[0] > asked.missed or ritz > asked.level)
        if j >= 3 and ritz < asked.level and log_christoffel(alpha, beta, asked.level) >= needed:
            upper = asked.level
            break
        if closed:
            upper = ritz + 2 * eps * scale
        if closed or j + 1 == steps or (hopeless and not asked.patient):
            break
        rows[j + 1] = _unit(_outside(_unit(z), basis, found))
    if math.isinf(upper):
        upper = certified_level(alpha, beta, ritz, needed)
    turned = directions.T.to(rows) @ rows[: len(gains)]
    return Outside(float(gains[0]), upper, gains, turned, len(alpha))


def _outside(rows: Tensor, *bases: Tensor) -> Tensor:
    for _ in range(2):
        for basis in bases:
            rows = project(rows, basis)[0]
    return rows


def _unit(row: Tensor) -> Tensor:
    return row / float(row.double().norm().clamp_min(1e-300))


def _ritz(
    alpha: list[float], beta: list[float], shares: Tensor, corner: Tensor
) -> tuple[float, Tensor, Tensor]:
    """Largest Ritz value of ``B + N^T K N``; all of ``B``, descending, and their small vectors."""
    off = torch.tensor(beta[:-1], dtype=torch.float64)
    small = torch.tensor(alpha, dtype=torch.float64).diag() + off.diag(1) + off.diag(-1)
    with one_thread(small):
        top = torch.linalg.eigvalsh(small)[-1]
        gains, vectors = torch.linalg.eigh(small - shares @ corner @ shares.T)
    return float(top), gains.flip(0), vectors.flip(1)


def keys(values: Tensor, which: str) -> Tensor:
    """What is largest for the eigenvalues asked for."""
    return {"largest": values, "smallest": -values, "magnitude": values.abs()}[which]
