"""Restricted Boltzmann machine that sees a label beside its other visible units.

Origin: the top of Hinton, Osindero & Teh, "A fast learning algorithm for deep belief nets", Neural
Computation 18 (2006).
"""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor
from torch.nn import functional as F

from nakami.sampling import BinaryUnits, MixedUnits, SoftmaxUnits

from ._layers import one_on
from .rbm import RBM


@final
class LabelRBM(RBM):
    """Binary visible units, then a group of ``classes`` units of which one is on.

    Args:
        visible: Number of binary units. classes: of labels, from 2 on.
        hidden: Number of hidden units.
        generator: Source of the first weights, ``N(0, 0.01^2)``; None: a fresh one with seed 0.
        dtype: Floating type of the parameters.

    Attributes:
        weight: ``W``, ``(hidden, visible + classes)``. visible_bias: ``a``. hidden_bias: ``b``.
    """

    def __init__(
        self,
        visible: int,
        classes: int,
        hidden: int,
        *,
        generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float32,
    ):
        self.classes = SoftmaxUnits(classes).classes  # checked
        super().__init__(visible + classes, hidden, generator=generator, dtype=dtype)
        self.unlabelled = visible

    @property
    def units(self) -> MixedUnits:
        """Both kinds."""
        parts = [(BinaryUnits(), self.unlabelled), (SoftmaxUnits(self.classes), self.classes)]
        return MixedUnits(parts)

    def labelled(self, v: Tensor, labels: Tensor) -> Tensor:
        """``v`` and the units of labels ``(N,)``, ``(N, visible) -> (N, visible + classes)``."""
        return torch.cat([v, one_on("labels", labels, len(v), self.classes).to(v)], 1)

    def label_logits(self, v: Tensor) -> Tensor:
        """``log p(label | v)`` but for a constant, exactly, ``(N, visible) -> (N, classes)``.

        The free energies of v with each label.
        """
        weight, bias = self.weight[:, : self.unlabelled], self.hidden_bias
        x = F.linear(v, weight, bias)
        each = [F.softplus(x + w).sum(1) for w in self.weight[:, self.unlabelled :].T]
        return torch.stack(each, 1) + self.visible_bias[self.unlabelled :]
