"""The places where a network can be read, in order of execution."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import overload

from torch import nn

from ...results import StageInfo, unknown, wrong, wrong_type
from ._tracer import ACTIVATIONS

MOST = 12  # stages that "auto" picks at the most
_NORMS = ("norm", "localresponse")
# Kinds of module classes, by the name of the activation they apply.
_ACTIVATION_CLASSES = frozenset(name.replace("_", "") for name in ACTIVATIONS)


@dataclass(frozen=True)
class Place:
    """A stage with what the choice of stages needs to know about it.

    Attributes:
        info: Its name, kind and shape.
        weighted: Whether a leaf with a weight matrix (two axes or more) made it.
        container: Whether it is the output of a module that holds other modules.
        value: Identity of the tensor: places with equal values are names of the same state.
        inside: Number of weighted leaves inside (containers).
        joins: Whether its module made it from several states inside (a residual block, say).
    """

    info: StageInfo
    weighted: bool
    container: bool
    value: int
    inside: int = 0
    joins: bool = False


class Stages(Sequence[StageInfo]):
    """All stages of a network in order of execution; ``stages[0]`` is ``input``.

    ``auto`` names those that ``nakami.xray`` reads when none are given: the state after each weight
    layer, with the normalisation and the activation that follow it, and the output where it has
    another size; at most 12, evenly spread. A module that joins branches (a sum, a concatenation)
    counts as one layer.
    """

    def __init__(self, places: Sequence[Place]):
        self._places = tuple(places)
        self._index = {p.info.name: i for i, p in enumerate(self._places)}

    @overload
    def __getitem__(self, index: int) -> StageInfo: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[StageInfo, ...]: ...
    def __getitem__(self, index: int | slice) -> StageInfo | tuple[StageInfo, ...]:
        if isinstance(index, slice):
            return tuple(p.info for p in self._places[index])
        return self._places[index].info

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[StageInfo]:
        return (p.info for p in self._places)

    @property
    def names(self) -> tuple[str, ...]:
        """Names in order of execution."""
        return tuple(self._index)

    @property
    def auto(self) -> tuple[str, ...]:
        """The stages read by default."""
        by_value = {p.value: p for p in _after_weights(_trunk(self._places))}  # a name a state
        picked = [self._widest_name(p) for p in by_value.values()]
        last = self._places[-1]
        if not picked or picked[-1].info.size != last.info.size:
            picked.append(last)
        names = list(dict.fromkeys(p.info.name for p in picked))
        if len(names) > MOST:
            step = (len(names) - 1) / (MOST - 1)
            names = [names[round(i * step)] for i in range(MOST)]
        return tuple(names)

    def find(self, name: str, argument: str = "to") -> StageInfo:
        """The stage of that name; an unknown one is answered with the nearest names."""
        if not isinstance(name, str):
            raise wrong_type(
                argument, "be the name of a stage", repr(name), "print nakami.stages(model, x)"
            )
        if name not in self._index:
            raise unknown(argument, name, self.names, "nakami stages lists them all")
        return self._places[self._index[name]].info

    def ordered(self, names: str | Sequence[str], argument: str = "to") -> tuple[StageInfo, ...]:
        """The stages of those names, each once, in order of execution."""
        found = (names,) if isinstance(names, str) or not isinstance(names, Iterable) else names
        names = tuple(found)
        if not names or not all(isinstance(name, str) for name in names):
            rule, way_out = "be the name of a stage, or several", "take them from stages(...)"
            raise wrong_type(argument, rule, names if len(names) != 1 else repr(names[0]), way_out)
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise wrong(argument, "name each stage once", f"{twice[0]!r} again", "leave it out")
        return tuple(sorted((self.find(n, argument) for n in names), key=self._depth))

    def position(self, name: str) -> int:
        """Place in the order of execution; 0 is the input."""
        return self._index[name]

    def _depth(self, stage: StageInfo) -> int:
        return self.position(stage.name)

    def _widest_name(self, place: Place) -> Place:
        same = [p for p in self._places if p.value == place.value and p.container and p.inside == 1]
        return same[-1] if same else place

    def __repr__(self) -> str:
        rows = (f"  {s.name:<24} {s.kind:<18} {tuple(s.shape)}" for s in self)
        return "Stages(\n" + "\n".join(rows) + "\n)"


def is_weighted(module: nn.Module | None) -> bool:
    """Whether a leaf module holds a weight with at least two axes."""
    if module is None or next(module.children(), None) is not None:
        return False
    return any(p.ndim >= 2 for p in module.parameters(recurse=False))


def weighted_inside(module: nn.Module) -> int:
    """Number of weighted leaf modules inside a module."""
    return sum(is_weighted(m) for m in module.modules())


def _trunk(places: Sequence[Place]) -> list[Place]:
    """The places outside joining modules, each of which stands for all that is inside it.

    A module that holds most of the network is no layer, even if its last step is a sum.
    """
    total = sum(p.weighted for p in places)
    joining = [p for p in places if p.joins and 0 < p.inside <= max(1, total // 2)]
    inside = tuple(p.info.name.split(":")[0] + "." for p in joining)
    kept = [p for p in places[1:] if not p.info.name.startswith(inside)]
    return [p if p in joining else replace(p, joins=False) for p in kept]


def _after_weights(places: Sequence[Place]) -> list[Place]:
    """For each weight layer, the last state before something other than a pointwise step."""
    flat = [p for p in places if not p.container or p.joins]
    picked: list[Place] = []
    follows = False
    for place in flat:
        if (
            place.weighted
            or place.joins
            or place.info.kind in ("linear", "conv1d", "conv2d", "conv3d")
        ):
            picked.append(place)
            follows = True
        elif follows and _pointwise(place.info.kind):
            picked[-1] = place
        else:
            follows = False
    return picked


def _pointwise(kind: str) -> bool:
    if kind in ACTIVATIONS or kind in _ACTIVATION_CLASSES:
        return True
    return any(word in kind for word in _NORMS)
