"""Published networks for ImageNet, with sample pictures, and their x-rays."""

from __future__ import annotations

import csv
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

import nakami
from nakami import data, dynamics, zoo
from nakami.data import Examples
from nakami.results import Xray

HERE = Path(__file__).parent
WEIGHTS = {
    "alexnet-features": "alexnet_features.safetensors",
    "squeezenet": "squeezenet1_1.safetensors",
    "efficientnet-lite0": "efficientnet_lite0.fp16.safetensors",
}


@dataclass(frozen=True)
class Read:
    """A network, what it is read at, and the classes of these pictures."""

    name: str
    model: nn.Module
    examples: Examples
    labels: list[int]


def root(*needed: str) -> Path:
    """The folder of data, or the end of the script with a word on what is missing."""
    folder = Path(os.environ.get("NAKAMI_DATA", HERE.parent / ".." / "shared" / "data"))
    missing = [name for name in needed if not (folder / name).exists()]
    if missing:
        names = ", ".join(missing)
        sys.exit(f"no {names} in {folder}; set NAKAMI_DATA to the folder that DATA.md describes.")
    return folder


def network(name: str, n: int) -> Read:
    """A network with its published weights and ``n`` of the sample pictures."""
    folder = root("imagenet-weights", "imagenet-samples")
    model = zoo.build(name)
    data.load_weights(model, folder / "imagenet-weights" / WEIGHTS[name])
    examples = data.read(folder / "imagenet-samples" / "images", n)
    with (folder / "imagenet-samples" / "labels.csv").open(encoding="utf-8") as file:
        classes = {Path(r["file"]).name: int(r["class_index"]) for r in csv.DictReader(file)}
    return Read(name, model.eval(), examples, [classes[each] for each in examples.names])


def progress(name: str) -> Callable[[int, int, float | None, str], None]:
    """Says what is done, with CPU seconds so far."""
    began = time.process_time()

    def said(done: int, total: int, left: float | None, what: str) -> None:
        print(f"{name}: {what}, {time.process_time() - began:.0f} CPU s", flush=True)

    return said


def xrayed(read: Read, folder: str, stages: Sequence[str], k: int, tol: float, seed: int) -> Xray:
    """The x-ray of a network at its pictures, kept in ``nakami-out``; goes on where it stopped."""
    return nakami.xray(
        read.model, read.examples.inputs, stages, k, HERE.parent / "nakami-out" / folder,
        spectrum=dynamics.SpectrumOptions(tol, seed, 3 << 30), input_unit=read.examples.unit,
        about={"subject": read.name}, progress=progress(read.name),
    )  # fmt: skip
