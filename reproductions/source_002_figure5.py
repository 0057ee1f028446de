"""Decisions and singular values at noisy pictures (source 002, figure 5).

Claim (Y. Mototake and T. Ikegami, JSAI 2015): in high layers the whole spectrum of the Jacobian
from the input shrinks as noise on the picture grows and decisions get worse.

Theirs: DeCAF's AlexNet, 16 images; above, decisions by "rate" of noise, below, spectra at layers 1
and 5. They define neither noise nor rate. Ours: 16 of the ImageNet sample pictures, one draw of
each noise, the 10 largest values to 1e-3, paired with the clean ones; "rate" read as the share of
numbers that uniform noise over the range of pixels replaces, and Gaussian noise in sd of the
picture. SqueezeNet 1.1 (weights of 8 bits) decides, read at its last fire module and its logits.
AlexNet (torchvision's five convolutions; no published weights of its classifier are at hand) is
read at layers 1 and 5, as theirs.

    python reproductions/source_002_figure5.py              both; goes on where it was stopped
    python reproductions/source_002_figure5.py --images 1   fewer pictures

CPU seconds of one picture, one thread: see ``GUESS``. Data: ``$NAKAMI_DATA/imagenet-weights`` and
``$NAKAMI_DATA/imagenet-samples`` (DATA.md). Runs lie in ``nakami-out``; no picture is kept here.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from _shared import charts, made_in

import nakami
from nakami import data, dynamics, zoo
from nakami.results import Noise, plain

HERE = Path(__file__).parent
OUT = HERE / "results" / "source_002_figure5"
RATES = (0.1, 0.3, 0.6)
NETWORKS = {
    "squeezenet": (
        "squeezenet1_1.safetensors",
        ("features.12", "output"),
        {"uniform": RATES, "gaussian": (0.3, 1.0, 2.0)},
    ),
    "alexnet-features": (
        "alexnet_features.safetensors",
        ("features.relu1", "features.relu5"),
        {"uniform": RATES},
    ),
}
GUESS = {"squeezenet": 30, "alexnet-features": 25}  # CPU seconds measured on one picture
K, TOLERANCE, IMAGES, SEED = 10, 1e-3, 16, 0


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--images", type=int, default=IMAGES)
    n = arguments.parse_args().images
    folder = Path(os.environ.get("NAKAMI_DATA", HERE.parent / ".." / "shared" / "data"))
    if not (folder / "imagenet-samples").exists() or not (folder / "imagenet-weights").exists():
        sys.exit(f"no data in {folder}; set NAKAMI_DATA to the folder that DATA.md describes.")
    print(f"about {n * sum(GUESS.values()) / 60:.0f} minutes on one free core", flush=True)
    OUT.mkdir(parents=True, exist_ok=True)
    cpu = time.process_time()
    for name in NETWORKS:
        found = measure(name, folder, n)
        body = {"rows": plain(found.rows()), "clean": {}}
        for stage in found.stages:
            body["clean"][stage] = plain(found.spectrum(stage))
        body["inputs"], body["settings"] = len(found.inputs), found.settings
        if found.clean_accuracy is not None:
            body["clean_accuracy"] = found.clean_accuracy.mean
        (OUT / f"{name}.json").write_text(json.dumps(body, indent=1), encoding="utf-8")
    text = "\n".join([*report(), made_in(time.process_time() - cpu), ""])
    (HERE / "results" / "source_002_figure5.md").write_text(text, encoding="utf-8")
    draw(HERE / "results" / "source_002_figure5.svg")


def measure(name: str, folder: Path, n: int) -> Noise:
    """The clean x-ray of one network and its experiment, kept in a run folder."""
    weights, stages, levels = NETWORKS[name]
    model = zoo.build(name)
    data.load_weights(model, folder / "imagenet-weights" / weights)
    examples = data.read(folder / "imagenet-samples" / "images", n)
    with (folder / "imagenet-samples" / "labels.csv").open(encoding="utf-8") as file:
        classes = {Path(r["file"]).name: int(r["class_index"]) for r in csv.DictReader(file)}
    labels = [classes[each] for each in examples.names] if name == "squeezenet" else None
    said = time.process_time()

    def progress(done: int, total: int, left: float | None, what: str) -> None:
        print(f"{name}: {what}, {time.process_time() - said:.0f} CPU s", flush=True)

    run = nakami.xray(
        model, examples.inputs, stages, K, HERE.parent / "nakami-out" / f"figure5-{name}-{n}",
        spectrum=dynamics.SpectrumOptions(TOLERANCE, SEED), input_unit=examples.unit,
        about={"subject": name}, progress=progress,
    )  # fmt: skip
    return dynamics.noise(
        model, examples.inputs, run, levels, labels=labels, stages=stages, seed=SEED,
        progress=progress,
    )  # fmt: skip


def report() -> Iterator[str]:
    """A table for each network: decisions, and paired changes of the mean and of the largest."""
    yield "# Decisions and singular values at noisy pictures (source 002, figure 5)"
    yield ""
    yield (
        f"The {K} largest singular values from the input, noisy minus clean over their clean mean, "
        "mean ± s.e. over pictures, paired; one draw of each noise. Verdicts: 95 % intervals of "
        "the mean of the values, each on its own. Size: of the change of the input over the "
        "picture's sd."
    )
    for name in NETWORKS:
        body = json.loads((OUT / f"{name}.json").read_text(encoding="utf-8"))
        decides = body["settings"]["decides"]
        yield from ("", f"## {name}, {body['inputs']} pictures", "")
        if decides and "clean_accuracy" in body:
            yield from (f"Right without noise: {100 * body['clean_accuracy']:.0f} %.", "")
        head = ["noise", "level", "size"] + ["decisions kept", "right"] * decides
        head += ["stage", "mean of the values", "largest", "verdict"]
        yield "| " + " | ".join(head) + " |"
        yield "|" + " --- |" * len(head)
        for row in body["rows"]:
            clean = body["clean"][row["stage"]]
            cells = [row["kind"], f"{row['level']:g}", f"{row['size']:.2f}"]
            if decides:
                cells += [f"{100 * row[each]:.0f} %" for each in ("agreement", "accuracy")]
            units = {"mean": sum(clean) / len(clean), "largest": clean[0]}
            parts = [_percent(row[q], row[f"{q}_se"], unit) for q, unit in units.items()]
            yield "| " + " | ".join([*cells, row["stage"], *parts, row["verdict"]]) + " |"
    yield ""
    yield "Theirs: a figure without numbers. The differences: other weights and pictures, and our"
    yield "reading of their noise."
    yield ""


def _percent(change: float, se: float | None, unit: float) -> str:
    spread = "" if se is None else f" ± {100 * se / unit:.1f}"
    return f"{100 * change / unit:+.1f}{spread} %"


def draw(path: Path) -> None:
    """The change of the mean of the values by the size of the noise, a line for each stage."""
    alt = charts()
    if alt is None:
        return
    rows = []
    for name in NETWORKS:
        body = json.loads((OUT / f"{name}.json").read_text(encoding="utf-8"))
        for row in body["rows"]:
            clean = body["clean"][row["stage"]]
            unit, se = sum(clean) / len(clean) / 100, row["mean_se"] or 0
            ends = {"low": (row["mean"] - se) / unit, "high": (row["mean"] + se) / unit}
            rows.append(
                {
                    "line": f"{name}, {row['stage']}",
                    "noise": row["kind"],
                    "size": row["size"],
                    "change": row["mean"] / unit,
                    **ends,
                }
            )
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X("size:Q", title="size of the noise, in sd of the picture"),
        color=alt.Color("line:N", title=None),
    )
    title = "change of the mean of the values, %"
    line = base.mark_line(point=True).encode(y=alt.Y("change:Q", title=title))
    bar = base.mark_rule().encode(y="low:Q", y2="high:Q")
    (line + bar).properties(width=300, height=300).facet("noise:N").save(path)


if __name__ == "__main__":
    main()
