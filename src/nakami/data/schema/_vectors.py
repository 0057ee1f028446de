"""Which types of columns there are, and how each can become numbers."""

from __future__ import annotations

from collections.abc import Mapping

from ._columns import AsStored, Standardise, Unit
from ._files import LogMel, Picture
from ._gaps import StandardisedNumbers, StoredNumbers, UnitNumbers
from ._kinds import Classes, OneHot
from ._vector import Vector
from ._words import Bag, Characters, Words


def _by_name(*kinds: type[Vector]) -> Mapping[str, type[Vector]]:
    return {kind.name: kind for kind in kinds}


VECTORS: Mapping[str, Mapping[str, type[Vector]]] = {  # the first is proposed
    "number": _by_name(StandardisedNumbers, UnitNumbers, StoredNumbers),
    "category": _by_name(OneHot, Classes),
    "text": _by_name(Bag, Words, Characters),
    "picture": _by_name(Picture),
    "sound": _by_name(LogMel),
    "array": _by_name(AsStored, Standardise, Unit),
}
TYPES = tuple(VECTORS)


def usual_vector(kind: str, use: str) -> str:
    """What is taken where the schema names none."""
    choices = VECTORS[kind]
    if use == "target":
        return next((name for name, each in choices.items() if each.for_targets), "")
    return next(iter(choices))


def fitting_vector(kind: str, use: str, vector: str) -> str:
    """What is taken where the schema names ``vector``: of a category what its use needs.

    So an input becomes the target, and a target an input, by a change of ``use`` alone.
    """
    return usual_vector(kind, use) if kind == "category" else vector
