"""What units of AlexNet's and VGG-16's trunks answer to: five ways back, compared in numbers.

Zeiler and Fergus (ECCV 2014) show deconvolutional projections of the strongest units as pictures
and check them by hiding parts of pictures; no number compares these ways. Ours: the experiment
``units`` (``nakami xray --experiments units``) at the first ImageNet sample pictures, the eight
units with the largest activation at any of them. At each stage, means over units, with the standard
error over pictures:

* cosine of the exact row of the Jacobian with the deconvolutional and the guided projection;
* share of the row's squared length within the five leading right singular vectors of the stage;
* Spearman's rank correlation over 8 x 8 places between the row's energy in the hiding square (a
  quarter of each side, the picture's mean) and how much hiding it changes the unit;
* share of the places where hiding lowers the unit, among those where it changes.

Control: the same networks with random weights, AlexNet only.

    python reproductions/deconvnet_units.py    goes on where it was stopped

One thread; estimate made before: AlexNet 10 s a stage and picture, 8 pictures, 3 stages, twice: 8
CPU minutes; VGG-16 100 s a stage and picture, 3 pictures, 2 stages: 10. Data:
``$NAKAMI_DATA/imagenet-weights`` and ``imagenet-samples`` (DATA.md); no picture is kept.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import nn

import nakami
from nakami import data, dynamics, zoo
from nakami.results import Units, Xray

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from _imagenet import root  # noqa: E402
from _shared import made_in  # noqa: E402
from _wide import Kept, digits, mean_error, table  # noqa: E402

NAME, K, TOLERANCE, PLACES = "deconvnet_units", 5, 1e-3, 8
ALEXNET = ["features.relu2", "features.relu3", "features.relu5"]
VGG = ["features.relu4_3", "features.relu5_3"]
NETS = {
    "alexnet-features": ("alexnet_features.safetensors", 8, ALEXNET),
    "vgg16-features": ("vgg16_features.fp16.safetensors", 3, VGG),
}
CASES = [("alexnet-features", True), ("alexnet-features", False), ("vgg16-features", True)]
MEASURES = {
    "deconvolution": "cosine with deconvolution",
    "guided": "with guided",
    "leading": "within 5 vectors",
    "hidden": "rank correlation with hiding",
    "lowered": "lowered by hiding",
}


def main() -> None:
    """Read what is missing, then write the table."""
    torch.set_num_threads(1)
    settings = {"k": K, "tolerance": TOLERANCE, "places": PLACES}
    kept = Kept(HERE / "results" / f"{NAME}.json", settings)
    folder = root("imagenet-weights", "imagenet-samples")
    for name, trained in CASES:
        file, pictures, stages = NETS[name]
        model = zoo.build(name)
        if trained:
            data.load_weights(model, folder / "imagenet-weights" / file)
        x = data.read(folder / "imagenet-samples" / "images", pictures).inputs
        for stage in stages:
            record_name = key(name, trained, stage)
            if record_name not in kept.records:
                began = time.process_time()
                record = measured(model.eval(), x, stage)
                kept.add(record_name, {**record, "cpu": digits(time.process_time() - began, 3)})
                print(record_name, kept.records[record_name], flush=True)
    (HERE / "results" / f"{NAME}.md").write_text("\n".join(report(kept)), encoding="utf-8")


def key(name: str, trained: bool, stage: str) -> str:
    """Name of a record."""
    return f"{name}, {'trained' if trained else 'random'}, {stage}"


def measured(model: nn.Module, x: torch.Tensor, stage: str) -> dict[str, Any]:
    """Mean over units and its standard error over pictures, of each measure."""
    spectrum = dynamics.SpectrumOptions(TOLERANCE, 0, 3 << 30)
    run = nakami.xray(model, x, [stage], K, spectrum=spectrum)
    found = dynamics.units(model, x, run, occlude=PLACES)
    each = [of_picture(found, run, stage, r, tuple(x.shape[1:])) for r in range(len(x))]
    return {name: [digits(v) for v in mean_error([one[name] for one in each])] for name in MEASURES}


def of_picture(
    found: Units, run: Xray, stage: str, r: int, shape: tuple[int, ...]
) -> dict[str, float]:
    """The measures at one picture, means over the units that are on."""
    arrays = found.arrays
    right = next(s for s in run.at(stage) if s.input == found.inputs[r]).right
    rows: dict[str, list[float]] = {name: [] for name in MEASURES}
    for u in np.flatnonzero(np.isfinite(arrays["cosine"][r])):
        row = arrays["exact"][r, u]
        rows["deconvolution"].append(float(arrays["cosine"][r, u]))
        rows["guided"].append(float(arrays["cosine_guided"][r, u]))
        rows["leading"].append(float(((right @ row) ** 2).sum() / (row @ row)))
        change = arrays["occlusion"][r, u].reshape(-1)
        energy = in_squares((row.reshape(shape) ** 2).sum(0)).reshape(-1)
        rows["hidden"].append(float(spearmanr(energy, np.abs(change)).statistic))
        moved = change[change != 0]
        rows["lowered"].append(float((moved < 0).mean()) if len(moved) else float("nan"))
    return {name: float(np.nanmean(values)) for name, values in rows.items()}


def in_squares(energy: np.ndarray) -> np.ndarray:
    """Sum within each hiding square, ``(places, places)``."""
    side = round(len(energy) / 4)
    starts = np.linspace(0, len(energy) - side, PLACES).round().astype(int)
    return np.array([[energy[i : i + side, j : j + side].sum() for j in starts] for i in starts])


def report(kept: Kept) -> Iterator[str]:
    """The page."""
    yield "# What units of AlexNet's and VGG-16's trunks answer to"
    yield ""
    yield "Means over the eight most excited units, ± the standard error over pictures (8 of"
    yield "AlexNet, 3 of VGG-16, whose errors are then rough). The rank correlation is high where a"
    yield "unit sees a small part of the picture: elsewhere row and change are both 0."
    yield ""
    rows = [
        [case, *(f"{r[name][0]:.2f} ± {r[name][1]:.2f}" for name in MEASURES), f"{r['cpu']:.0f}"]
        for case, r in kept.records.items()
    ]
    yield from table(["network, weights, stage", *MEASURES.values(), "CPU s"], rows)
    yield ""
    asked = [key(name, trained, stage) for name, trained in CASES for stage in NETS[name][2]]
    if missing := kept.missing(asked):
        yield f"Not run yet: {'; '.join(missing)}."
        yield ""
    yield made_in(sum(r["cpu"] for r in kept.records.values()))
    yield ""


if __name__ == "__main__":
    main()
