"""``nakami lens``: the averaged Jacobian between stages of a network, with standard errors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nakami.results import wrong

from .._command import Command, Stands
from .._groups import BudgetOptions, DataOptions, Detached, ModelOptions, OutputOptions
from .._readings import stage_names

if TYPE_CHECKING:
    from nakami.results import Lens

INPUTS = 48


def run(
    network: ModelOptions,
    data: DataOptions,
    compute: BudgetOptions,
    output: OutputOptions,
    *,
    inputs: Annotated[
        int,
        typer.Option(metavar="N", min=1, help="How many examples to read, at most."),
        Stands(("n",)),
    ] = INPUTS,
    stages: Annotated[
        list[str],
        typer.Option(
            metavar="A,B,...",
            help="Where Jacobians start (see `nakami stages`); * stands for any letters. auto: all "
            "blocks but the last.",
        ),
        Stands(("stage",)),
    ] = ("auto",),  # type: ignore[assignment]
    to: Annotated[
        str | None,
        typer.Option(metavar="STAGE", help="Where they end (default: the last block)."),
    ] = None,
    error: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, metavar="SHARE", help="Stop at this relative standard error, as 0.05."
        ),
    ] = None,
    positions: Annotated[
        str | None,
        typer.Option(
            metavar="A:B",
            help="Positions that count, as 16:-1, which published lenses take (default: all).",
        ),
    ] = None,
    axis: Annotated[
        int, typer.Option(help="Axis of the channels in a state; 0 for channels first.")
    ] = -1,
    detached: Detached = False,
    save: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Keep the lenses: all in one .pt, the format of published ones, without errors; "
            "else a folder of .safetensors with all numbers.",
        ),
    ] = None,
) -> None:
    """Which directions of a state arrive at the end, on average? A Jacobian lens, with errors.

    Reads the mean Jacobian from each stage to the last block, over examples and positions: a table
    and a page. A stopped reading is continued by the same command.
    """
    from .. import _lens, _model, _runs, hf

    if network.model is None:
        raise wrong("--model", "be given", "none", f"pass {_model.FORM}")
    if save is not None:
        _runs.writable("save", save.parent if save.suffix == ".pt" else save)
    here = _slice(positions)
    compute.place()  # refused before the network is made
    from nakami import dynamics

    from .._progress import Meter

    model = _model.build(network.model, network.weights, network.seed)
    examples = _model.examples_for(network.model, data, inputs)
    about = {
        "subject": _runs.short(network.model),
        **examples.about(),
        **_model.identity(network.model, network, data, model, examples),
        **network.selected,
    }
    usual = {
        "stages": (",".join(stages), "auto"), "to": (to, None), "inputs": (inputs, INPUTS),
        "positions": (positions, None), "error": (error, None), "axis": (axis, -1),
        "seed": (network.seed, 0), "select": (network.select, None),
        "detached": (detached, False), **compute.options,
    }  # fmt: skip
    named = _runs.of_model(network.model, "lens", network.weights, _runs.chosen(usual))
    options = dynamics.LensOptions(
        error=error, positions=here, axis=axis, memory_budget=compute.budget
    )
    folder = _runs.writable("out", output.out / named)
    words = hf.words(network.model, model) if to is None and hf.is_hf(network.model) else None
    view = compute.view(model, network.select, detached=detached)
    with Meter() as meter:
        found = dynamics.lens_run(
            view, examples.inputs, folder, stage_names(stages), to, options=options,
            words=words, about=about, progress=meter,
        )  # fmt: skip
    page = None if output.no_page else _runs.page(found, found.folder / "report.html")
    saved = _saved(found.lenses, save)
    _lens.tell(found, page, output, [*map(str, saved)])
    if not output.as_json:
        typer.echo(f"Run: {found.folder}")


def _slice(text: str | None) -> slice | None:
    if text is None:
        return None
    match = re.fullmatch(r"(-?\d*):(-?\d*)", text.strip())
    if match is None or "-" in match.groups():
        raise wrong("--positions", "be two numbers with : between", repr(text), "write 16:-1")
    return slice(*(int(part) if part else None for part in match.groups()))


def _saved(found: Mapping[str, Lens], path: Path | None) -> list[Path]:
    """Write them; returns the files."""
    if path is None:
        return []
    if path.suffix == ".pt":
        from nakami.dynamics import save_jacobian_lens

        return [save_jacobian_lens(path, found)]
    return [one.save(path / f"{name.replace(':', '_')}.safetensors") for name, one in found.items()]


ENTRY = Command(run, goes_on=True)
