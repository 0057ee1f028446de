"""At which positions of a sequence a reading ends."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from ...results import StageInfo, is_whole, wrong, wrong_type

Positions = str | int
ALL, LAST, MEAN = "all", "last", "mean"


def check_positions(positions: object) -> Positions:
    """``"all"``, ``"last"``, ``"mean"`` or a place, refused if it is none of these."""
    if isinstance(positions, str) and positions in (ALL, LAST, MEAN):
        return positions
    if is_whole(positions):
        return int(positions)
    rule = "be 'all', 'last', 'mean' or the number of a position"
    raise wrong_type("positions", rule, repr(positions), "0 is the first position, -1 the last")


def state_at(state: Tensor, positions: Positions) -> Tensor:
    """A state ``(1, T, d)`` at one position, or its mean over all, ``(d,)``; others as they are."""
    body = state[0] if state.ndim and state.shape[0] == 1 else state  # as shapes of stages have it
    if positions == ALL or body.ndim != 2:
        return state
    return body.mean(0) if positions == MEAN else body[_index(positions)]


def info_at(info: StageInfo, positions: Positions) -> StageInfo:
    """The stage with the shape of what is read of it: ``(d,)`` of ``(T, d)``.

    Raises:
        UsageError: It has fewer positions, or more axes than positions and components.
    """
    if positions == ALL or len(info.shape) < 2:
        return info
    if len(info.shape) > 2:
        got = f"{info.name!r} of shape {tuple(info.shape)}"
        way_out = "leave that stage out, or pass {positions}='all'"
        raise wrong("positions", "come with stages (positions, components)", got, way_out)
    length = info.shape[0]
    if not isinstance(positions, str) and not -length <= positions < length:
        rule = f"be from {-length} to {length - 1}, the positions of {info.name!r}"
        raise wrong("positions", rule, positions, "pass 'last', or one that every input has")
    return replace(info, shape=info.shape[1:])


def _index(positions: Positions) -> int:
    return -1 if isinstance(positions, str) else positions
