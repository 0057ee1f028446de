"""``nakami xray``: a shipped subject, or a network of the caller's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nakami import recipes
from nakami.results import UsageError, duration, unknown, wrong

from .._command import Command
from .._groups import SEEDS, BudgetOptions, DataOptions, ModelOptions, OutputOptions
from .._groups_spread import SpreadOptions
from .._readings import (
    ALL,
    INPUTS,
    SEQUENCES,
    STEPS,
    TOL,
    ReadingOptions,
    RecurrentOptions,
    position,
    stage_names,
)

if TYPE_CHECKING:
    from nakami.results import Xray

    from .._subjects import Asked

LONG = 60.0  # seconds from which it is said before the work how long it will take


def run(
    subject: Annotated[
        str | None,
        typer.Argument(
            help=f"A shipped subject: {', '.join(recipes.SUBJECTS)} "
            f"(default: {recipes.DEFAULT}, unless --model is given); or the folder of a training "
            "that nakami train made."
        ),
    ] = None,
    *,
    network: ModelOptions,
    inputs: DataOptions,
    reading: ReadingOptions,
    states: RecurrentOptions,
    compute: BudgetOptions,
    spread: SpreadOptions,
    output: OutputOptions,
    train_seed: Annotated[
        int | None, typer.Option(**SEEDS, help="Seed of a shipped subject's training (default: 0).")
    ] = None,
) -> None:
    """X-ray a network: its singular values by depth, a table and a page.

    Without arguments: trains a small deep belief network on shipped digits, measures it before and
    after fine-tuning, and writes one page. With --model: your network, at the inputs in --data.
    With --recurrent: what the states of recurrent layers do over time.

    A stopped run is continued by the same command. Weights once trained are used again, whatever
    is read of them.
    """
    _check_together(subject, network, inputs, train_seed, states)
    if states.recurrent:
        _check_recurrent(network, reading, compute, spread)
        asked_for = {"at": states.at, "k": reading.top, "steps": states.times}
        from .. import _recurrent, _subjects

        if subject is None:
            _recurrent.read(network, inputs, reading.inputs or SEQUENCES, asked_for, output)
        else:
            read = _subjects.asked(subject, inputs, train_seed)
            _recurrent.read_subject(read, reading.inputs, network.seed, asked_for, output)
        return
    of_models = {
        "--batch-statistics": compute.batch_statistics is not None,
        "--positions": reading.positions != ALL,
        "--detached": reading.detached,
    }
    for option, given in of_models.items():
        if given and network.model is None:
            raise wrong(option, "come with --model", "a shipped subject", "leave it out")
    if reading.detached and reading.tried:
        way_out = "leave one out: experiments go by the exact derivative"
        raise wrong("--experiments", "be left out with --detached", "both", way_out)
    import nakami.dynamics

    options = {  # checked first: nothing is trained before they pass
        "stages": stage_names(reading.stages),
        "k": reading.top,
        "layers": reading.layers,
        "spectrum": nakami.dynamics.SpectrumOptions(reading.tol, network.seed, compute.budget),
    }
    for name in [] if reading.tried == "all" else reading.tried:
        if name not in nakami.dynamics.EXPERIMENTS:
            raise unknown("--experiments", name, nakami.dynamics.EXPERIMENTS.names)
    from .. import _runs, _spread, _subjects, _tables

    _spread.spread(spread)  # refused before anything is built or trained
    page = not output.no_page and _runs.can_draw()
    if network.model is not None:
        runs, folder = _own_network(
            network.model, network, inputs, reading, compute, output, options, spread
        )
    else:
        asked = _subjects.asked(subject or recipes.DEFAULT, inputs, train_seed)
        chosen = _chosen(network, inputs, reading, compute, train_seed)
        options |= compute.place()
        try:
            runs, folder = _shipped_subject(asked, output, reading, chosen, options, spread)
        except UsageError as error:
            if error.argument != "data":
                raise
            ways = [*error.way_out, "name a network of your own with --model"]
            raise wrong("data", error.rule, error.got, ways) from error
    path = _runs.xray_page(runs, folder / "report.html") if page else None
    body = {"runs": [_runs.finished(run.folder) for run in runs]} if output.as_json else {}
    compare_with = [line for run in runs[-1:] for line in _runs.references(run)]
    tables = [table for run in runs for table in _tables.run_tables(run)]
    _tables.tell(output, path, body, tables, compare_with)
    if not output.as_json:
        typer.echo("Runs: " + ", ".join(str(run.folder) for run in runs))


def _check_together(
    subject: str | None,
    network: ModelOptions,
    inputs: DataOptions,
    train_seed: int | None,
    states: RecurrentOptions,
) -> None:
    if states.recurrent:
        if train_seed is not None and subject is None:
            rule = "come with a subject where --recurrent stands"
            raise wrong("--train-seed", rule, train_seed, "leave it out, or name a subject")
    elif states.at != "zero" or states.steps != STEPS:
        option = "--steps" if states.at == "zero" else "--at"
        raise wrong(option, "come with --recurrent", "an x-ray", "leave it out")
    if network.model and subject:
        raise UsageError(
            f"a subject and --model must not be given together, got {subject!r} and "
            f"{network.model!r}; leave one out."
        )
    network.check_select()
    if network.weights and not network.model:
        raise wrong("--weights", "come with --model", "no model", "name the network with --model")
    if train_seed is not None and network.model:
        way_out = "leave one out (--seed draws the weights of a model)"
        raise wrong("--train-seed", "come with a shipped subject", "--model", way_out)
    if inputs.typed and not network.model and not states.recurrent:
        raise wrong(
            ", ".join(inputs.typed), "come with --model",
            "a shipped subject", "leave it out, nakami train reads data with it",
        )  # fmt: skip


def _chosen(
    network: ModelOptions,
    inputs: DataOptions,
    reading: ReadingOptions,
    compute: BudgetOptions,
    train_seed: int | None,
) -> dict[str, object]:
    """What was chosen of a subject: of its training, then of its reading."""
    from .. import _runs

    return _runs.chosen(
        {
            "data": (inputs.data and inputs.data.resolve().name, None),
            "train-seed": (train_seed or 0, 0),
            "inputs": (reading.n, INPUTS),
            "stages": ("+".join(reading.stages).replace(",", "+"), "auto"),
            "top": (reading.top, None),
            "seed": (network.seed, 0),
            "tol": (reading.tol, TOL),
            **compute.options,
            "layers": (reading.layers, False),
        }
    )


def _shipped_subject(
    asked: Asked,
    output: OutputOptions,
    reading: ReadingOptions,
    chosen: dict[str, object],
    options: dict[str, Any],
    spread: SpreadOptions,
) -> tuple[tuple[Xray, ...], Path]:
    from .. import _runs, _spread
    from .._progress import Meter

    name, training = asked.name, asked.training
    if options["stages"] == "auto":  # a subject knows its own
        options = {**options, "stages": None}
    recipes.check(name, training.get("settings"), training.get("data"), **options)
    folder = _runs.writable(
        "out", output.out / _runs.short(name) / _runs.reading(asked.named(chosen))
    )
    weights = asked.weights(output.out, chosen)
    with Meter() as meter:
        subject = recipes.prepare(
            name, weights, n_inputs=reading.inputs, progress=meter, **training
        )
        if options.get("device") is None:
            seconds = recipes.expected_seconds(subject, **options)
            _say_if_long(seconds)
            spread = _spread.unasked(spread, seconds, options["spectrum"].memory_budget)
        with _spread.spread(spread):
            found = recipes.measure(
                subject, folder, experiments=reading.tried, progress=meter, **options
            )
        return found, folder


def _own_network(
    name: str,
    network: ModelOptions,
    inputs: DataOptions,
    reading: ReadingOptions,
    compute: BudgetOptions,
    output: OutputOptions,
    options: dict[str, Any],
    spread: SpreadOptions,
) -> tuple[tuple[Xray, ...], Path]:
    import nakami

    from .. import _model, _runs, _spread, hf
    from .._progress import Meter

    model = _model.build(name, network.weights, network.seed)
    view = compute.view(model, network.select, detached=reading.detached)
    view = replace(view, positions=position(reading.positions))
    examples = _model.examples_for(name, inputs, reading.n)
    identity = _model.identity(name, network, inputs, view.model, examples)
    first = nakami.data.some_rows(examples.inputs, slice(1))
    said = replace(view, batch_statistics=bool(view.batch_statistics))  # xray warns of these
    nakami.dynamics.check(said, first, **{**options, "layers": False})
    subject = _runs.short(name)
    where = _runs.name_of_weights(network.weights) if network.weights else "run"
    other = _runs.chosen(  # another matrix: never in the other's folder
        {"select": (network.select, None), "detached": (reading.detached, False)}
    )
    place = [where, *([_runs.reading(other)] if other else [])]
    folder = _runs.writable("out", output.out / subject / ",".join(place))
    about = {"subject": subject, **examples.about(), **identity}
    if network.weights is None and not hf.is_hf(name):
        typer.echo(f"note: no --weights given: {identity['training']}.", err=True)
    seconds = nakami.dynamics.expected_seconds(said, examples.inputs, **options)
    _say_if_long(seconds)
    if view.device is None and (hf.is_hf(name) or ":" not in name):  # code that workers have too
        spread = _spread.unasked(spread, seconds, compute.budget)
    with Meter() as meter, _spread.spread(spread):
        result = nakami.xray(
            view, examples.inputs, out=folder, input_unit=examples.unit, about=about,
            progress=meter, **options,
        )  # fmt: skip
        result = nakami.dynamics.experimented(
            view, examples.inputs, result, reading.tried, progress=meter
        )
    return (result,), folder


def _say_if_long(seconds: float) -> None:
    """Say how long it will take, and what decides it."""
    if seconds > LONG:
        about_how = "--inputs, --stages and --top say how much is read"
        typer.echo(f"note: this will take about {duration(seconds)}; {about_how}.", err=True)


def _check_recurrent(
    network: ModelOptions, reading: ReadingOptions, compute: BudgetOptions, spread: SpreadOptions
) -> None:
    """Refuse what is not read of recurrent layers."""
    others = {
        "--stages": list(reading.stages) != ["auto"],
        "--layers": reading.layers,
        "--experiments": reading.experiments,
        "--positions": reading.positions != ALL,
        "--detached": reading.detached,
        "--select": network.select,
        "--tol": reading.tol != TOL,
        **{f"--{name}": value is not None for name, value in vars(spread).items()},
        **{f"--{name}": value != usual for name, (value, usual) in compute.options.items()},
    }
    for option, given in others.items():
        if given:
            rule = "be left out with --recurrent"
            raise wrong(option.replace("memory", "memory-budget"), rule, "both", "leave it out")


ENTRY = Command(run, goes_on=True)
