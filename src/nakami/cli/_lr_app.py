"""``nakami lr``: its options and what its help says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ._app import (
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
from ._request import BATCH, BATCHES, OUT, RateRequest

LABELLED = (
    "Inputs and labels: an .npz with arrays x and y, an IDX file beside its labels, or a folder "
    "with a folder of pictures for each class. Drawn at random by --seed. Default: shipped digits."
)


@app.command()
def lr(
    model: ModelOption = None,
    weights: WeightsOption = None,
    data: Annotated[Path | None, typer.Option(metavar="PATH", help=LABELLED)] = None,
    loss: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="cross_entropy, mse or bce_with_logits: torch's, mean reduction."
        ),
    ] = "cross_entropy",
    optimizer: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="sgd, momentum (0.9), nesterov (0.9), adam or adamw, else as torch sets them.",
        ),
    ] = "sgd",
    batch: Annotated[
        int, typer.Option(min=1, metavar="N", help="Examples of a batch, as you will train.")
    ] = BATCH,
    batches: Annotated[
        int, typer.Option(min=1, metavar="N", help="Batches to read, at most.")
    ] = BATCHES,
    key: KeyOption = None,
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Which array of an .npz in --data holds the labels, or for mse the values.",
        ),
    ] = None,
    seed: SeedOption = 0,
    tol: Annotated[
        float, typer.Option(help="Estimated relative error that an eigenvalue may have.")
    ] = 1e-3,
    out: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            help="Where the page and its numbers are kept: DIR/factory/lr-optimizer.",
        ),
    ] = Path(OUT),
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, cuda:1, mps (default: where the model is).")
    ] = None,
    dtype: Annotated[
        str | None, typer.Option(help="float32 or float64 (default: as the model).")
    ] = None,
    memory_budget: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Memory for derivatives, e.g. 1GiB or 500MB.")
    ] = None,
    as_json: JsonOption = False,
    no_page: Annotated[bool, typer.Option("--no-page", help="Write no report.html.")] = False,
    size: SizeOption = None,
    mode: ModeOption = None,
    normalise: NormaliseOption = None,
) -> None:
    """Advise a learning rate before training, with its reasons: a table and a page.

    The rate above which steps grow at the present weights, the rate advised with its interval, how
    noisy the batches are, and what the theory of wide networks predicted.

    Without arguments: a small perceptron on shipped digits. Nothing of your network is changed.
    """
    from ._lr import run

    request = RateRequest(
        model=model,
        weights=weights,
        data=data,
        pictures={"size": size, "mode": mode, "normalise": normalise, "key": key},
        labels=labels,
        loss=loss,
        optimizer=optimizer,
        batch=batch,
        batches=batches,
        seed=seed,
        tol=tol,
        out=out,
        device=device,
        dtype=dtype,
        memory_budget=memory_budget,
        as_json=as_json,
        page=not no_page,
    )
    run(request)
