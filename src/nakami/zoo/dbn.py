"""Deep belief network: a stack of RBMs, and the classifier that starts from it.

Origin: Hinton, Osindero, Teh, "A fast learning algorithm for deep belief nets", Neural Computation
18 (2006): each RBM learns the hidden probabilities of the one below. Used as the first value of a
feed-forward classifier with sigmoid layers, as in Hinton & Salakhutdinov, Science 313 (2006).

Sizes 784-1000-1000-1000 are those of the network in the 2015 report on the dynamics of deep
networks (three hidden layers of 1,000 units on MNIST). That report gives no learning rates, epochs
or test errors, so none are claimed here.

Recognition and generative weights are tied here. ``DBN.untied`` lets them go apart, with a top
machine that sees labels if one is given, and ``training.UpDown`` is the paper's up-down phase.
Deliberate difference: the classifier's output layer starts at ``N(0, 0.01^2)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from nakami.results import wrong

from . import _directed
from ._entry import Entry
from ._label_rbm import LabelRBM as LabelRBM
from ._layers import seeded
from ._stack import classifier_of
from ._untied_dbn import UntiedDBN
from .rbm import RBM

SIZES = (784, 1000, 1000, 1000)


class DBN(nn.Module):
    """A stack of RBMs; calling it gives the top hidden probabilities.

    Args:
        sizes: Units of the visible and the hidden layers.
        generator: Source of the first weights; None: a fresh one with seed 0.

    Attributes:
        rbms: The machines, from the bottom up.
    """

    def __init__(self, sizes: Sequence[int] = SIZES, *, generator: torch.Generator | None = None):
        super().__init__()
        if len(sizes) < 2:
            raise wrong("sizes", "name at least two layers", tuple(sizes), "for example (784, 500)")
        generator = seeded(generator)
        self.rbms = nn.ModuleList(RBM(n, m, generator=generator) for n, m in pairwise(sizes))

    def forward(self, v: Tensor, depth: int | None = None) -> Tensor:
        """Hidden probabilities after ``depth`` machines (None: all), ``(N, visible) -> (N, h)``."""
        for rbm in self.rbms[:depth]:
            v = rbm(v)
        return v

    @property
    def visible_units(self) -> int:
        """Units of the lowest layer."""
        return cast("RBM", self.rbms[0]).weight.shape[1]

    @property
    def undirected(self) -> RBM:
        """The part of the model that has a ``log Z``: the top machine."""
        return cast("RBM", self.rbms[-1])

    def undirected_means(self, v: Tensor) -> Tensor:
        """What the top machine learned from, ``(N, visible) -> (N, its visible units)``."""
        return self(v, len(self.rbms) - 1)

    @property
    def directed(self) -> int:
        """Number of layers that only give the one below: all machines but the top one."""
        return len(self.rbms) - 1

    def recognised(self, layer: int, x: Tensor) -> Tensor:
        """Log odds of the hidden units of a machine given its visible ones."""
        return cast("RBM", self.rbms[layer]).hidden_logit(x)

    def generated(self, layer: int, h: Tensor) -> Tensor:
        """Log odds of the visible units of a machine given its hidden ones."""
        rbm = cast("RBM", self.rbms[layer])
        return torch.addmm(rbm.visible_bias, h, rbm.weight)

    def top_log_weight(self, h: Tensor) -> Tensor:
        """``log p*(h)`` of the top machine at its visible units, ``(N, units) -> (N,)``."""
        return -self.undirected.free_energy(h)

    def sample(
        self, count: int, *, steps: int = 1000, generator: torch.Generator | None = None
    ) -> Tensor:
        """Means of visible units drawn from the generative model, ``(count, visible)``.

        The top machine makes ``steps`` of block Gibbs sampling from random units, one chain for
        each; then each machine gives its visible units once, downwards.
        """
        return _directed.sample(self, count, steps, seeded(generator))

    def bound(self, v: Tensor, draws: int = 10, generator: torch.Generator | None = None) -> Tensor:
        """Estimate of a lower bound on ``log p(v) + log Z`` of the top machine, nats, ``(N,)``.

        ``E_Q[log p*(h) + log p(v | h) - log Q(h | v)]``, the mean over ``draws`` of the hidden
        layers below the top machine from the recognition ``Q``. It is tight where the second
        machine is the first one turned over. ``sampling.likelihood_bound`` takes ``log Z`` of the
        top machine from it.

        Args:
            v: ``(N, visible)`` zeros and ones.
            draws: For each example, at least 1.
            generator: Source of the draws; None: a fresh one with seed 0.
        """
        return _directed.bound(self, v, draws, seeded(generator))

    def untied(self, top: RBM | None = None) -> UntiedDBN:
        """The same model with weights of its own for each way, for ``training.UpDown``.

        Args:
            top: In place of the top machine, for example a ``LabelRBM`` that learned from what the
                one below gives, and labels.
        """
        below = list(self.rbms)[: self.directed]
        return UntiedDBN(cast("list[RBM]", below), self.undirected if top is None else top)

    def classifier(
        self, classes: int = 10, *, generator: torch.Generator | None = None
    ) -> nn.Sequential:
        """A feed-forward network that starts from the stack; weights are copied.

        Modules ``flatten``, then ``linear1``, ``hidden1`` (sigmoid), ... and ``output`` (linear).
        Takes ``(N, ...)`` with as many values per example as visible units; gives ``(N, classes)``.

        Args:
            classes: Number of outputs.
            generator: Source of the output's weights, ``N(0, 0.01^2)``; None: a fresh one with seed
                0.
        """
        return classifier_of(self.rbms, classes, generator=generator)


def make(*, generator: torch.Generator | None = None) -> nn.Sequential:
    """The untrained classifier 784-1000-1000-1000-10, all weights ``N(0, 0.01^2)``, biases 0."""
    generator = seeded(generator)
    return DBN(generator=generator).classifier(generator=generator)


ENTRY = Entry(
    make=make,
    input=(1, 28, 28),
    output=(10,),
    parameters=2_797_010,
    task="classification",
    origin="Hinton, Osindero, Teh 2006",
    preprocessing="unit",
    data="digits",
)
