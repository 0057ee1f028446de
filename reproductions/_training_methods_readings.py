"""What is read of each network, for ``training_methods.py``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from _training_methods_nets import Plan, Trained
from torch import Tensor
from torch.nn import functional as F

import nakami
from nakami.data import PIXEL, Examples
from nakami.dynamics import linear_probe, straightness
from nakami.recipes import error_fact

TOP = 10  # values whose share of the squared norm is the steepness


def read(plan: Plan, net: Trained, train: Examples, test: Examples) -> dict[str, Any]:
    """All figures of one network."""
    model = net.model
    stages = [f"hidden{i + 1}" for i in range(len(plan.hidden))]
    fact = error_fact(model, test)
    return {
        "error": fact["value"],
        "error_se": fact["spread"],
        "train_error": error_fact(model, train)["value"],
        "spectra": _spectra(plan, net, test, stages),
        "fisher": _fisher(plan, net, test),
        "probe": _probes(plan, net, train, test, stages),
        "curves": _curves(plan, net, test, stages),
        "mixtures": mixtures(plan, net, train, test) if net.down else {},
        "saturated": _saturated(net, test[:1000].inputs, stages),
    }


def _spectra(plan: Plan, net: Trained, test: Examples, stages: Sequence[str]) -> dict[str, Any]:
    """Of the Jacobian from the input, means over images."""
    images = test.inputs[: plan.images]
    run = nakami.xray(net.model, images, stages=[*stages, "output"], input_unit=PIXEL)
    found = {}
    for stage in (*stages, "output"):
        each = run.at(stage)
        assert all(s.complete and s.converged for s in each)
        squares = [s.values.astype(float) ** 2 for s in each]
        found[stage] = {
            "above_one": _mean(s.count_above_one for s in each),
            "effective_rank": _mean(s.effective_rank for s in each),
            "norm": _mean(float(v.sum()) ** 0.5 for v in squares),
            "largest": _mean(float(v[0]) ** 0.5 for v in squares),
            "steepness": _mean(float(v[:TOP].sum() / v.sum()) for v in squares),
            "mean_spectrum": [float(f"{x:.4g}") for x in run.values(stage).mean(0)[:100]],
        }
    return found


def _fisher(plan: Plan, net: Trained, test: Examples) -> dict[str, float]:
    """Of the mean cross-entropy at test digits, by all parameters."""
    part = test[: plan.curvature]
    op = nakami.fisher(net.model, (part.inputs, part.labels), "cross_entropy")
    largest = nakami.eigh(op, k=1)
    assert largest.converged
    trace = nakami.trace(op)
    return {"largest": float(largest.values[0]), "trace": trace.value, "trace_se": trace.se}


def _probes(
    plan: Plan, net: Trained, train: Examples, test: Examples, stages: Sequence[str]
) -> dict[str, float]:
    part = train[: plan.probed]
    pairs = [(each.inputs, each.labels) for each in (part, test)]
    found = linear_probe(net.model, *pairs, stages, penalties=(0.03, 0.01, 0.003))
    assert found.converged.all()
    return dict(zip(found.stages, (100 * found.error).tolist(), strict=True))


def moved(images: Tensor, points: int = 13) -> dict[str, Tensor]:
    """Curves ``(images, points, 1, 28, 28)``: turned from -30 to 30 degrees, and shifted."""
    found = {}
    for name, reach in (("turned", math.radians(30)), ("shifted", 3 / 14)):
        steps = []
        for t in torch.linspace(-reach, reach, points).tolist():
            c, s = (math.cos(t), math.sin(t)) if name == "turned" else (1.0, 0.0)
            away = t if name == "shifted" else 0.0  # in halves of the width
            theta = torch.tensor([[c, -s, away], [s, c, 0.0]]).expand(len(images), 2, 3)
            grid = F.affine_grid(theta, list(images.shape), align_corners=False)
            steps.append(F.grid_sample(images, grid, align_corners=False))
        found[name] = torch.stack(steps, 1)
    return found


def _curves(plan: Plan, net: Trained, test: Examples, stages: Sequence[str]) -> dict[str, Any]:
    found = {}
    for name, curves in moved(test.inputs[: plan.curved]).items():
        read = straightness(net.model, curves, stages)
        found[name] = {stage: read.angle(stage).mean for stage in read.stages}
    return found


@torch.no_grad()
def mixtures(plan: Plan, net: Trained, train: Examples, test: Examples) -> dict[str, Any]:
    """Means of two digits of one class at each depth, carried down to pixels.

    ``away`` is the distance to the nearest training digit, over that of what the two ends
    themselves become; ``right`` the share whose nearest training digit has their class.
    """
    assert test.labels is not None
    assert train.labels is not None
    first, second = pairs_of_one_class(test.labels, plan.pairs)
    x = test.inputs.flatten(1)
    found = {}
    for depth in range(len(plan.hidden) + 1):
        h = net.model[: 1 + 2 * depth](x[torch.cat([first, second])])
        ends = list(h.split(len(first)))
        drawn = []
        for part in (*ends, (ends[0] + ends[1]) / 2):
            for carry in reversed(net.down[:depth]):
                part = carry(part)
            drawn.append(part)
        near = [torch.cdist(part, train.inputs.flatten(1)).min(1) for part in drawn]
        ends_away = (near[0].values + near[1].values) / 2
        found["input" if depth == 0 else f"hidden{depth}"] = {
            "away": float((near[2].values / ends_away.clamp_min(1e-9)).mean()),
            "right": float((train.labels[near[2].indices] == test.labels[first]).double().mean()),
        }
    return found


def pairs_of_one_class(labels: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The first so many pairs of neighbours in the list of each class, classes taking turns."""
    pairs = []
    of_class = [torch.nonzero(labels == c)[:, 0].tolist() for c in range(int(labels.max()) + 1)]
    for k in range(0, len(labels), 2):
        pairs += [(each[k], each[k + 1]) for each in of_class if len(each) > k + 1]
        if len(pairs) >= count:
            break
    first, second = torch.tensor(pairs[:count]).T
    return first, second


@torch.no_grad()
def _saturated(net: Trained, inputs: Tensor, stages: Sequence[str]) -> dict[str, float]:
    """Share of units below 0.05 or above 0.95, as Rifai's table counts them."""
    x, found = inputs, {}
    for name, part in net.model.named_children():
        x = part(x)
        if name in stages:
            found[name] = float(((x < 0.05) | (x > 0.95)).double().mean())
    return found


def _mean(numbers: Any) -> float:
    values = [float(x) for x in numbers]
    return float(f"{sum(values) / len(values):.6g}")
