"""What units of a stage answer to at several times of a training.

Origin: Zeiler & Fergus, "Visualizing and understanding convolutional networks", ECCV 2014, section
4.1: features of AlexNet's layers by epoch, a jump where another picture excites a unit most.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..data import load_weights
from ..data._weights import load_state
from ..operators import FunctionalModel, Jacobian, View, as_view, natural_start
from ..results import FeatureEvolution, wrong, wrong_type
from ..spectra import svd, without_autocast
from ._inputs import as_array
from ._projections import asked_units, by_unit, seen_back, unit_count
from ._states import planned_alone, states_at

Weights = str | PathLike[str] | Mapping[str, Tensor]
COUNT = 6


@without_autocast
def feature_evolution(
    model: nn.Module | View,
    inputs: Tensor,
    snapshots: Mapping[Any, Weights],
    stage: str,
    *,
    units: Sequence[int] | None = None,
) -> FeatureEvolution:
    """Units at each time: the input that excites them most, and what of it they answer to.

    Args:
        model: The network, or a ``View`` of it; its own weights are neither used nor changed.
        inputs: ``(N, ...)``, all seen at each time.
        snapshots: By a name for the time, such as the epoch, in order: a file of weights
            (``pieces/<name>/arrays.safetensors`` of a ``Training`` with ``snapshots=``) or a state
            dict.
        stage: Whose units, as for ``nakami.xray``.
        units: Their numbers, as for the experiment ``units``; None: the six with the largest
            activation at the last time.

    Returns:
        A ``FeatureEvolution``; ``pictures()`` draws it.

    Raises:
        UsageError: No snapshot, weights that do not fit, an unknown stage or unit.

    Cost: for each time a run over all inputs, and a leading singular vector for each unit.
    """
    given: object = snapshots
    if not isinstance(given, Mapping) or not snapshots:
        got = "none" if isinstance(given, Mapping) else type(given).__name__
        rule = "hold weights by the name of a time, one or more"
        raise wrong("snapshots", rule, got, "pass {1: 'weights.safetensors'}")
    if not isinstance(inputs, Tensor):
        raise wrong_type("inputs", "be a tensor", type(inputs).__name__, "pass x of shape (N, ...)")
    view = as_view(model)
    own = replace(view, model=copy.deepcopy(view.model))
    chosen = units
    if chosen is None:
        most = _Moment(own, list(snapshots.items())[-1], inputs, stage).tops().amax(0)
        chosen = most.argsort(descending=True, stable=True)[:COUNT].tolist()
    found: dict[str, list[Any]] = {}
    for time, weights in snapshots.items():
        moment = _Moment(own, (time, weights), inputs, stage)
        chosen = asked_units(chosen, unit_count(moment.shape))
        best = moment.tops()[:, chosen].argmax(0).tolist()
        seen = [moment.seen(i, unit) for i, unit in zip(best, chosen, strict=True)]
        stacked = {name: np.stack([part[name] for part in seen]) for name in seen[0]}
        for name, values in {**stacked, "best": np.array(best)}.items():
            found.setdefault(name, []).append(values)
    arrays = {name: np.stack(parts) for name, parts in found.items()}
    times = tuple(str(time) for time in snapshots)
    return FeatureEvolution(stage, times, tuple(chosen), tuple(inputs.shape[1:]), **arrays)


class _Moment:
    """The network at one time, read at a stage whose states have this ``shape``."""

    def __init__(self, view: View, snapshot: tuple[Any, Weights], inputs: Tensor, stage: str):
        time, weights = snapshot
        if isinstance(weights, Mapping):
            load_state(view.model, weights, f"snapshots[{time!r}]")
        else:
            load_weights(view.model, weights)
        self.network, self.inputs, self.stage = FunctionalModel(view), inputs, stage
        plan = planned_alone(self.network, inputs, [stage], "read")
        self._at, first = plan.inputs.at, plan.inputs.at(0)
        self._places = self.network.stages(first)
        self._source = natural_start(self.network, first, self._places)
        self.shape = self.network.ends(self._places, stage)[0].shape

    def tops(self) -> Tensor:
        """The largest entry of each unit at each input, ``(N, units)``."""
        states = states_at(self.network, self.inputs, self.stage)
        return torch.stack([by_unit(state, self.shape)[0].amax(1) for state in states])

    def seen(self, i: int, unit: int) -> dict[str, Any]:
        """Row, projection and first singular vector at one input."""
        op = Jacobian(self.network, self._at(i), self._places, self.stage, self._source)
        back, _ = seen_back(op, self.shape, [unit])
        leading = svd(op, 1)
        assert leading.right is not None
        v = as_array(leading.right[:, 0].to(torch.float32))
        side = 1.0 if float(v @ back["exact"][0]) >= 0 else -1.0
        return {
            "activation": back["activation"][0],
            "exact": back["exact"][0],
            "deconvolved": back["deconvolved"][0],
            "singular": side * v,
            "value": float(leading.values[0]),
        }
