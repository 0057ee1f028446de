"""``nakami sweep``: several settings of a recipe, ours first."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nakami import recipes
from nakami.results import check_choice, check_seed, wrong

from .._command import Command, Stands
from .._groups import OUT, SEEDS, ComputeOptions, JsonOptions, there
from .train import DEVICES, typed

FORMS = "write --over rate=1e-4:1 for a range, --over batch=32,64,128 for values"


def run(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="A network of yours, package.module:factory or path/file.py:factory, or a recipe "
            "that classifies, as mlp-dropout.",
        ),
    ],
    *,
    data: Annotated[
        Path | None,
        typer.Option(
            callback=there, metavar="SCHEMA", help="A schema (.toml) of nakami data inspect."
        ),
    ] = None,
    over: Annotated[
        list[str] | None,
        typer.Option(
            "--over",
            metavar="NAME=TRIED",
            help="A setting and what is tried of it, a range low:high or values with commas; may "
            "be repeated.",
        ),
        Stands(("over",)),
    ] = None,
    trials: Annotated[int, typer.Option(metavar="N", help="How many, the first included.")] = 20,
    settings: Annotated[
        Path | None,
        typer.Option(callback=there, metavar="FILE", help="Settings of the first trial."),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="One of them; may be repeated."),
        Stands(("set",)),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(**SEEDS, help="Of the trainings and the trials (default: 0).")
    ] = None,
    device: Annotated[str, typer.Option(help="Where they are trained: cpu, cuda or mps.")] = "cpu",
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where runs are kept.")] = Path(OUT),
    output: JsonOptions,
) -> None:
    """Try settings of a recipe; the first trial has ours, at the advised rate.

    nakami sweep nets:make --data sensors.toml --over rate=1e-4:1 --over batch=32,64,128

    The loss that counts is that of a tenth of the training rows, which no trial learns from; rows
    to test on are not looked at. The same command goes on where it was stopped, and with more
    --trials it adds to them. It ends with the line that trains with the best settings.
    """
    from .. import _runs, _subjects
    from .._progress import Meter

    name = _subjects.known(name)
    given = {**(recipes.read_settings(settings) if settings else {}), **typed(set_)}
    in_file = check_seed(given.pop("seed", 0))
    usual = recipes.recipe_of(name).settings
    values = recipes.with_values(usual, given)
    if data is None:
        raise wrong("--data", "be given", "none", "pass a schema, which nakami data inspect makes")
    check_choice("--device", device, DEVICES, "leave it out for the processor")
    ComputeOptions(device).place()
    space = _space(over)
    chosen = {"data": data.resolve().name, "over": "+".join(sorted(space)), "seed": seed or in_file}
    chosen |= {"set": ",".join(f"{k}-{v}" for k, v in recipes.changed(values, usual).items())}
    told = {key: (value, 0 if key == "seed" else "") for key, value in chosen.items()}
    folder = out / _runs.short(name) / _runs.reading(_runs.chosen(told), "sweep")
    options: dict[str, Any] = {"trials": trials, "seed": in_file if seed is None else seed}
    with Meter() as meter:
        record = recipes.sweep(
            name, _runs.writable("out", folder), data=data, over=space, settings=values,
            accelerator=device, progress=meter, **options,
        )  # fmt: skip
    _runs.tell(record, None, output)


def _space(over: list[str] | None) -> dict[str, Any]:
    """What is tried of each setting, as ``recipes.sweep`` takes it."""
    found: dict[str, Any] = {}
    for text in over or []:
        name, sign, tried = (part.strip() for part in text.partition("="))
        if not (name and sign and tried) or name in found:
            raise wrong("--over", "name each setting once with what is tried", repr(text), FORMS)
        ends = tried.split(":")
        values = [recipes.typed_setting(f"{name}={part}")[1] for part in ends]
        if len(ends) == 2:
            found[name] = tuple(values)
        elif isinstance(values[0], str):
            found[name] = tried.split(",")
        else:
            found[name] = values[0] if isinstance(values[0], list) else values
    return found


ENTRY = Command(run, goes_on=True)
