"""The places where a network can be read, in order of execution."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property
from typing import TYPE_CHECKING, overload

from torch import nn

from ...results import StageInfo, unknown, wrong, wrong_type
from ._tracer import ACTIVATIONS

if TYPE_CHECKING:
    from ._ways import Ways

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
        block: Whether its module is one of several equal ones in a row, a block of a transformer.
    """

    info: StageInfo
    weighted: bool
    container: bool
    value: int
    inside: int = 0
    joins: bool = False
    block: bool = False

    @property
    def module(self) -> str:
        """Name of the module that made it: that of its first call."""
        return self.info.name.split(":")[0]


Find = Callable[["Stages", Sequence[str]], "Ways | None"]


class Stages(Sequence[StageInfo]):
    """All stages of a network in order of execution; ``stages[0]`` is ``input``.

    ``auto`` names those that ``nakami.xray`` reads when none are given: the state after each weight
    layer, with the normalisation and the activation that follow it, and the output where it has
    another size; at most 12, evenly spread. A module that joins branches (a sum, a concatenation)
    counts as one layer. Where blocks repeat (modules of one class in one list, with sums inside, as
    in transformers) their outputs are read, the last one in any case, and no state inside them.
    Only stages on the way from the input to the output that is read are taken: no table of
    positions, no layer of another head. The last stage is that output.
    """

    def __init__(self, places: Sequence[Place], find: Find | None = None):
        self._places, self._find = tuple(places), find
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

    @cached_property
    def auto(self) -> tuple[str, ...]:
        """The stages read by default. Cost: one forward pass."""
        last, on_way = self._places[-1], self._on_way
        by_value = {p.value: p for p in _after_weights(_trunk(on_way))}  # a name a state
        picked = [self._widest_name(p) for p in by_value.values()]
        if not picked or (last.value not in by_value and picked[-1].info.size != last.info.size):
            picked.append(last)
        names = list(dict.fromkeys(p.info.name for p in picked))
        blocks = [p.info.name for p in picked if p.block]
        return tuple(_at_most(names, blocks))

    @cached_property
    def blocks(self) -> tuple[str, ...]:
        """Outputs of modules that repeat, with sums inside: the blocks of a transformer.

        Those on the way to the output that is read.
        """
        return tuple(dict.fromkeys(p.info.name for p in _blocks(self._on_way)))

    @cached_property
    def aside(self) -> tuple[str, ...]:
        """Stages that follow from the input and do not lead to the output that is read."""
        found = () if self._ways is None else self._ways.layers
        return tuple(name for name in self.names if name in found and not self.leads(name))

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

    def matching(self, names: Sequence[str]) -> list[str]:
        """The names, each pattern with ``*`` or ``?`` replaced by the stages that it fits.

        A pattern that fits none stays, to be answered with the nearest names.
        """
        found: list[str] = []
        for name in names:
            pattern = isinstance(name, str) and name not in self._index and {*name} & {*"*?"}
            fitting = [n for n in self._index if fnmatchcase(n, name)] if pattern else []
            found += [n for n in fitting if n not in found] or [name]
        return found

    def position(self, name: str) -> int:
        """Place in the order of execution; 0 is the input."""
        return self._index[name]

    def leads(self, name: str, to: str | None = None) -> bool:
        """Whether a stage lies on the way from where readings start to another one, or is it.

        Args:
            name: The stage.
            to: The other; default the output that is read.

        Cost: one run with gradients, once for all stages.
        """
        found, bit = self._ways, 1 << self.position(name)
        if found is None:
            return to is None or self.position(name) <= self.position(to)
        end = found.output if to is None else found.before.get(to, 0)
        return name in found.before and bool(end & bit)

    def layers(self, name: str) -> int:
        """Weight layers on the longest way from where readings start to the stage; at least 1.

        Of branches that join again the longer one counts, of a skip connection the branch. Repeated
        calls of a layer count each. Where a stage does not follow from the start, or the network
        switches gradients off: all that ran before it.
        """
        found = None if self._ways is None else self._ways.layers.get(name)
        if found is None:
            found = sum(_is_layer(p) for p in self._places[: self.position(name) + 1])
        return max(1, found)

    @cached_property
    def _ways(self) -> Ways | None:
        weighted = [p.info.name for p in self._places if _is_layer(p)]
        return None if self._find is None else self._find(self, weighted)

    @property
    def _on_way(self) -> list[Place]:
        """The input, the places on the way to the output, and the output."""
        between = (p for p in self._places[1:-1] if self.leads(p.info.name))
        return [self._places[0], *between, self._places[-1]]

    def _depth(self, stage: StageInfo) -> int:
        return self.position(stage.name)

    def _widest_name(self, place: Place) -> Place:
        if place.block:
            return place
        same = [p for p in self._places if p.value == place.value and p.container and p.inside == 1]
        return same[-1] if same else place

    def __repr__(self) -> str:
        rows = (f"  {s.name:<24} {s.kind:<18} {tuple(s.shape)}" for s in self)
        return "Stages(\n" + "\n".join(rows) + "\n)"


