"""Units at the inputs that excite them most, seen in several ways."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ...operators import Deconvolution, Example, Jacobian, View
from ...results import Progress, Units, Xray, check_at_least, is_whole, told, wrong
from ...spectra import without_autocast
from .._experiment import Arrays, Bench, ExperimentEntry, bench, conducted
from .._inputs import as_array
from .._projections import asked_units, by_unit, occlusion, seen_back, unit_count

COUNT, PLACES, MOST_PLACES = 8, 8, 64


@told
@without_autocast
def units(
    model: nn.Module | View,
    inputs: Any,
    run: Xray,
    stage: str | None = None,
    *,
    units: Sequence[int] | None = None,
    count: int = COUNT,
    occlude: int = PLACES,
    progress: Progress | None = None,
) -> Units:
    """Project units back to the input: exactly, deconvolutional, guided; and hide parts of it.

    For each unit and input: where the unit is largest, the row of the Jacobian there (the gradient
    of its activation by the input), and beside it the deconvolutional projection: one at the unit,
    passed back through transposed layers and the switches of max pooling, rectified at each ReLU
    instead of gated by it. The two agree where, on the way back, no negative signal meets a ReLU
    that is on and no positive one meets a ReLU that is off; without ReLUs they are the same. The
    guided projection passes where both do: a positive signal and a ReLU that is on. Only the exact
    row says what a small change does. Of pictures, a square that hides a part of it is moved over
    the picture: by how much the unit changes is a large change, where the row is a small one.

    Args:
        model: The model that the x-ray read, or its ``View``; left as it was.
        inputs: The inputs of the x-ray.
        run: The x-ray; in a folder, a piece for each input is kept there.
        stage: Whose units; default the deepest that was read.
        units: Their numbers: channels of a map ``(channels, height, width)``, components of rows
            ``(positions, components)``, else entries. Default: those with the largest activation at
            any input.
        count: How many where ``units`` is not given.
        occlude: Places of the hiding square along each side of a picture; 0: none. Inputs of other
            shapes than ``(channels, height, width)`` are not hidden.
        progress: ``progress(done, total, seconds_left, what)``, called after each input.

    Returns:
        A ``Units``: activations, places, projections, cosines with the row, occlusion.

    Raises:
        UsageError: Another model or other inputs than the x-ray's, an unknown stage or unit.

    Cost: a run of the network for each input to choose units, then three backward passes a unit,
    and ``occlude^2`` runs; ``12 U n`` bytes an input for U units, n the size of an input.
    Source: Zeiler and Fergus, ECCV 2014 (arXiv 1311.2901); Simonyan et al. 2014 (1312.6034) on how
    it differs from the gradient; Springenberg et al. 2015 (1412.6806), guided.
    """
    table = bench(model, inputs, run)
    table.check_one_length()
    stage = table.stages(stage or run.path[-1])[0]
    total = unit_count(_shape(table, table.inputs.at(0), stage))
    chosen = asked_units(units, total) if units is not None else _strongest(table, stage, count)
    if not is_whole(occlude) or not 0 <= occlude <= MOST_PLACES:
        rule = f"be a whole number from 0 to {MOST_PLACES}"
        raise wrong("occlude", rule, repr(occlude), f"{PLACES} is the default")
    shape = _picture(table)
    places = occlude if shape is not None else 0
    settings = {
        "stages": [stage], "units": chosen, "rectified": _relus(table, stage), "occlude": places
    }  # fmt: skip

    def measure(i: int, x: Example) -> Arrays:
        op = Jacobian(table.network, x, table.places_at(x), stage, table.source)
        found, flat = seen_back(op, _shape(table, x, stage), chosen)
        if shape is not None and places:
            found["occlusion"] = as_array(occlusion(op, flat, shape, places).to(torch.float32))
        return found

    return conducted(Units, table, settings, measure, progress)


def _picture(table: Bench) -> tuple[int, int, int] | None:
    """The shape of inputs that are pictures; None of others."""
    parts = table.parts(table.inputs.at(0))
    shape = parts[0].shape[-3:]
    if table.source != "input" or len(parts) != 1 or len(shape) != 3:
        return None
    channels, height, width = shape
    return (channels, height, width) if parts[0].numel() == math.prod(shape) else None


def _shape(table: Bench, x: Example, stage: str) -> tuple[int, ...]:
    """The shape of what is read of a stage at one input."""
    return table.network.ends(table.places_at(x), stage)[0].shape


def _strongest(table: Bench, stage: str, count: int) -> list[int]:
    check_at_least("count", count, 1, f"{COUNT} is the default")
    most: Tensor | None = None
    for i in range(len(table.inputs)):
        x = table.inputs.at(i)
        with torch.no_grad():
            state = table.network.read_at(table.network.activations(x.tree, (stage,)))[0]
        top = by_unit(state.reshape(-1), _shape(table, x, stage))[0].amax(1)
        most = top if most is None else torch.maximum(most, top)
    assert most is not None
    order = torch.sort(most, descending=True, stable=True).indices
    return [int(u) for u in order[:count]]


def _relus(table: Bench, stage: str) -> int:
    """How many ReLUs are passed on the way to a stage."""
    with Deconvolution() as way, torch.no_grad():
        table.network.activations(table.inputs.at(0).tree, (stage,))
    return way.count


ENTRY = ExperimentEntry(
    units, "units at the inputs that excite them: exact, deconvolutional, guided, occluded"
)
