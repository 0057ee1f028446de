"""Every network with every form of data and every loss that fit together."""

import re
from functools import cached_property
from itertools import product

import pytest
import torch

from nakami.results import UsageError

from .batches import BATCHES, alike, on_the_way, rows_of
from .losses import LOSSES
from .networks import NETWORKS
from .readings import OF_INPUTS, OF_LOSSES
from .reference import Truth, first_tensor

PLAIN = r"loss must be a plain negative log-likelihood for "


class Case:
    """A network, a form of data and a loss: entries of the tables, or like them."""

    def __init__(self, kind, batch, loss, seed=3):
        self.kind, self.batch, self.loss = kind, batch, loss
        torch.manual_seed(seed)
        self.model = kind.make().double()
        gen = torch.Generator().manual_seed(seed)
        self.batches = []
        for rows, length in self.batch.sizes:
            x = self._inputs(self.kind.fixed or rows, length, gen)
            self.batches.append((x, self._targets(x, gen)))
        self.names = [*self.batches[0][0]]
        self.view = self.batch.view(self.model, self.names)
        sound = [(on_the_way(x), y) for x, y in self.batches]
        self.truth = Truth(self.model, sound, self.loss, self.kind.outputs)

    def _inputs(self, rows, length, gen):
        x = self.kind.inputs(rows, length, gen)
        if self.loss.given is None:
            tokens = not x["x"].is_floating_point()
            x["labels"] = x["x"] if tokens else torch.randint(0, 3, (rows,), generator=gen)
        return self.batch.change(x)

    def _targets(self, x, gen):
        with torch.no_grad():
            z = self.model.eval()(**on_the_way(x))
        self.model.train()
        z = z if isinstance(z, tuple) else first_tensor(z)
        return self.loss.targets(z, rows_of(x), self.kind.outputs, gen)

    def data(self):
        """In the form; made anew, for a generator is read once."""
        return self.batch.make(self.batches)

    @property
    def curvature(self):
        """The matrix that this loss has: Gauss-Newton where it is curved in the outputs."""
        plain = self.loss.given is not None and not isinstance(self.loss.given, torch.nn.NLLLoss)
        return "ggn" if plain else "hessian"

    def wanted(self):
        return getattr(self.truth, self.curvature)()

    @cached_property
    def refused(self):
        """By reading, how it is refused."""
        reasons = {}
        if self.loss.each is None:
            reasons = dict.fromkeys(("fisher", "empirical fisher", "root"), PLAIN)
        if isinstance(self.loss.given, torch.nn.NLLLoss):
            reasons |= dict.fromkeys(("ggn", "rate"), "loss must be curved in the outputs for ggn")
        if self.loss.given is None:
            own = "loss must be a function of outputs and targets for "
            reasons |= dict.fromkeys(("fisher", "empirical fisher", "root", "ggn"), own)
        return reasons

    def check(self, reading):
        """Right, or refused where it should be."""
        read = (OF_LOSSES | OF_INPUTS)[reading]
        if reading not in self.refused:
            read(self)
            return
        with pytest.raises(UsageError) as told:
            read(self)
        assert re.search(self.refused[reading], str(told.value)), str(told.value)

    # Readings of inputs.

    def one(self):
        """One input in the form that the model takes, and by name."""
        x = self.batches[0][0]
        if not self._whole:
            x = {name: value[:1] for name, value in x.items()}
        return self._formed(x), on_the_way(x)

    def all(self):
        x = self.batches[0][0]
        rows = [{n: v[i : i + 1] for n, v in x.items()} for i in range(rows_of(x))]
        return self._formed(x), [on_the_way(r) for r in ([x] if self._whole else rows)]

    @property
    def _whole(self):
        """Whether several rows are one input: they see each other."""
        return self.kind.mixes

    def _formed(self, x):
        data = self.batch.make([(x, None)])
        return data[0] if isinstance(data, (tuple, list)) and len(data) == 2 else data

    def moves(self, inputs):
        floating = any(value.is_floating_point() for value in inputs.values())
        return self.truth.by_input(inputs) if floating else self.truth.by_embedding(inputs)


def named(network, form, loss="squared error"):
    """A case by the names of its parts."""
    return Case(NETWORKS[network], BATCHES[form], LOSSES[loss])


def fits(kind, batch, loss):
    """Whether they make sense together."""
    if kind.outputs not in loss.forms:
        return False
    gen = torch.Generator().manual_seed(0)
    sizes = {n for n, _ in batch.sizes}
    short, long = (kind.inputs(8, length, gen) for length in (4, 5))
    lengths = any(short[name].shape != long[name].shape for name in short)
    if len({length for _, length in batch.sizes}) > 1 and not lengths:
        return False
    if kind.fixed is not None and len(sizes) > 1:
        return False
    return alike(short) or not batch.stored


def combinations():
    """Every pair of network, form and loss in one at least, each with some of the readings."""
    names = [*OF_LOSSES]
    place = 0
    tables = [enumerate(table.items()) for table in (NETWORKS, BATCHES, LOSSES)]
    for (i, (network, kind)), (j, (form, batch)), (k, (loss, of)) in product(*tables):
        rare = kind.outputs in ("heads", "own")
        if (rare or (i + 3 * j + 5 * k) % SPREAD == 0) and fits(kind, batch, of):
            yield network, form, loss, [names[(place + 4 * n) % len(names)] for n in range(3)]
            place += 1


SPREAD = 7