def _at_most(names: Sequence[str], blocks: Sequence[str]) -> list[str]:
    """At most ``MOST`` names, evenly spread; of blocks the first and the last in any case."""
    if len(names) <= MOST:
        return list(names)
    others = [name for name in names if name not in blocks]
    kept = set(_spread(blocks, max(MOST - len(others), min(2, len(blocks)))))
    kept.update(_spread(others, MOST - len(kept)))
    return [name for name in names if name in kept]


def _spread(names: Sequence[str], count: int) -> list[str]:
    """``count`` of the names, or all, evenly spread from the first to the last."""
    if len(names) <= count:
        return list(names)
    step = (len(names) - 1) / max(1, count - 1)
    return [names[round(i * step)] for i in range(count)]


def is_weighted(module: nn.Module | None) -> bool:
    """Whether a leaf module holds a weight with at least two axes."""
    if module is None or next(module.children(), None) is not None:
        return False
    return any(p.ndim >= 2 for p in module.parameters(recurse=False))


def weighted_inside(module: nn.Module) -> int:
    """Number of weighted leaf modules inside a module."""
    return sum(is_weighted(m) for m in module.modules())


def _trunk(places: Sequence[Place]) -> list[Place]:
    """The places outside blocks and joining modules, each of which stands for all inside it.

    A module that holds most of the network, or blocks, is no layer, even if its last step is a sum.
    """
    total = sum(_is_layer(p) for p in places)
    blocks = _blocks(places)
    joining = [
        p
        for p in places
        if p.joins
        and 0 < p.inside <= max(1, total // 2)
        and not any(b.module.startswith(f"{p.module}.") for b in blocks)
    ]
    inside = tuple({f"{p.module}." for p in (*joining, *blocks)})
    kept = [p for p in places[1:] if not p.info.name.startswith(inside)]
    return [replace(p, joins=p in joining, block=p in blocks) for p in kept]


def _blocks(places: Sequence[Place]) -> list[Place]:
    """Modules of several layers that repeat in a list or are called again, with sums inside."""
    joining = {p.module for p in places if p.joins}
    groups: dict[tuple[str, str], list[Place]] = {}
    for place in places:
        stem, _, number = place.module.rpartition(".")
        if place.container and place.inside > 1 and number.isdigit():
            groups.setdefault((stem, place.info.kind), []).append(place)
    found = []
    for group in groups.values():
        own = {f"{p.module}." for p in group}
        if len(group) > 1 and any(f"{name}.".startswith(tuple(own)) for name in joining):
            found += group
    outer = tuple({f"{p.module}." for p in found})
    return [p for p in found if not p.module.startswith(outer)]


def _after_weights(places: Sequence[Place]) -> list[Place]:
    """For each weight layer, the last state before something other than a pointwise step."""
    flat = [p for p in places if not p.container or p.joins or p.block]
    picked: list[Place] = []
    follows = False
    for place in flat:
        if place.block:  # a normalisation behind the last one belongs to the head
            picked.append(place)
            follows = False
        elif place.joins or _is_layer(place):
            picked.append(place)
            follows = True
        elif follows and _pointwise(place.info.kind):
            picked[-1] = place
        else:
            follows = False
    return picked


def _is_layer(place: Place) -> bool:
    return place.weighted or place.info.kind in ("linear", "conv1d", "conv2d", "conv3d")


def _pointwise(kind: str) -> bool:
    if kind in ACTIVATIONS or kind in _ACTIVATION_CLASSES:
        return True
    return any(word in kind for word in _NORMS)
