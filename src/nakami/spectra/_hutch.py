"""Hutch++: a trace by random probes, with directions taken out whose share is computed exactly."""

from __future__ import annotations

import torch
from torch import Tensor

from ._operator import LinearOperator, finite
from .krylov._basis import orthonormal, random_rows

BATCH = 16  # probes drawn at once, and directions deflated at once


class ProductProbes:
    """Probes of the complement of ``basis``, and the exact share of the basis.

    With a root ``R`` a probe is ``|R z|^2``, half a product; its image ``R^T R z`` waits until it
    is asked for.
    """

    def __init__(self, op: LinearOperator, room: int, seed: int):
        root, n = op.root, op.shape[0]
        self.root = root if root is not None and root.shape[0] <= n else None
        self.each = 1 if self.root is not None else 2  # passes of a probe: a product has two
        self.op, self.room, self.seed = op, room, seed
        self.width = min(BATCH, room // 4)  # probes multiplied at once
        self.columns = min(room - 3 * BATCH, n // 2)  # most directions deflated
        self.generator = torch.Generator().manual_seed(seed)
        self.basis = torch.empty(0, n, dtype=op.dtype, device=op.device)  # rows
        self.share = 0.0  # tr(Q^T A Q)
        self.passes = 0
        self.samples = torch.empty(0, dtype=torch.float64)
        self.last = self.basis  # products with the last probes, or their root's, as rows

    @property
    def count(self) -> int:
        return len(self.samples)

    @property
    def n_products(self) -> int:
        return (self.passes + 1) // 2

    @property
    def n_deflated(self) -> int:
        return len(self.basis)

    @property
    def value(self) -> float:
        return self.share + float(self.samples.mean())

    @property
    def se(self) -> float:
        return self.spread / self.count**0.5

    @property
    def spread(self) -> float:
        return float(self.samples.std())

    def probe(self, count: int) -> None:
        """``count`` more samples of the trace of the complement."""
        while count > self.width:
            self.probe(self.width)
            count -= self.width
        q, n = self.basis.shape
        draw = torch.randn(count, n, generator=self.generator, dtype=torch.float64)
        z = draw.to(self.basis)
        for _ in range(2):
            z = z - (z @ self.basis.T) @ self.basis
        ratio = self._forms(z) / z.double().square().sum(1)
        self.samples = torch.cat([self.samples, (n - q) * ratio.cpu()])

    def deflate(self) -> None:
        """The images of the last probes join the basis; their samples are void."""
        images = self.last
        if self.root is not None:
            images = self._times(self.root.T, images)
        scale = float(images.norm(dim=1).max())
        block = orthonormal(images, self.basis, 0, scale, self._random)[0]
        self.share += float(self._forms(block).sum())
        self.basis = torch.cat([self.basis, block])
        self.samples = self.samples[:0]

    def _random(self, count: int, basis: Tensor, others: Tensor) -> Tensor:
        return random_rows(count, basis, others, self.generator)

    def _forms(self, rows: Tensor) -> Tensor:
        """``z^T A z`` for each row, float64."""
        self.last = self._times(self.op if self.root is None else self.root, rows)
        other = rows if self.root is None else self.last
        return (other.double() * self.last.double()).sum(1)

    def _times(self, op: LinearOperator, rows: Tensor) -> Tensor:
        self.passes += self.each * len(rows)
        return finite(op @ rows.T).T
