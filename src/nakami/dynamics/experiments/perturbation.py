"""Steps along singular directions: what they change, and how far the Jacobian predicts it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...operators import Example, Jacobian, View
from ...results import (
    Perturbation,
    Progress,
    Spectrum,
    Xray,
    check_at_least,
    check_choice,
    check_seed,
    is_number,
    told,
    wrong,
)
from ...spectra import without_autocast
from .._experiment import Arrays, Bench, ExperimentEntry, bench, conducted
from .._inputs import as_array

LENGTHS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
WITHIN = 0.1  # of the prediction: as far as it is said to hold
HALVINGS = 8  # of the ratio between two lengths, where a border or a radius lies between them
HIDDEN = 100  # roundings of the state: a smaller predicted change is not told from them


@told
@without_autocast
def perturbation(
    model: nn.Module | View,
    inputs: Any,
    run: Xray,
    lengths: Sequence[float] = LENGTHS,
    *,
    unit: str = "norm",
    stage: str | None = None,
    each: int = 2,
    random: int = 4,
    seed: int = 0,
    progress: Progress | None = None,
) -> Perturbation:
    """Move each input of an x-ray along its singular directions, and see what changes.

    Right singular vectors of ``J_all`` at one stage, largest, middle and smallest computed, beside
    random directions. At each later stage: the size of the change ``|h(x + e d) - h(x)|``, mean of
    a step each way, beside ``e |J d|``, which the Jacobian predicts. At the output: how often the
    decision (the largest entry) changes, and the smallest step that changes it. The first change of
    a decision is searched among ``lengths``, then between two of them: what changes and changes
    back in between is not seen. Steps are not cut to the range of pixels.

    Args:
        model: The model that the x-ray read, or its ``View``; left as it was.
        inputs: The inputs of the x-ray.
        run: The x-ray, with its vectors; in a folder, a piece for each input is kept there.
        lengths: Lengths of the steps, above 0, rising.
        unit: ``"norm"``: lengths are multiples of the input's norm; ``"sd"``: of the standard
            deviation of its numbers (each moves by so much in the root mean square).
        stage: Whose singular vectors are followed; default the deepest that was read.
        each: Directions at the top, in the middle and at the bottom; up to 4, and as many as were
            computed.
        random: Random directions, from 0 on.
        seed: Of these; each input has its own.
        progress: ``progress(done, total, seconds_left, what)``, called after each input.

    Returns:
        A ``Perturbation``: by direction and length, with medians of the distance up to which the
        prediction holds within 10 %, and of the distance of the decision's border.

    Raises:
        UsageError: Another model or other inputs than the x-ray's, a setting out of range, an input
            of zeros.

    Cost: for each input about ``2 (3 each + random) (len(lengths) + 16)`` runs of the network.
    Source: Mototake & Ikegami, JSAI 2015, which announces the steps as its next work.
    """
    settings = _checked(lengths, unit, each, random, seed)
    table = bench(model, inputs, run)
    stage = table.stages(stage or run.path[-1])[0]
    places = _places(run.at(stage), each)
    groups = [name for name, at in places.items() for _ in at] + ["random"] * random
    settings |= {"stage": stage, "stages": list(table.ends), "groups": groups}
    settings["decides"] = table.entries > 0
    spectra = {s.input: s for s in run.at(stage)}

    def measure(i: int, x: Example) -> Arrays:
        index = [at[i] for group in places.values() for at in group]
        return _at_one_input(table, x, spectra[i], index, i, settings)

    return conducted(Perturbation, table, settings, measure, progress)


def _checked(
    lengths: Sequence[float], unit: str, each: int, random: int, seed: int
) -> dict[str, Any]:
    asked = list(lengths) if isinstance(lengths, Sequence) else [lengths]
    good = all(is_number(one) and 0 < one < np.inf for one in asked) and len(asked) > 0
    if not good or sorted(set(asked)) != asked:
        raise wrong("lengths", "be numbers above 0 that rise", repr(lengths), "leave it out")
    check_choice("unit", unit, ("norm", "sd"), 'pass "norm", the default')
    check_at_least("each", each, 1, "2 is the default")
    check_at_least("random", random, 0, "4 is the default")
    return {
        "lengths": [float(one) for one in asked],
        "unit": unit,
        "random": random,
        "seed": check_seed(seed),
    }


def _places(spectra: tuple[Spectrum, ...], each: int) -> dict[str, list[dict[int, int]]]:
    """Rows of the kept vectors at the top, in the middle and at the bottom, for each input."""
    fewest = min(len(s.kept) for s in spectra)
    each = min(each, fewest // 3) or 1
    groups: dict[str, list[dict[int, int]]] = {"top": [], "middle": [], "bottom": []}
    for n in range(each):
        groups["top"].append({s.input: n for s in spectra})
        if fewest >= 3:
            groups["middle"].append({s.input: _middle(s, each) + n for s in spectra})
        if fewest >= 2:
            groups["bottom"].append({s.input: len(s.kept) - each + n for s in spectra})
    return {name: at for name, at in groups.items() if at}


def _middle(spectrum: Spectrum, each: int) -> int:
    """The first of ``each`` rows around the middle of the computed values."""
    near = int(np.abs(spectrum.kept - (len(spectrum.values) - 1) / 2).argmin())
    return min(max(near - (each - 1) // 2, each), len(spectrum.kept) - 2 * each)


@dataclass(frozen=True)
class _Steps:
    """Steps from one input: how far the states at the ends move, and the decision."""

    op: Jacobian
    step: float
    decides: bool

    def along(self, move: Tensor) -> tuple[Tensor, bool]:
        """Sizes of the changes by stage, and whether the decision is another."""
        with torch.no_grad():
            moved = self.op.function(self.op.point + self.step * move)
        gap = moved - self.op.output
        sizes = torch.stack([gap[rows].norm() for rows in self.op.parts.values()])
        return sizes, self.decides and self._decision(moved) != self.decided

    @cached_property
    def decided(self) -> int:
        """The decision without a step."""
        return self._decision(self.op.output)

    def _decision(self, states: Tensor) -> int:
        return int(states[self.op.parts[self.op.to]].argmax())


def _at_one_input(
    table: Bench, x: Example, spectrum: Spectrum, index: list[int], i: int, settings: dict[str, Any]
) -> Arrays:
    op = Jacobian(table.network, x, table.places_at(x), list(table.ends), table.source)
    lengths = settings["lengths"]
    directions = _directions(op.point, spectrum, index, i, settings)
    gains = op @ directions.T
    steps = _Steps(op, _size(op.point, settings["unit"], i), settings["decides"])
    change = torch.zeros(len(op.parts), len(directions), len(lengths))
    decided = torch.zeros(len(directions), len(lengths))
    radius, border = (np.full(len(directions), np.nan) for _ in range(2))
    for d, direction in enumerate(directions):
        sizes = np.zeros((2, len(lengths)))
        flips = np.zeros((2, len(lengths)), dtype=bool)
        for way, sign in enumerate((1, -1)):
            for at, length in enumerate(lengths):
                size, flips[way, at] = steps.along(sign * length * direction)
                change[:, d, at] += size.cpu() / 2
                sizes[way, at] = float(size[-1])
        decided[d] = torch.from_numpy(flips).float().mean(0)
        gain = float(gains[op.parts[op.to], d].norm())
        radius[d] = _radius(steps, direction, gain, sizes, lengths)
        border[d] = _border(steps, direction, flips, lengths) if settings["decides"] else np.nan
    return {
        "step": np.array(steps.step),
        "index": np.array([*(int(spectrum.kept[n]) for n in index), *[-1] * settings["random"]]),
        "gain": np.stack([as_array(gains[rows].norm(dim=0)) for rows in op.parts.values()]),
        "change": as_array(change),
        "hidden": np.array([_hidden(op.output[rows]) for rows in op.parts.values()]),
        "decided": as_array(decided),
        "radius": radius,
        "border": border,
    }


def _directions(
    point: Tensor, spectrum: Spectrum, index: list[int], i: int, settings: dict[str, Any]
) -> Tensor:
    """Directions of length 1, (D, n)."""
    own = torch.from_numpy(spectrum.right[index]).to(point)
    seed = int(np.random.SeedSequence([settings["seed"], i]).generate_state(1)[0])
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(settings["random"], len(point), generator=generator).to(point)
    both = torch.cat([own, drawn])
    return both / both.norm(dim=1, keepdim=True)


def _size(point: Tensor, unit: str, i: int) -> float:
    """The size of a step of length 1, in the unit of the input."""
    size = point.norm() if unit == "norm" else point.std() * len(point) ** 0.5
    if not float(size) > 0:
        got = f"input {i} with {unit} 0"
        raise wrong("inputs", f"have a {unit} above 0", got, "leave that input out of the x-ray")
    return float(size)


def _hidden(state: Tensor) -> float:
    """The size of a change of a state that rounding may hide."""
    return HIDDEN * torch.finfo(state.dtype).eps * float(state.norm())


def _radius(
    steps: _Steps, direction: Tensor, gain: float, sizes: np.ndarray, lengths: list[float]
) -> float:
    """The length up to which changes at the output are within 10 % of the prediction."""
    unseen = _hidden(steps.op.output[steps.op.parts[steps.op.to]])

    def holds(length: float, sizes: Sequence[float]) -> bool:
        predicted = length * steps.step * gain
        return all(abs(size - predicted) <= WITHIN * predicted for size in sizes)

    seen = [at for at, length in enumerate(lengths) if length * steps.step * gain > unseen]
    if not seen:
        return float("nan")
    broken = next((at for at in seen if not holds(lengths[at], sizes[:, at].tolist())), None)
    if broken is None:
        return lengths[-1]
    low = lengths[broken - 1] if broken > seen[0] else unseen / (steps.step * gain)
    high = lengths[broken]
    for _ in range(HALVINGS):
        between = (low * high) ** 0.5
        tried = [float(steps.along(s * between * direction)[0][-1]) for s in (1, -1)]
        low, high = (between, high) if holds(between, tried) else (low, between)
    return low


def _border(steps: _Steps, direction: Tensor, flips: np.ndarray, lengths: list[float]) -> float:
    """The smallest length at which the decision changes, either way; infinite where none does."""
    nearest = float("inf")
    for sign, flipped in zip((1, -1), flips, strict=True):
        first = int(flipped.argmax())
        if not flipped[first]:
            continue
        high = lengths[first]
        low = lengths[first - 1] if first else high * 1e-3
        for _ in range(HALVINGS):
            between = (low * high) ** 0.5
            changed = steps.along(sign * between * direction)[1]
            low, high = (low, between) if changed else (between, high)
        nearest = min(nearest, high)
    return nearest


ENTRY = ExperimentEntry(
    perturbation, "steps along singular and random directions: changes, decisions, linear range"
)
