"""``nakami train``: a shipped recipe, on shipped data or the caller's."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from nakami import recipes
from nakami.results import check_choice, check_seed, wrong

from .._command import Command, Stands
from .._groups import SEEDS, ComputeOptions, OutputOptions, there
from .._groups_spread import SharedOptions
from .._groups_training import TrainingDataOptions
from .._processes import leave_to_the_first

DEVICES = ("cpu", "cuda", "mps")


def _alone_unless_own(name: str) -> str:
    """Of torchrun's processes all take part in the training of a caller's network, else one."""
    if ":" not in name:
        leave_to_the_first()
    return name


def run(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            is_eager=True,
            callback=_alone_unless_own,
            help=f"A recipe: {', '.join(recipes.SUBJECTS)}; or its first word, as dbn. Or "
            "a network of yours, package.module:factory or path/file.py:factory, with --data.",
        ),
    ],
    *,
    inputs: TrainingDataOptions,
    settings: Annotated[
        Path | None,
        typer.Option(callback=there, metavar="FILE", help="Settings, .toml or .json."),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="One setting; may be repeated."),
        Stands(("set",)),
    ] = None,
    print_settings: Annotated[
        bool,
        typer.Option("--print-settings", help="Print all settings as a file, and train nothing."),
    ] = False,
    seed: Annotated[
        int | None,
        typer.Option(**SEEDS, help="Decides first weights, order and samples (default: 0)."),
    ] = None,
    device: Annotated[
        str, typer.Option(help="Where it is trained: cpu, cuda or mps; one device.")
    ] = "cpu",
    shard: Annotated[
        bool,
        typer.Option(
            "--shard", help="Under torchrun: each process holds a part of the weights (FSDP2)."
        ),
    ] = False,
    shared: SharedOptions,
    output: OutputOptions,
) -> None:
    """Train a recipe: its weights, how the losses fell, what is known of the networks.

    The settings are those of the literature; print them, change them, and pass the file:

    nakami train NAME --print-settings > my.toml

    nakami train NAME --settings my.toml --set batch=50

    A stopped training is continued by the same command, to the same bits. `nakami xray NAME` reads
    the weights without training again.
    """
    from .. import _processes, _subjects

    name = _subjects.known(name)
    inputs.check()
    shared.check(name)
    given = {**(recipes.read_settings(settings) if settings else {}), **typed(set_)}
    in_file = check_seed(given.pop("seed", 0))
    chosen_seed = in_file if seed is None else seed
    values = recipes.with_values(recipes.recipe_of(name).settings, given)
    if print_settings:
        _print_settings(values, chosen_seed, output.as_json)
        return
    from .. import _runs
    from .._progress import Meter

    check_choice("--device", device, DEVICES, "leave it out for the processor")
    if shard and ":" not in name:
        raise wrong("--shard", "be given with a network of yours", name, "leave it out")
    if shard and shared.backend is not None:
        raise wrong("--shard", "be left to torchrun", "--backend spark", "leave one of them out")
    ComputeOptions(device).place()  # refused where it is not there
    training: dict[str, Any] = {
        "data": inputs.files, "seed": chosen_seed, "settings": values, "accelerator": device,
    }  # fmt: skip
    folder = _folder(name, inputs, training, output.out)
    page = not output.no_page and _runs.can_draw()
    if shared.backend is not None and not recipes.trained(name, folder, **training):
        _on_spark(name, folder, shared, training)
    with _processes.shared(device, folder, shard) as (place, first), Meter() as meter:
        subject = recipes.prepare(
            name,
            place,
            n_inputs=1,
            progress=meter if first else None,
            pictures=page and first,
            **training,
        )
        if first:
            _tell(place, recipes.write_weights(subject, place), page, output)


def _on_spark(name: str, folder: Path, shared: SharedOptions, training: dict[str, Any]) -> None:
    """Train by processes of Spark: those of a cluster, or on this machine."""
    from .. import _model, _spread

    _spread.check_installed("spark")
    jobs, here = shared.jobs or 2, shared.cluster is None
    options = {**training, "settings": asdict(training["settings"])}
    with _spread.spark_session(shared.cluster, jobs if here else 1):
        recipes.train_on_spark(
            partial(_model.build, name, None, training["seed"]),
            folder, name=name, processes=jobs, local=here, **options,
        )  # fmt: skip


def _tell(folder: Path, weights: dict[str, Path], page: bool, output: OutputOptions) -> None:
    """Draw the page of a training, and print its tables or JSON."""
    from nakami.results import read_record

    from .. import _runs, _tables

    path = _runs.page_again(read_record(folder), folder / "report.html") if page else None
    result = _runs.finished(folder)
    tables = [_tables.TextTable(**table).drawn() for table in result.pop("tables")]
    lines = [
        *result.pop("lines"),
        f"Weights: {', '.join(map(str, weights.values()))}",
        f"Settings: {folder / 'settings.toml'}",
        *(f"Preparation: {file}" for file in folder.glob("preparation.json")),
        f"To look inside: nakami xray {shlex.quote(str(folder))}",
    ]
    body = {**result, "weights": {name: str(file) for name, file in weights.items()}}
    _tables.tell(output, path, body, tables, lines)


def _print_settings(values: Any, seed: int, as_json: bool) -> None:
    """All settings, as a file of either kind holds them."""
    if as_json:
        from .. import _tables

        _tables.echo_json({"seed": seed, **asdict(values)})
    else:
        typer.echo(recipes.as_toml(values, seed), nl=False)


def typed(texts: list[str] | None) -> dict[str, Any]:
    """The values of ``--set``, each name once."""
    found: dict[str, Any] = {}
    for text in texts or []:
        name, value = recipes.typed_setting(text)
        if name in found:
            raise wrong("--set", "name each setting once", f"{name} twice", "leave one out")
        found[name] = value
    return found


def _folder(name: str, inputs: TrainingDataOptions, training: dict[str, Any], out: Path) -> Path:
    """Where the weights lie: where ``nakami xray`` looks for them."""
    from .. import _runs

    usual = recipes.recipe_of(name).settings
    texts = recipes.changed(training["settings"], usual)
    chosen = _runs.chosen(
        {
            "data": (inputs.data and inputs.data.resolve().name, None),
            "test": (inputs.test and inputs.test.resolve().name, None),
            "key": (inputs.key, None),
            "size": (inputs.size, None),
            "mode": (inputs.mode, None),
            "device": (training["accelerator"], "cpu"),
            "train-seed": (training["seed"], 0),
            "set": (",".join(f"{key}-{value}" for key, value in texts.items()), ""),
        }
    )
    return _runs.writable("out", _runs.weights_below(out, name, chosen))


ENTRY = Command(run, goes_on=True)
