"""Deep Boltzmann machine: layers of binary units, each coupled to the one above and below.

Origin: Salakhutdinov & Hinton, "Deep Boltzmann machines", AISTATS 2009; bound and evaluation also
Salakhutdinov & Murray, ICML 2008. ``training.MeanFieldLearning`` trains it, best from machines that
were trained one on the other with the factors of ``doublings`` (``DBM.from_rbms``).

Energy ``E = -sum_l x_l.W_l x_(l-1) - sum_l b_l.x_l`` with ``x_0 = v`` and ``W_l`` of shape
``(units of l, units of l - 1)``, the layout of ``nn.Linear`` (the papers write its transpose).

Layers of even number are coupled to those of odd number alone. So a machine of any depth is a
restricted one whose two sides are these: ``weight``, ``visible_bias`` and ``hidden_bias`` are its
tensors, and ``nakami.sampling`` draws from it, enumerates it and anneals it as it does an ``RBM``.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nakami.results import check_at_least, wrong
from nakami.sampling import log_odds

from ._entry import Entry
from ._layers import seeded
from ._mean_field_net import MeanFieldNet
from .rbm import RBM

SWEEPS = 10  # of the mean field, in forward


def doublings(machines: int) -> list[tuple[int, int]]:
    """``factors`` of ``ContrastiveDivergence`` for each of the machines below a ``DBM``.

    In the deep machine a hidden layer is driven from two sides. While one of them is missing, the
    other counts twice: ``(2, 1)`` at the bottom, ``(1, 2)`` at the top, ``(2, 2)`` between (the
    paper trains these at 1 and halves them afterwards, which is the same machine at half the rate).
    The machine above learns from ``rbm(up * v)``.
    """
    count = check_at_least("machines", machines, 1, "pass the number of hidden layers")
    return [(1 + (i < count - 1), 1 + (i > 0)) for i in range(count)]


class DBM(nn.Module):
    """A deep Boltzmann machine; calling it gives the mean field of its top layer.

    Args:
        sizes: Units of the visible layer and of each hidden one, from the bottom up.
        sweeps: Of the mean field that a call makes.
        generator: Source of the first weights, ``N(0, 0.01^2)``; None: a fresh one with seed 0.
        dtype: Floating type of the parameters.

    Attributes:
        weights: ``W_1``, ``W_2``, ... biases: ``b_0`` (visible), ``b_1``, ...; all start at 0.
    """

    def __init__(
        self,
        sizes: Sequence[int] = (784, 500, 1000),
        *,
        sweeps: int = SWEEPS,
        generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float32,
    ):
        super().__init__()
        if len(sizes) < 3:
            way_out = "for example (784, 500, 1000); with one hidden layer take zoo.rbm.RBM"
            raise wrong("sizes", "name three layers or more", tuple(sizes), way_out)
        self.sizes = tuple(check_at_least("sizes", n, 1, "use units of 1 or more") for n in sizes)
        self.sweeps = check_at_least("sweeps", sweeps, 1, "use 10")
        generator = seeded(generator)
        self.weights = nn.ParameterList(
            torch.empty(above, below, dtype=dtype).normal_(0, 0.01, generator=generator)
            for below, above in pairwise(self.sizes)
        )
        self.biases = nn.ParameterList(torch.zeros(n, dtype=dtype) for n in self.sizes)

    @classmethod
    def from_rbms(cls, rbms: Iterable[nn.Module], *, sweeps: int = SWEEPS) -> DBM:
        """The machine whose layers drive each other as RBMs did that learned with ``doublings``.

        Weights are copied. A hidden layer's log odds become the mean of those that the RBMs below
        and above it gave, so its bias is the mean of the two.

        Args:
            rbms: Two or more binary machines, from the bottom up, each as wide as the last one's
                hidden layer.
            sweeps: As for the class.
        """
        stack = cast("list[RBM]", list(rbms))
        shapes = [tuple(rbm.weight.shape) for rbm in stack]
        fit = all(below[0] == above[1] for below, above in pairwise(shapes))
        if len(stack) < 2 or not fit or not all(rbm.units.binary for rbm in stack):
            rule = "be two binary machines or more, each as wide as the one below is high"
            way_out = "for example zoo.rbm.RBM(784, 500) and RBM(500, 1000)"
            raise wrong("rbms", rule, f"weights of {shapes}", way_out)
        made = cls((shapes[0][1], *(shape[0] for shape in shapes)), sweeps=sweeps)
        made.to(stack[0].weight)
        with torch.no_grad():
            for mine, rbm in zip(made.weights, stack, strict=True):
                mine.copy_(rbm.weight)
            made.biases[0].copy_(stack[0].visible_bias)
            made.biases[-1].copy_(stack[-1].hidden_bias)
            for bias, (below, above) in zip(list(made.biases)[1:], pairwise(stack), strict=False):
                bias.copy_((below.hidden_bias + above.visible_bias) / 2)
        return made

    def forward(self, v: Tensor) -> Tensor:
        """The top layer of the mean field, ``(N, visible) -> (N, units)``."""
        return self.mean_field(v)[-1]

    def logit(self, layer: int, below: Tensor | None, above: Tensor | None) -> Tensor:
        """Log odds of the units of a layer given its neighbours, ``(N, units)``."""
        sums = self.biases[layer]
        if below is not None:
            sums = sums + F.linear(below, self.weights[layer - 1])
        if above is not None:
            sums = sums + above @ self.weights[layer]
        return sums

    def mean_field(self, v: Tensor, sweeps: int | None = None) -> list[Tensor]:
        """Means ``mu_1``, ``mu_2``, ... of independent units nearest to ``p(h | v)``.

        It starts from one pass upwards with inputs doubled where a layer above is still missing;
        then odd and even layers take turns. No sweep lowers ``bound``.

        Args:
            v: ``(N, visible)`` in 0..1.
            sweeps: Default those of the machine.
        """
        x, top = [v], len(self.sizes) - 1
        for layer, (up, _) in enumerate(doublings(top), 1):
            x.append(torch.sigmoid(self.biases[layer] + up * (x[-1] @ self.weights[layer - 1].T)))
        driven = self.logit(1, v, None)  # by the data, which stay: made once
        for _ in range(self.sweeps if sweeps is None else sweeps):
            x[1] = torch.sigmoid(driven + x[2] @ self.weights[1])
            for layer in (*range(3, top + 1, 2), *range(2, top + 1, 2)):
                above = x[layer + 1] if layer < top else None
                x[layer] = torch.sigmoid(self.logit(layer, x[layer - 1], above))
        return x[1:]

    def energy(self, states: Sequence[Tensor]) -> Tensor:
        """``E`` of states or means of all layers, the visible ones first, ``(N,)`` in nats."""
        own = sum(x @ b for x, b in zip(states, self.biases, strict=True))
        pairs = sum(
            (F.linear(below, w) * above).sum(1)
            for w, (below, above) in zip(self.weights, pairwise(states), strict=True)
        )
        return -(own + pairs)

    def bound(self, v: Tensor, sweeps: int | None = None) -> Tensor:
        """``-E(v, mu) + H(mu)``, at most ``log p(v) + log Z``, in nats, ``(N,)``.

        ``sampling.likelihood_bound`` takes an estimate of ``log Z`` from it.
        """
        means = self.mean_field(v, sweeps)
        entropy = sum(-(torch.xlogy(mu, mu) + torch.xlogy(1 - mu, 1 - mu)).sum(1) for mu in means)
        return entropy - self.energy([v, *means])

    @property
    def visible_units(self) -> int:
        """Units of the visible layer."""
        return self.sizes[0]

    @property
    def undirected(self) -> DBM:
        """The part of the model that has a ``log Z``: all of it."""
        return self

    def undirected_means(self, v: Tensor) -> Tensor:
        """Even layers of the mean field, ``(N, visible) -> (N, units of even layers)``."""
        return torch.cat([v, *self.mean_field(v)][::2], 1)

    @property
    def weight(self) -> Tensor:
        """Couplings of the odd layers to the even ones, ``(units of odd, units of even)``."""
        n = len(self.sizes)
        rows = []
        for odd in range(1, n, 2):
            row = [
                self.weights[0].new_zeros(self.sizes[odd], self.sizes[k]) for k in range(0, n, 2)
            ]
            row[odd // 2] = self.weights[odd - 1]
            if odd + 1 < n:
                row[odd // 2 + 1] = self.weights[odd].T
            rows.append(torch.cat(row, 1))
        return torch.cat(rows)

    @property
    def visible_bias(self) -> Tensor:
        """Biases of the even layers, the visible one first."""
        return torch.cat(list(self.biases)[::2])

    @property
    def hidden_bias(self) -> Tensor:
        """Biases of the odd layers."""
        return torch.cat(list(self.biases)[1::2])

    def layers_of(self, even: Tensor, odd: Tensor) -> list[Tensor]:
        """States of the two sides as those of the layers, from the bottom up."""
        found = [even.new_empty(0)] * len(self.sizes)
        for first, side in enumerate((even, odd)):
            found[first::2] = side.split(self.sizes[first::2], dim=1)
        return found

    def classifier(
        self, classes: int = 10, *, generator: torch.Generator | None = None
    ) -> MeanFieldNet:
        """A feed-forward network that starts from the machine, see ``MeanFieldNet``.

        Args:
            classes: Number of outputs.
            generator: Source of the output's weights, ``N(0, 0.01^2)``; None: a fresh one with seed
                0.
        """
        return MeanFieldNet(self, classes, seeded(generator))

    @torch.no_grad()
    def start_biases(self, data: Tensor) -> None:
        """Set the visible biases to the log odds of the mean of ``data``, ``(N, visible)``."""
        self.biases[0].copy_(log_odds(data))


def make(*, generator: torch.Generator | None = None) -> nn.Sequential:
    """Modules ``flatten`` and ``hidden``, a machine of 784, 500 and 1,000 units.

    Args:
        generator: Source of the first weights ``N(0, 0.01^2)``; None: a fresh one with seed 0.
    """
    return nn.Sequential(
        OrderedDict[str, nn.Module](flatten=nn.Flatten(), hidden=DBM(generator=generator))
    )


ENTRY = Entry(
    make=make,
    input=(1, 28, 28),
    output=(1000,),
    parameters=894_284,
    task="features",
    origin="Salakhutdinov, Hinton 2009",
    preprocessing="unit",
    data="digits",
)
