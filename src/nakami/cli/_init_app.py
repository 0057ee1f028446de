"""``nakami init``: what the initial weights do to signals and gradients."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ._app import (
    DataOption,
    JsonOption,
    KeyOption,
    ModelOption,
    ModeOption,
    NormaliseOption,
    SeedOption,
    SizeOption,
    WeightsOption,
    app,
)


@app.command("init")
def init(
    model: ModelOption = None,
    weights: WeightsOption = None,
    data: DataOption = None,
    inputs: Annotated[
        int, typer.Option(metavar="N", min=2, help="How many examples to read, at most.")
    ] = 64,
    method: Annotated[
        str,
        typer.Option(
            help="auto, critical (the theory's critical point; plain fully connected networks) or "
            "data (layer by layer on the data; any network)."
        ),
    ] = "auto",
    biases: Annotated[str, typer.Option(help="zero or keep.")] = "zero",
    directions: Annotated[
        str,
        typer.Option(help="kept (matrices are multiplied by a number) or orthogonal (drawn anew)."),
    ] = "kept",
    activation: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="For the theory, where forward applies it as a function."
        ),
    ] = None,
    batch_statistics: Annotated[
        bool, typer.Option("--batch-statistics", help="Batch normalisation as in training.")
    ] = False,
    probes: Annotated[
        int, typer.Option(min=2, metavar="N", help="Random probes of each estimate.")
    ] = 16,
    dtype: Annotated[
        str | None, typer.Option(help="float32 or float64 (default: as the model).")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, cuda:1, mps (default: where the model is).")
    ] = None,
    seed: SeedOption = 0,
    save: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write the weights with the proposed scales, .safetensors."
        ),
    ] = None,
    as_json: JsonOption = False,
    size: SizeOption = None,
    mode: ModeOption = None,
    normalise: NormaliseOption = None,
    key: KeyOption = None,
) -> None:
    """Do signals and gradients survive this depth? Reads the initial weights, proposes a scale.

    Without arguments: a plain tanh network of 50 layers as torch draws it, on shipped digits. The
    weights are changed in what --save writes, and nowhere else.
    """
    from ._init import run

    options = {
        "method": method,
        "biases": biases,
        "directions": directions,
        "activation": activation,
        "batch_statistics": batch_statistics,
        "probes": probes,
        "seed": seed,
        "dtype": dtype,
        "device": device,
    }
    pictures = {"size": size, "mode": mode, "normalise": normalise, "key": key}
    run(model, weights, data, inputs, pictures, options, save, as_json)
