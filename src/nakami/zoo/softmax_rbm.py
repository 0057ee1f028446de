"""Restricted Boltzmann machine whose visible units are choices of one value among several.

Origin: Salakhutdinov, Mnih & Hinton, "Restricted Boltzmann machines for collaborative filtering",
ICML 2007: an item has a group of as many units as there are ratings, and one of them is on.
``training.ContrastiveDivergence`` trains it, as any sampler of ``sampling`` draws from it.

Energy as of ``zoo.rbm``, over states with one unit on in each group. Deliberate difference: every
group has a value; the paper leaves out those of items that a user has not rated.
"""

from __future__ import annotations

import torch

from nakami.sampling import SoftmaxUnits

from ._entry import Entry
from .rbm import RBM


class SoftmaxRBM(RBM):
    """``v | h`` a softmax in each group; calling it gives ``p(h = 1 | v)``.

    Args:
        groups: Number of choices. classes: values of each, from 2 on.
        hidden: Number of hidden units.
        generator: Source of the first weights, ``N(0, 0.01^2)``; None: a fresh one with seed 0.
        dtype: Floating type of the parameters.

    Attributes:
        weight: ``W``, ``(hidden, groups * classes)``; the units of a group are neighbours.
            visible_bias: ``a``. hidden_bias: ``b``.
    """

    def __init__(
        self,
        groups: int,
        classes: int,
        hidden: int,
        *,
        generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float32,
    ):
        self.classes = SoftmaxUnits(classes).classes  # checked
        super().__init__(groups * classes, hidden, generator=generator, dtype=dtype)

    @property
    def units(self) -> SoftmaxUnits:
        """Groups of units of which one is on."""
        return SoftmaxUnits(self.classes)


def make(*, generator: torch.Generator | None = None) -> SoftmaxRBM:
    """A machine of 100 choices among 5 values and 100 hidden units.

    Args:
        generator: Source of the first weights ``N(0, 0.01^2)``; None: a fresh one with seed 0.
    """
    return SoftmaxRBM(100, 5, 100, generator=generator)


ENTRY = Entry(
    make=make,
    input=(500,),
    output=(100,),
    parameters=50_600,
    task="features",
    origin="Salakhutdinov, Mnih, Hinton 2007",
    preprocessing="unit",
)
