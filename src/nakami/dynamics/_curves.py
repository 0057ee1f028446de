"""Curves in the input space, seen at each stage: whether depth makes them straight.

Origins: Poole, Lahiri, Raghu, Sohl-Dickstein & Ganguli, NIPS 2016 (curves through random nets);
Henaff, Goris & Simoncelli, Nature Neuroscience 22, 2019 (angles between steps).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..operators import FunctionalModel, View
from ..results import Straightness, wrong, wrong_type
from ._states import planned_alone, states_at


def straightness(
    model: nn.Module | View, curves: Tensor, stages: str | Sequence[str] = "auto"
) -> Straightness:
    """Follow curves in the input space through the network.

    A curve is a row of points that one thing leads along: a picture turned step by step, a mixture
    of two inputs, the frames of a film. Where a network unfolds what the curve lies on, its steps
    at a deep stage turn less than at the input.

    Args:
        model: Any module, or a ``View`` of one; read as it is evaluated, and left as it was.
        curves: ``(curves, points, ...)``, three points or more; each point is an input.
        stages: Names or ``"auto"``, as for ``nakami.xray``.

    Returns:
        A ``Straightness``: angles in degrees and lengths by stage and curve. NaN where a step of a
        curve has no length, as where all units are off.

    Raises:
        UsageError: As ``nakami.xray`` for stages; fewer than three points.

    Cost: a forward pass over all points for each stage.
    """
    given: Any = curves
    if not isinstance(given, Tensor):
        way_out = "pass a tensor of shape (curves, points, ...)"
        raise wrong_type("curves", "be a tensor", type(given).__name__, way_out)
    if curves.ndim < 3 or curves.shape[1] < 3 or not len(curves):
        rule = "have the shape (curves, points, ...) with three points or more"
        raise wrong("curves", rule, tuple(curves.shape), "pass curve[None] for a single one")
    network, points = FunctionalModel(model), curves.flatten(0, 1)
    plan = planned_alone(network, points, stages, "read")
    names, found = tuple(stage.name for stage in plan.chosen), []
    for name in names:
        steps = states_at(network, points, name).unflatten(0, curves.shape[:2]).diff(dim=1)
        lengths = steps.norm(dim=2)
        cosines = torch.linalg.vecdot(steps[:, 1:], steps[:, :-1])
        cosines = cosines / (lengths[:, 1:] * lengths[:, :-1])
        angles = torch.rad2deg(torch.arccos(cosines.clamp(-1, 1))).mean(1)
        way = lengths.sum(1)
        found.append((angles, way / steps.sum(1).norm(dim=1), way))
    columns = [np.stack([part.numpy() for part in column]) for column in zip(*found, strict=True)]
    return Straightness(names, columns[0], columns[1], columns[2])
