"""Discriminative recurrent sparse autoencoder: an encoder that runs for some steps, and a decoder.

Origin: Rolfe & LeCun, "Discriminative recurrent sparse auto-encoders", ICLR 2013 (arXiv
1301.3775). With its first weights the encoder is non-negative ISTA (iterative shrinkage and
thresholding): each step lowers ``1/2 |x - D z|^2 + l1 |z|_1``. ``training.Autoencoding(net, ...,
l1=)`` trains it without labels, ``training.DiscriminativeCoding`` with them.

Deliberate differences: ``D`` starts from random directions; the limit of the rows of ``E``, 1.25 /
steps, which is that of a port of the authors' program, also bounds ISTA's first step size; the
default of 11 steps is from memory of the paper.

Published: its abstract calls the results on MNIST excellent and gives no number.
"""

from __future__ import annotations

import math
from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nakami.nn import MaxNorm
from nakami.results import check_at_least, is_number, wrong

from ._entry import Entry
from ._layers import layer, seeded
from .autoencoder import Coder

ROWS, CLASS_ROWS = 1.25, 5.0  # limits: of a row of E times the steps, of a row of the classifier


class DrSAE(Coder):
    """``z <- max(0, E x + S z - b)``, ``steps`` times from 0; it gives back ``D z``.

    Calling it gives ``z``.

    Args:
        visible: Number of inputs. hidden: number of hidden units.
        steps: Of the recursion; the first gives ``max(0, E x - b)``.
        l1: Weight of ``|z|_1`` that the first weights are made for.
        limit: Bound of each row of ``E``, times ``steps``; None: without.
        generator: Source of the first ``D``; None: a fresh one with seed 0.
        dtype: Floating type of the parameters.

    Attributes:
        encoder: ``E``, ``(hidden, visible)``. recurrent: ``S``, ``(hidden, hidden)``.
        threshold: ``b``, ``(hidden,)``. decoder: ``D^T``, ``(hidden, visible)``, rows of length 1.
        steps, limit: As given.
    """

    activation = "relu"

    def __init__(
        self,
        visible: int,
        hidden: int,
        *,
        steps: int = 11,
        l1: float = 0.1,
        limit: float | None = ROWS,
        generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float32,
    ):
        super().__init__("linear")
        for name, value in (("visible", visible), ("hidden", hidden), ("steps", steps)):
            check_at_least(name, value, 1, f"pass {name}=11")
        if not (is_number(l1) and 0 <= l1 < math.inf):
            raise wrong("l1", "be a number from 0 on", l1, "leave it out for the default")
        if limit is not None and not (is_number(limit) and limit > 0):
            raise wrong("limit", "be a number above 0, or None", limit, f"use {ROWS}")
        self.steps, self.limit = steps, limit
        drawn = torch.empty(hidden, visible, dtype=torch.float64)
        d = F.normalize(drawn.normal_(generator=seeded(generator)), dim=1)
        step = 1 / float(torch.linalg.matrix_norm(d, 2)) ** 2  # 1 / L of ISTA
        if limit is not None:
            step = min(step, limit / steps)
        eye = torch.eye(hidden, dtype=torch.float64)

        def parameter(value: Tensor) -> nn.Parameter:
            return nn.Parameter(value.to(dtype))

        self.encoder = parameter(step * d)
        self.recurrent = parameter(eye - step * d @ d.T)
        self.threshold = parameter(torch.full((hidden,), step * l1, dtype=torch.float64))
        self.decoder = parameter(d)

    def forward(self, x: Tensor) -> Tensor:
        """The hidden units after all steps, ``(N, visible) -> (N, hidden)``."""
        drive, z = self.drive(x), None
        for _ in range(self.steps):
            z = self.step(drive, z)
        assert z is not None
        return z

    def drive(self, x: Tensor) -> Tensor:
        """``E x - b``, the same for all steps, ``(N, hidden)``."""
        return F.linear(x, self.encoder, -self.threshold)

    def step(self, drive: Tensor, z: Tensor | None) -> Tensor:
        """The units one step later, ``(N, hidden)``; of None: from 0."""
        return torch.relu(drive if z is None else drive + F.linear(z, self.recurrent))

    def over_time(self, x: Tensor) -> list[Tensor]:
        """The hidden units after each step, ``steps`` times ``(N, hidden)``."""
        drive, found = self.drive(x), list[Tensor]()
        for _ in range(self.steps):
            found.append(self.step(drive, found[-1] if found else None))
        return found

    def decoded(self, h: Tensor) -> Tensor:
        """``D z``, ``(N, hidden) -> (N, visible)``."""
        return F.linear(h, self.decoder.T)

    @torch.no_grad()
    def alignment(self) -> Tensor:
        """Cosine of each unit's encoder row and decoder column, ``(hidden,)``.

        Near 1: a part unit, which looks for what it adds to the picture. Small: a categorical unit,
        which other units drive.
        """
        return F.cosine_similarity(self.encoder, self.decoder, dim=1)

    def bound(self, optimizer: torch.optim.Optimizer) -> None:
        """Hold rows of ``E`` and columns of ``D`` (at most 1 long) after each step from here on."""
        MaxNorm(self, 1.0, "decoder").attach(optimizer)
        if self.limit is not None:
            MaxNorm(self, self.limit / self.steps, "encoder").attach(optimizer)


class UnitLength(nn.Module):
    """``z / |z|`` of each example; 0 stays 0."""

    def forward(self, z: Tensor) -> Tensor:
        """Rows of length 1, of the same shape."""
        return F.normalize(z, dim=1)


def head(hidden: int, classes: int, generator: torch.Generator) -> nn.Sequential:
    """Modules ``unit`` (length 1) and ``output``, the classifier of hidden units."""
    output = layer(nn.Linear, hidden, classes, std=hidden**-0.5, generator=generator)
    return nn.Sequential(OrderedDict[str, nn.Module](unit=UnitLength(), output=output))


def classifier(coder: DrSAE, top: nn.Sequential) -> nn.Sequential:
    """Modules ``flatten``, ``hidden``, ``unit``, ``output``: coder and head, not copied."""
    parts = OrderedDict[str, nn.Module](flatten=nn.Flatten(), hidden=coder)
    return nn.Sequential(OrderedDict(**parts, **dict(top.named_children())))


def make(*, generator: torch.Generator | None = None) -> nn.Sequential:
    """784 inputs, 400 hidden units, 11 steps, 10 classes.

    Args:
        generator: Source of the first weights; None: a fresh one with seed 0.
    """
    generator = seeded(generator)
    coder = DrSAE(784, 400, generator=generator)
    return classifier(coder, head(400, 10, generator))


ENTRY = Entry(
    make=make,
    input=(1, 28, 28),
    output=(10,),
    parameters=791_610,
    task="classification",
    origin="Rolfe & LeCun 2013",
    preprocessing="unit",
    data="digits",
)
