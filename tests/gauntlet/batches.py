"""The forms in which data come, made from the same batches."""

from collections.abc import Callable
from dataclasses import make_dataclass
from typing import Any, NamedTuple

import torch
from torch.utils.data import DataLoader, TensorDataset

import nakami

ONE, TWO, UNEVEN, LENGTHS = [(6, 4)], [(3, 4), (3, 4)], [(4, 4), (2, 4)], [(3, 4), (3, 5)]


class Held:
    """A batch object, as of graph libraries: ``to()`` and attributes."""

    def __init__(self, **named):
        vars(self).update(named)

    def to(self, device):
        return self


class Named(NamedTuple):
    x: Any
    y: Any


def arguments(x):
    """As the model takes them by place."""
    return next(iter(x.values())) if len(x) == 1 else tuple(x.values())


def pair(x, y):
    return arguments(x), y


def mapping(key):
    return lambda x, y: x if y is None else x | {key: y}


def held(x, y):
    return Held(**x) if y is None else Held(**x, y=y)


def dataclass(x, y):
    named = x if y is None else x | {"y": y}
    return make_dataclass("Batch", named)(**named)


def flat(x, y):
    return (*x.values(),) if y is None else (*x.values(), y)


def loader(batches):
    """One data set, in batches of as many rows as the first has."""
    rows = [[*x.values()] if y is None else [*x.values(), y] for x, y in batches]
    stored = TensorDataset(*(torch.cat(parts) for parts in zip(*rows, strict=True)))
    return DataLoader(stored, batch_size=len(rows[0][0]))


def by_attribute(model, names):
    return nakami.View(model, forward=lambda m, b: m(**{n: getattr(b, n) for n in names}))


def target(where):
    return lambda model, names: nakami.View(model, target=where)


def as_numpy(x, y):
    arrays = {name: value.numpy() for name, value in x.items()}
    return arguments(arrays), y if y is None else y.numpy()


def single(x):
    """Labels stay: torch takes no others."""
    kinds = {n: torch.float32 if v.is_floating_point() else torch.int32 for n, v in x.items()}
    return {n: v if n == "labels" else v.to(kinds[n]) for n, v in x.items()}


def views(x):
    """Not contiguous, and asking for gradients."""

    def turned(v):
        v = v.movedim(0, -1).contiguous().movedim(-1, 0)
        return v.requires_grad_() if v.is_floating_point() else v

    return {name: turned(value) for name, value in x.items()}


class Batch(NamedTuple):
    """A form of data.

    Args:
        make: The data, of ``[(inputs by name, targets), ...]``.
        sizes: Rows and length of each batch.
        view: The model with what has to be said of this form, by the names of its inputs.
        change: What becomes of the inputs first.
        stored: Whether all its tensors must have as many rows.
    """

    make: Callable[[list[Any]], Any]
    sizes: list[tuple[int, int]] = ONE
    view: Callable[..., Any] = lambda model, names: model
    change: Callable[..., Any] = lambda x: x
    stored: bool = False


def only(form):
    return lambda batches: form(*batches[0])


def listed(form):
    return lambda batches: [form(x, y) for x, y in batches]


BATCHES = {
    "a pair": Batch(only(pair)),
    "a list": Batch(only(lambda x, y: list(pair(x, y)))),
    "a named tuple": Batch(only(lambda x, y: Named(*pair(x, y)))),
    "inputs in a dict": Batch(only(lambda x, y: (x, y))),
    "a dict": Batch(only(mapping("labels"))),
    "a dict, key named": Batch(only(mapping("code")), view=target("code")),
    "an object": Batch(only(held), view=by_attribute),
    "one after the other": Batch(listed(flat), view=target(-1)),
    "pairs": Batch(listed(pair), TWO),
    "pairs, uneven": Batch(lambda batches: tuple(listed(pair)(batches)), UNEVEN),
    "pairs, other lengths": Batch(listed(pair), LENGTHS),
    "dicts, uneven": Batch(listed(mapping("targets")), UNEVEN),
    "dicts, other lengths": Batch(listed(mapping("labels")), LENGTHS),
    "objects": Batch(listed(held), UNEVEN, by_attribute),
    "dataclasses": Batch(listed(dataclass), UNEVEN, by_attribute),
    "a loader": Batch(loader, view=target(-1), stored=True),
    "a loader, uneven": Batch(loader, UNEVEN, target(-1), stored=True),
    "a generator": Batch(lambda batches: (pair(x, y) for x, y in batches), UNEVEN),
    "single precision": Batch(only(pair), change=single),
    "views": Batch(only(pair), change=views),
    "numpy": Batch(only(as_numpy)),
    "pairs of numpy": Batch(listed(as_numpy), UNEVEN),
}


def on_the_way(x):
    """Inputs as the reference takes them: the same numbers in float64."""
    return {n: v.detach().double() if v.is_floating_point() else v.long() for n, v in x.items()}


def rows_of(x):
    return len(next(iter(x.values())))


def alike(x):
    """Whether all tensors have as many rows."""
    return len({len(value) for value in x.values()}) == 1


def generator(seed):
    return torch.Generator().manual_seed(seed)
