"""What lies outside a basis: the search that shows whether a value was missed."""

from __future__ import annotations

import torch
from torch import Tensor

from ._basis import orthonormal, project, random_rows
from ._operator import LinearOperator, finite
from ._threads import one_thread

WIDTH = 2  # random directions of a search: one alone overlooks the last copies of a cluster
STEPS = 5  # blocks of a search
CHECK_PRODUCTS = (2 * STEPS - 1) * WIDTH  # columns multiplied by one search
CHECKS = 3  # times a missed value is taken in before giving up


def search(op: LinearOperator, basis: Tensor, generator: torch.Generator) -> tuple[float, Tensor]:
    """Largest gains outside a basis, ``A (I - V V^T)``, and their directions.

    A block of two random directions, four Krylov steps, Rayleigh-Ritz over all of them.

    Args:
        op: The matrix ``A``, ``(m, n)``.
        basis: ``(c, n)``, the orthonormal rows ``V`` already searched.
        generator: Draws the two directions.

    Returns:
        The largest gain (a lower bound of the norm of the rest) and ``(2, n)`` leading directions.
        Cost: ``CHECK_PRODUCTS`` products.
    """
    draw = torch.randn(WIDTH, basis.shape[1], generator=generator, dtype=torch.float64)
    rows, found, images = draw.to(basis), basis[:0], []
    for step in range(STEPS):
        for _ in range(2):
            for against in (basis, found):
                rows = project(rows, against)[0]
            rows = torch.linalg.qr(rows.T)[0].T.contiguous()
        found = torch.cat([found, rows])
        images.append(finite(op @ rows.T).T)
        if step < STEPS - 1:
            rows = (op.T @ images[-1].T).T.contiguous()
    rows = torch.cat(images).double()
    squares, u = torch.linalg.eigh(rows @ rows.T)  # of the largest alone, so that squares do
    return float(squares[-1].clamp_min(0).sqrt()), u[:, -WIDTH:].flip(1).T.to(found) @ found


def search_symmetric(
    op: LinearOperator, basis: Tensor, generator: torch.Generator, which: str
) -> tuple[float, Tensor]:
    """Largest key of an eigenvalue of ``(I - V V^T) A (I - V V^T)``, and directions.

    As ``search``, for a symmetric ``A``; one product a step, so eight Krylov steps at equal cost.
    The key is the eigenvalue, its negative or its size, see ``keys``.
    """
    c, n = basis.shape

    def draw(count: int, known: Tensor, others: Tensor) -> Tensor:
        return random_rows(count, basis, torch.cat([known, others]), generator)

    found, scale = basis[:0], 0.0
    rows, images = draw(WIDTH, found, found), []
    for _ in range(min(CHECK_PRODUCTS, n - c) // WIDTH):
        found = torch.cat([found, rows])
        images.append(finite(op @ rows.T).T)
        scale = max(scale, float(images[-1].norm(dim=1).max()))
        if n - c - len(found) >= WIDTH:  # the wide basis is not copied, so its share goes first
            rows = project(project(images[-1], basis)[0], basis)[0]
            rows = orthonormal(rows, found, 0, scale, draw)[0]
            rows = torch.linalg.qr(project(rows, basis)[0].T)[0].T.contiguous()
    small = (torch.cat(images) @ found.T).double().cpu()
    with one_thread(small):
        values, vectors = torch.linalg.eigh((small + small.T) / 2)
    key = keys(values, which)
    order = key.argsort(descending=True)[:WIDTH]
    return float(key[order[0]]), vectors[:, order].T.to(found) @ found


def keys(values: Tensor, which: str) -> Tensor:
    """What is largest for the eigenvalues asked for."""
    return {"largest": values, "smallest": -values, "magnitude": values.abs()}[which]
