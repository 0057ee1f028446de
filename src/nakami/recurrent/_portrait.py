"""Trajectories and fixed points in the plane in which the states move most."""

from __future__ import annotations

import numpy as np
import torch

from ..results import FixedPoints, Portrait
from ._calls import Driven
from ._state_map import StateMap

PATHS, STEPS = 12, 100  # trajectories kept, and steps of each
ALL = 256  # trajectories that the components are of, at most


def portrait(net: StateMap, driven: Driven, fixed: FixedPoints) -> Portrait:
    """States along the real sequences, each from its own start, in two principal components.

    Args:
        net: The layer's step.
        driven: What drives it.
        fixed: Points to show beside them.

    The components are of all states after the first of each sequence, at most 256 sequences of 100
    steps, all of the length of the shortest.
    """
    some = driven.sequences[:: max(1, len(driven.sequences) // ALL)][:ALL]
    starts = driven.starts[:: max(1, len(driven.sequences) // ALL)][:ALL]
    length = min(STEPS, *map(len, some)) if len(some) > 1 else min(STEPS, len(some[0]))
    inputs = torch.stack([x[:length] for x in some])
    states = net.run(inputs, torch.stack(starts)).cpu().numpy()
    after = states[:, 1:].reshape(-1, net.state_size)
    mean = after.mean(axis=0)
    _, sizes, right = np.linalg.svd(after - mean, full_matrices=False)
    total = float((sizes**2).sum())
    axes, shares = np.zeros((2, net.state_size)), np.zeros(2)
    n = min(2, len(sizes))
    axes[:n] = right[:n]
    shares[:n] = sizes[:n] ** 2 / total if total > 0 else 0.0
    signs = np.sign(axes[np.arange(2), np.abs(axes).argmax(axis=1)])
    axes *= np.where(signs == 0, 1, signs)[:, None]  # the same picture on every machine
    points = (fixed.points - mean) @ axes.T
    off = np.linalg.norm(fixed.points - mean - points @ axes, axis=1)
    unit = np.sqrt(total / len(after))
    stride = max(1, len(states) // PATHS)
    paths = (states[::stride][:PATHS] - mean) @ axes.T
    return Portrait(mean, axes, shares, paths, points, off / unit if unit > 0 else off)
