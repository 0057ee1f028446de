"""For how many steps a changed input is seen in the states of recurrent layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..results import TimeScales, check_fraction, wrong
from ._calls import Driven, driven_layers
from ._state_map import StateMap


def time_scales(
    model: nn.Module,
    inputs: Any,
    changed: Any,
    *,
    layers: Sequence[str] | None = None,
    fraction: float = 0.1,
) -> TimeScales:
    """How long each recurrent layer remembers a change of its input.

    The network reads every sequence twice, as it is and with a change, one character say. The
    difference of a layer's states (of an LSTM with the cells) rises, and then falls as the layer
    forgets.

    Args:
        model: Any network with ``nn.RNN``, ``nn.GRU`` or ``nn.LSTM`` in it, each of which runs once
            on all steps; left as it was.
        inputs: Sequences along axis 0, as the network takes them.
        changed: The same with a change in each, at a step early enough.
        layers: Names of the layers; default all that run.
        fraction: Below this share of its largest value a difference counts as gone, 0 to 1.

    Returns:
        Steps of each layer and sequence, counted from the change: after so many the difference
        stays below ``fraction``. Where a sequence ends before, its length is what is counted, and
        ``cut`` is True.

    Raises:
        UsageError: No recurrent layer; inputs of two shapes; a sequence without a change; layers
            that get other sequences than these.

    Cost: two passes of the network, and two of each layer in float64.
    Source: Hermans & Schrauwen, NIPS 2013 (their analysis of time scales by layer).
    """
    check_fraction("fraction", fraction, "use 0.1")
    names = None if layers is None else list(layers)
    pairs = [driven_layers(model, x, names) for x in (inputs, changed)]
    differences = [_difference(*both) for both in zip(*pairs, strict=True)]
    begun = torch.stack(differences).amax(0) > 0  # (N, T)
    if not bool(begun.any(1).all()):
        bare = int((~begun.any(1)).nonzero()[0])
        way_out = "change one step of each sequence"
        raise wrong("changed", "differ from inputs in every sequence", f"none in {bare}", way_out)
    first = begun.long().argmax(1)
    shares = np.stack([_shares(d, first) for d in differences])
    steps, cut = _steps(shares, fraction)
    found = tuple(layer.name or layer.kind for layer in pairs[0])
    return TimeScales(found, fraction, shares, steps, cut)


def _difference(one: Driven, other: Driven) -> Tensor:
    """Length of the difference of a layer's states after each step, ``(N, T)``."""
    shapes = [[tuple(x.shape) for x in driven.sequences] for driven in (one, other)]
    if shapes[0] != shapes[1] or len(set(shapes[0])) != 1:
        got = f"{one.name or one.kind} with sequences of {len({*map(tuple, shapes)})} kinds"
        way_out = "pass sequences of one length, and the same changed"
        raise wrong("inputs and changed", "give layers sequences of one shape", got, way_out)
    rule = StateMap(one.module)
    ran = [rule.run(torch.stack(d.sequences), torch.stack(d.starts))[:, 1:] for d in (one, other)]
    return (ran[0] - ran[1]).norm(dim=2)


def _shares(difference: Tensor, first: Tensor) -> np.ndarray[Any, Any]:
    """Differences from the change on over their largest, ``(N, T)``; NaN behind the end."""
    rows = difference.cpu().numpy()
    out = np.full(rows.shape, np.nan)
    for i, (row, begin) in enumerate(zip(rows, first.tolist(), strict=True)):
        most = row.max()
        out[i, : len(row) - begin] = row[begin:] / most if most > 0 else 0.0
    return out


def _steps(
    shares: np.ndarray[Any, Any], fraction: float
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Steps until a share stays below the fraction, and whether the sequence ends before."""
    there = ~np.isnan(shares)
    above = there & (np.nan_to_num(shares) >= fraction)
    t = np.arange(1, shares.shape[2] + 1)
    steps = (above * t).max(2)
    return steps, steps == there.sum(2)
