"""``nakami tune``: how to train a network, in one command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from nakami import results
from nakami.results import wrong

from .._command import Command
from .._groups import ComputeOptions, LabelledOptions, ModelOptions, OutputOptions

if TYPE_CHECKING:
    from nakami.geometry import TrainingSetting

    from .._tables import TextTable

DEFAULT, STEPS, BATCH, BATCHES, BUDGET = "mlp", 1500, 32, 128, 0.05


def run(
    network: ModelOptions,
    inputs: LabelledOptions,
    compute: ComputeOptions,
    output: OutputOptions,
    *,
    steps: Annotated[
        int, typer.Option(min=1, metavar="N", help="Optimizer steps of the whole training.")
    ] = STEPS,
    loss: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="cross_entropy, mse or bce_with_logits: torch's, mean reduction; own: the loss "
            "that the model returns when it gets all arrays of --data by their names.",
        ),
    ] = "cross_entropy",
    optimizer: Annotated[
        str, typer.Option(metavar="NAME", help="As nakami lr takes it.")
    ] = "adamw",
    schedule: Annotated[
        str, typer.Option(help="constant, cosine, linear or wsd (the last fifth linear).")
    ] = "linear",
    batch: Annotated[
        int, typer.Option(min=1, metavar="N", help="Examples of a batch, as you will train.")
    ] = BATCH,
    budget: Annotated[
        float, typer.Option(help="Most gradients to spend, as a share of --steps.")
    ] = BUDGET,
    code: Annotated[
        str, typer.Option(metavar="HOST", help="Print it for torch, lightning or transformers.")
    ] = "torch",
) -> None:
    """How to train this network: optimizer, rate, schedule, warm-up and batch size, with reasons.

    A table, the code, and a page with the trials behind the rate.

    Without arguments: a small perceptron on shipped digits. Copies are trained for a few steps;
    nothing of your network is changed.
    """
    if network.weights and not network.model:
        raise wrong("--weights", "come with --model", "no model", "name the network with --model")
    network.check_select()
    from nakami import geometry

    from .. import _model

    geometry.check_names(loss, optimizer)
    results.check_choice("--code", code, ("torch", "lightning", "transformers"), "leave it out")
    name = network.model or DEFAULT
    _model.check_labelled(name, inputs)
    compute.place()  # refused before the network is made
    import torch

    import nakami
    from nakami import data

    from .. import _runs
    from .._progress import Meter

    own = loss == geometry.OWN_LOSS
    if own and not inputs.data:
        raise wrong("--loss", f"come with --data where it is {loss}", "none", "pass an .npz")
    examples = _model.labelled_for(name, inputs, batch * BATCHES, network.seed, inside=own)
    model = _model.build(name, network.weights, network.seed)
    chosen: dict[str, tuple[object, object]] = {
        "steps": (steps, STEPS),
        "loss": (loss, "cross_entropy"),
        "optimizer": (optimizer, "adamw"),
        "schedule": (schedule, "linear"),
        "batch": (batch, BATCH),
        "budget": (budget, BUDGET),
        "labels": (inputs.labels, None),
        "select": (network.select, None),
        "seed": (network.seed, 0),
        **compute.options,
    }
    where = output.out / _runs.of_model(name, "tune", network.weights, _runs.chosen(chosen))
    settings = {
        "model": _runs.short(name),
        **_model.identity(name, network, inputs, model, examples),
        "weights_sha256": data.weights_fingerprint(model),
        "inputs_sha256": data.fingerprint(*data.tensors_of(examples.inputs)),
        "targets_sha256": data.fingerprint(examples.targets),
        "steps": steps, "loss": loss, "optimizer": optimizer, "schedule": schedule,
        "batch": batch, "budget": budget, "seed": network.seed, "dtype": compute.dtype,
        "device": compute.device, **network.selected,
        "threads": torch.get_num_threads(), "versions": results.versions(),
    }  # fmt: skip
    folder = results.RecordFolder(_runs.writable("out", where), "tune", settings)
    pairs: list[Any] = examples.batches(min(batch, len(examples)))
    if own:
        pairs = [(whole, None) for whole, _ in pairs]
    view = compute.view(model, network.select)
    with Meter() as meter:
        found = folder.kept("setting", lambda: nakami.tune(
            view, pairs, None if own else loss, steps=steps, optimizer=optimizer,
            schedule=schedule, budget=budget, progress=meter,
        ))  # fmt: skip
    lines = ["", *found.snippet(code).rstrip().split("\n")]
    body = {**results.plain(found), "snippet": found.snippet(code)}
    record = _runs.finish(folder, body, [_table(found, f"{name}: {examples.source}")], lines)
    page = None if output.no_page else _runs.page_again(record, where / "report.html")
    _runs.tell(record, page, output)


def _table(found: TrainingSetting, title: str) -> TextTable:
    """A row for each part."""
    from .._tables import TextTable

    rows = [(choice.name, choice.value, choice.reason) for choice in found.choices]
    spent = f"{found.cost:z.0f} gradients on one batch, {found.share:z.1%} of the training"
    caption = f"It cost {spent}."
    return TextTable(title, caption, ("part", "value", "why"), rows, left=3)


ENTRY = Command(run)
