"""Singular values of AlexNet's Jacobians through depth (source 002, figure 3).

Claim (Y. Mototake and T. Ikegami, JSAI 2015): the deeper the layer, the steeper the spectrum of the
Jacobian from the input; few values stay large, most fall towards zero.

Theirs: DeCAF weights, 16 images, the 500 largest values, mean line and band of the standard
deviation. Ours: torchvision's weights of the five convolutions (another AlexNet: 64 filters in the
first layer, no local response normalisation), 16 of the ImageNet sample pictures, the 500 largest
values after each ReLU; conv2 to conv5 to 1e-4, conv1 to 1e-2 (its spectrum is flat). The fully
connected layers are left out: no published weights of them are at hand.

    python reproductions/source_002_figure3.py              all of it; goes on where it was stopped
    python reproductions/source_002_figure3.py --images 2   fewer pictures
    python reproductions/source_002_figure3.py --again 1    layer 1 again where not converged

Data: ``$NAKAMI_DATA/imagenet-weights/alexnet_features.safetensors`` and
``$NAKAMI_DATA/imagenet-samples/images`` (see DATA.md). Each picture leaves one file of values in
``reproductions/results/source_002_figure3``; no picture is kept.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from _shared import charts

import nakami
from nakami import data, zoo
from nakami.results import NotConvergedWarning, versions

HERE = Path(__file__).parent
OUT = HERE / "results" / "source_002_figure3"
STAGES = tuple(f"features.relu{i}" for i in (1, 2, 3, 4, 5))
TOLERANCE = {stage: 1e-2 if stage.endswith("relu1") else 1e-4 for stage in STAGES}
K, IMAGES, SEED = 500, 16, 0
BUDGET = 3 << 30  # bytes: 1 250 columns on both sides
GUESS = {1: 125, 2: 80, 3: 70, 4: 50, 5: 40}  # CPU seconds measured on one picture, one thread


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--images", type=int, default=IMAGES)
    arguments.add_argument("--again", type=int, nargs="+", default=[], choices=range(1, 6))
    given = arguments.parse_args()
    n = given.images
    folder = Path(os.environ.get("NAKAMI_DATA", HERE.parent / ".." / "shared" / "data"))
    weights = folder / "imagenet-weights" / "alexnet_features.safetensors"
    pictures = folder / "imagenet-samples" / "images"
    if not weights.exists() or not pictures.exists():
        sys.exit(f"no data: {weights} and {pictures} are needed; set NAKAMI_DATA to their folder.")
    model = zoo.build("alexnet-features")
    data.load_weights(model, weights)
    OUT.mkdir(parents=True, exist_ok=True)
    todo = [i for i in range(n) if not _file(i).exists()]
    print(f"{len(todo)} of {n} pictures to do, about {sum(GUESS.values()) * len(todo) / 60:.0f} "
          "minutes on one free core", flush=True)  # fmt: skip
    examples = data.read(pictures, n)
    for i in todo:
        began = time.perf_counter()
        np.savez_compressed(_file(i), **measure(model, examples.inputs[i : i + 1]))
        print(f"picture {i}: {(time.perf_counter() - began) / 60:.1f} minutes", flush=True)
    for i in range(n if given.again else 0):
        found = dict(np.load(_file(i)))
        layers = [a for a in given.again if not found[f"converged{a}"]]
        found |= measure(model, examples.inputs[i : i + 1], layers)
        np.savez_compressed(_file(i), **found)
    (HERE / "results" / "source_002_figure3.md").write_text("\n".join(report()), encoding="utf-8")
    draw(HERE / "results" / "source_002_figure3.svg")


def measure(
    model: torch.nn.Module, x: torch.Tensor, layers: Sequence[int] = (1, 2, 3, 4, 5)
) -> dict[str, np.ndarray]:
    """Values, estimated relative errors and verdicts of one picture at the five stages."""
    found: dict[str, np.ndarray] = {}
    for number in layers:
        stage = STAGES[number - 1]
        cpu = time.process_time()
        op = nakami.jacobian(model, x, to=stage, memory_budget=BUDGET)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotConvergedWarning)
            result = nakami.svd(
                op, K, TOLERANCE[stage], method="krylov", memory_budget=BUDGET, seed=SEED
            )
        found[f"values{number}"] = result.values.numpy()
        found[f"errors{number}"] = result.errors.numpy().astype(np.float32)
        found[f"residuals{number}"] = result.residuals.numpy().astype(np.float32)
        found[f"converged{number}"] = np.array(result.converged)
        found[f"cost{number}"] = np.array([result.n_products, time.process_time() - cpu])
    return found


def report() -> Iterator[str]:
    """The table: our figures, the claim, and whether it holds picture by picture."""
    runs = [np.load(path) for path in sorted(OUT.glob("*.npz"))]
    yield "# AlexNet's Jacobian spectra through depth (source 002, figure 3)"
    yield ""
    yield (
        f"{len(runs)} of {IMAGES} pictures, the {K} largest singular values from the input to each "
        "convolution after its ReLU; torchvision's weights, inputs normalised per channel, mean ± "
        "sd over pictures. Effective rank of the computed values: a lower bound."
    )
    yield ""
    head = ("layer", "s1", "s10/s1", "s100/s1", "s500/s1", "effective rank, at least",
            "converged", "largest estimated error", "products", "CPU s")  # fmt: skip
    yield "| " + " | ".join(head) + " |"
    yield "|" + " --- |" * len(head)
    decays = []
    for layer in range(1, 6):
        values = np.stack([r[f"values{layer}"] for r in runs])
        ratio = values / values[:, :1]
        decays.append(ratio[:, 9])
        rank = (values**2).sum(1) ** 2 / (values**4).sum(1)
        worst = max(float(r[f"errors{layer}"].max()) for r in runs)
        done = sum(bool(r[f"converged{layer}"]) for r in runs)
        cost = np.mean([r[f"cost{layer}"] for r in runs], axis=0)
        cells = [
            _spread(values[:, 0]),
            *(_spread(ratio[:, i]) for i in (9, 99, 499)),
            _spread(rank),
        ]
        row = [f"conv{layer}", *cells, f"{done} of {len(runs)}", f"{worst:.1e}"]
        yield "| " + " | ".join([*row, f"{cost[0]:.0f}", f"{cost[1]:.0f}"]) + " |"
    yield ""
    for a in range(4):
        falls = int((decays[a + 1] < decays[a]).sum())
        yield f"- s10/s1 falls from conv{a + 1} to conv{a + 2} in {falls} of {len(runs)} pictures."
    yield ""
    yield "Theirs: a figure without numbers (DeCAF's weights, 16 images). The difference: other"
    yield "weights and a narrower first layer, no normalisation between layers, other pictures."
    yield ""
    yield ", ".join(f"{name} {number}" for name, number in versions().items()) + f", seed {SEED}."
    yield ""


def draw(path: Path) -> None:
    """Mean and band by index, one colour a layer; conv1 with the bound of its error."""
    alt = charts()
    if alt is None:
        return
    runs = [np.load(p) for p in sorted(OUT.glob("*.npz"))]
    shown = np.unique(np.geomspace(1, K, 90).astype(int)) - 1
    rows = []
    for layer in range(1, 6):
        values = np.stack([r[f"values{layer}"] for r in runs])
        bound = np.stack([r[f"errors{layer}"] for r in runs]).max(0)
        sd = values.std(0, ddof=1) if len(runs) > 1 else np.zeros(K)
        for i in shown:
            mean, spread = float(values[:, i].mean()), float(sd[i] + bound[i] * values[:, i].mean())
            rows.append({"layer": f"conv{layer}", "index": int(i) + 1, "s": mean,
                         "low": max(mean - spread, 1e-3), "high": mean + spread})  # fmt: skip
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X("index:Q", scale=alt.Scale(type="log"), title="index, largest first"),
        color=alt.Color("layer:N", title=None),
    )
    scale = alt.Scale(type="log")
    band = base.mark_area(opacity=0.16).encode(y=alt.Y("low:Q", scale=scale), y2="high:Q")
    line = base.mark_line().encode(y=alt.Y("s:Q", scale=scale, title="singular value"))
    title = f"AlexNet, input to each layer, {len(runs)} pictures; band, sd and error bound"
    (band + line).properties(width=560, height=340, title=title).save(path)


def _file(i: int) -> Path:
    return OUT / f"picture{i:02d}.npz"


def _spread(sample: np.ndarray) -> str:
    sd = sample.std(ddof=1) if len(sample) > 1 else float("nan")
    return f"{sample.mean():.3g} ± {sd:.2g}"


if __name__ == "__main__":
    main()
