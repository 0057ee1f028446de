"""What of an input a unit answers to: projections back to it, and what hiding a part changes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..operators import Deconvolution, Jacobian
from ..results import is_whole, wrong
from ._inputs import as_array

SHARE = 4  # the side of a hiding square is this part of the picture's


def deconvolved(op: Jacobian, flat: Tensor, *, guided: bool = False) -> Tensor:
    """Projections of one at each of some entries of the state, ``(U, n)``.

    Args:
        op: The Jacobian whose state it is.
        flat: Entries of the state, ``(U,)``.
        guided: Whether ReLUs that are off stop the signal.
    """
    point = op.point.detach().clone().requires_grad_()
    with Deconvolution(guided), torch.enable_grad():
        state = op.function(point)
    rows = [torch.autograd.grad(state[at], point, retain_graph=True)[0] for at in flat]
    return torch.stack(rows)


@torch.no_grad()
def occlusion(op: Jacobian, flat: Tensor, shape: tuple[int, int, int], places: int) -> Tensor:
    """By how much entries of the state change where a square of the picture is hidden.

    The square has a quarter of each side and the picture's mean colour; its places are evenly
    spread from border to border.

    Args:
        op: The Jacobian whose state it is, at a picture.
        flat: Entries of the state, ``(U,)``.
        shape: Channels, height and width.
        places: Squares along each side.

    Returns:
        Entry with the square less without, ``(U, places, places)``.

    Cost: ``places^2`` runs of the network.
    Source: Zeiler and Fergus, ECCV 2014, section 4.2 (there grey, and the sum of a map).
    """
    picture = op.point.detach().reshape(shape)
    plain, mean = op.function(op.point)[flat], picture.mean((1, 2), keepdim=True)
    ends = [_spans(size, places) for size in shape[1:]]
    found = plain.new_empty(len(flat), places, places)
    for i, (top, bottom) in enumerate(ends[0]):
        for j, (left, right) in enumerate(ends[1]):
            hidden = picture.clone()
            hidden[:, top:bottom, left:right] = mean
            found[:, i, j] = op.function(hidden.reshape(-1))[flat] - plain
    return found


def _spans(size: int, places: int) -> list[tuple[int, int]]:
    """First and last pixel of each square along a side."""
    side = max(1, round(size / SHARE))
    starts = torch.linspace(0, size - side, places) if places > 1 else [(size - side) / 2]
    return [(round(float(a)), round(float(a)) + side) for a in starts]


def unit_count(shape: tuple[int, ...]) -> int:
    """Number of units of a state of this shape."""
    return shape[-1] if len(shape) == 2 else shape[0]


def by_unit(state: Tensor, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """A flat state as ``(units, places)``, and the flat index of each entry."""
    index = torch.arange(state.numel(), device=state.device)
    if len(shape) == 2:
        return state.reshape(-1, shape[-1]).T, index.reshape(-1, shape[-1]).T
    return state.reshape(shape[0], -1), index.reshape(shape[0], -1)


def asked_units(units: Sequence[int], total: int) -> list[int]:
    """Numbers of units, or a refusal."""
    asked = list(units) if isinstance(units, Sequence) else [units]
    if not asked or not all(is_whole(u) and 0 <= u < total for u in asked):
        rule = f"be numbers from 0 to {total - 1}"
        raise wrong("units", rule, repr(units), "leave it out for the most excited ones")
    return [int(u) for u in asked]


def seen_back(
    op: Jacobian, shape: tuple[int, ...], chosen: list[int]
) -> tuple[dict[str, np.ndarray], Tensor]:
    """What is read at one input, and the entries of the state."""
    values, index = by_unit(op.output, shape)
    largest = values[chosen].max(1)
    flat = index[chosen].gather(1, largest.indices[:, None])[:, 0]
    ones = torch.zeros(op.shape[0], len(chosen), dtype=op.dtype, device=op.device)
    ones[flat, torch.arange(len(chosen), device=op.device)] = 1
    exact = (op.T @ ones).T
    found = {"activation": as_array(largest.values), "place": as_array(largest.indices)}
    found["exact"] = as_array(exact.to(torch.float32))
    for name, guided in (("deconvolved", False), ("guided", True)):
        projected = deconvolved(op, flat, guided=guided)
        cosine = torch.nn.functional.cosine_similarity(exact, projected, dim=1, eps=0.0)
        found[name] = as_array(projected.to(torch.float32))
        found["cosine_guided" if guided else "cosine"] = as_array(cosine).astype(np.float64)
    return found, flat
