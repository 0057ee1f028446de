"""What of an input a unit answers to: projections back to it, and what hiding a part changes."""

from __future__ import annotations

import torch
from torch import Tensor

from ..operators import Deconvolution, Jacobian

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
