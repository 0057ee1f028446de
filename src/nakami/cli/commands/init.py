"""``nakami init``: what the initial weights do to signals and gradients."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nakami import results
from nakami.results import wrong

from .._command import Command, Stands
from .._groups import OUT, ComputeOptions, DataOptions, JsonOptions, ModelOptions

if TYPE_CHECKING:
    from torch import nn

    from nakami.data import Examples


INPUTS, PROBES = 64, 16
USUAL: dict[str, object] = {
    "method": "auto", "biases": "zero", "directions": "kept", "activation": None,
    "probes": PROBES, "seed": 0,
}  # fmt: skip


def run(
    network: ModelOptions,
    data: DataOptions,
    compute: ComputeOptions,
    output: JsonOptions,
    *,
    inputs: Annotated[
        int,
        typer.Option(metavar="N", min=2, help="How many examples to read, at most."),
        Stands(("n_inputs", "n")),
    ] = INPUTS,
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
    probes: Annotated[
        int, typer.Option(min=2, metavar="N", help="Random probes of each estimate.")
    ] = PROBES,
    save: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write the weights with the proposed scales, .safetensors."
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Where the numbers are kept: DIR/factory/init.")
    ] = Path(OUT),
) -> None:
    """Do signals and gradients survive this depth? Reads the initial weights, proposes a scale.

    Without arguments: a plain tanh network of 50 layers as torch draws it, on shipped digits. The
    weights are changed in what --save writes, and nowhere else.
    """
    _check(network, data, save)
    compute.place()  # refused before the network is made
    import nakami

    from .. import _init_tables, _model, _runs, _tables
    from .._progress import Meter

    title, model, examples = _subject(network, data, inputs)
    view = compute.view(model, network.select, batches=True)
    if _filled_up(examples):
        typer.echo(
            "note: texts differ in length, and what fills them up counts in the means; texts of "
            "one length avoid that.",
            err=True,
        )
    options: dict[str, Any] = {
        "method": method, "biases": biases, "directions": directions, "activation": activation,
        "probes": probes, "seed": network.seed,
    }  # fmt: skip
    typed: dict[str, tuple[object, object]] = {
        **{name: (options[name], usual) for name, usual in USUAL.items()},
        "inputs": (inputs, INPUTS),
        "select": (network.select, None),
        **compute.options,
    }
    name = network.model or "deep"
    where = out / _runs.of_model(name, "init", network.weights, _runs.chosen(typed))
    settings = {
        "model": _runs.short(name),
        **_model.identity(name, network, data, model, examples),
        "weights_sha256": nakami.data.weights_fingerprint(model),
        "inputs_sha256": nakami.data.fingerprint(*nakami.data.tensors_of(examples.inputs)),
        **options,
        **network.selected,
        "batch_statistics": bool(view.batch_statistics),
        "dtype": compute.dtype,
        "device": compute.device,
        "versions": results.versions(),
    }
    folder = results.RecordFolder(_runs.writable("out", where), "init", settings)
    with Meter() as meter:
        found = nakami.initialisation(view, examples.inputs, progress=meter, **options)
    if save is not None and not found.proposal.converged:
        typer.echo("note: no weights are written, since no scales are proposed.", err=True)
        save = None
    if save is not None:
        nakami.data.save_weights(found.proposal.apply(model), save)
    table, lines = _init_tables.table(found, title), _init_tables.sentences(found)
    lines += [f"Data: {examples.source}.", *_tables.output_read(settings)]
    lines += [f"Weights: {save}"] if save else []
    numbers = {**_init_tables.numbers(found), "saved": str(save) if save else None}
    record = _runs.finish(folder, numbers, [table], lines)
    _runs.tell(record, None, output)


def _check(network: ModelOptions, data: DataOptions, save: Path | None) -> None:
    given = {
        "--weights": network.weights,
        "--select": network.select,
        "--data": data.data,
    }
    alone = [*(name for name, value in given.items() if value is not None), *data.typed]
    if network.model is None and alone:
        way_out = ["name the network with --model", f"leave out {', '.join(alone)}"]
        raise wrong(", ".join(alone), "come with --model", "none", way_out)
    if save is not None:
        from .. import _runs

        if save.suffix != ".safetensors":
            name = shlex.quote(str(save.with_suffix(".safetensors")))
            raise wrong("--save", "end in .safetensors", repr(str(save)), f"write --save {name}")
        _runs.writable("save", save.parent)


def _filled_up(examples: Examples) -> bool:
    """Whether some texts are shorter than others in one padded batch."""
    mask = examples.inputs.get("attention_mask") if isinstance(examples.inputs, dict) else None
    return mask is not None and not bool(mask.all())


def _subject(network: ModelOptions, data: DataOptions, n: int) -> tuple[str, nn.Module, Examples]:
    if network.model is None:
        import torch

        from nakami.data import digits
        from nakami.zoo import deep

        made = deep.make(generator=torch.Generator().manual_seed(network.seed))
        title = "plain tanh network of 50 layers, as torch draws it"
        return title, made, digits("train")[:n]
    from .. import _model

    examples = _model.examples_for(network.model, data, n)
    return network.model, _model.build(network.model, network.weights, network.seed), examples


ENTRY = Command(run)
