"""``nakami lens``: the averaged Jacobian between stages of a network, with standard errors."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nakami.results import counted, plain, wrong

from .._command import Command, Stands
from .._groups import BudgetOptions, DataOptions, JsonOptions, ModelOptions
from .xray import stage_names

if TYPE_CHECKING:
    from nakami.results import Lens

INPUTS = 48
HEAD = ("stage", "error", "for 5 %", "s₁", "agree", "identity", "rank", "without", "check")
CAPTION = (
    "± one standard error, over examples. error: of J, relative; for 5 %: examples it would take. "
    "agree: s₁ of the mean over the mean s₁. identity: share of |J|² along α I. rank: effective "
    "rank; without: of J - α I. check: J v against another route."
)


def run(
    network: ModelOptions,
    data: DataOptions,
    compute: BudgetOptions,
    output: JsonOptions,
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

    Reads the mean Jacobian from each stage to the last block, over examples and positions.
    """
    from .. import _model, _runs, _tables

    if network.model is None:
        raise wrong("--model", "be given", "none", f"pass {_model.FORM}")
    if save is not None:
        _runs.writable("save", save.parent if save.suffix == ".pt" else save)
    some = _slice(positions)
    compute.place()  # refused before the network is made
    import nakami

    model = _model.build(network.model, network.weights, network.seed)
    examples = _model.examples_for(network.model, data, inputs)
    _model.try_once(model, examples)
    names = stage_names(stages)
    found = nakami.lens(
        compute.view(model), examples.inputs, names, to, error=error, positions=some, axis=axis,
        memory_budget=compute.budget,
    )  # fmt: skip
    assert isinstance(found, dict)
    saved = _saved(found, save)
    body = {"model": network.model, "lenses": [_numbers(one) for one in found.values()]}
    lines = [f"Data: {examples.source}."]
    lines += [f"Saved: {', '.join(map(str, saved))}"] if saved else []
    table = _table(network.model, list(found.values()))
    _tables.tell(output, None, {**body, "saved": [*map(str, saved)]}, [table.drawn()], lines)


def _slice(text: str | None) -> slice | None:
    if text is None:
        return None
    match = re.fullmatch(r"(-?\d*):(-?\d*)", text.strip())
    if match is None or "-" in match.groups():
        raise wrong("--positions", "be two numbers with : between", repr(text), "write 16:-1")
    return slice(*(int(part) if part else None for part in match.groups()))


def _saved(found: dict[str, Lens], path: Path | None) -> list[Path]:
    """Write them; returns the files."""
    if path is None:
        return []
    if path.suffix == ".pt":
        from nakami.dynamics import save_jacobian_lens

        return [save_jacobian_lens(path, found)]
    return [one.save(path / f"{name.replace(':', '_')}.safetensors") for name, one in found.items()]


def _numbers(lens: Lens) -> dict[str, Any]:
    """Plain data, without the matrices."""
    arrays = ("mean", "variance", "left", "right")
    numbers = {name: value for name, value in vars(lens).items() if name not in arrays}
    return {**plain(numbers), "error": plain(lens.error), "reason": lens.reason}


def _table(model: str, lenses: list[Lens]) -> Any:
    from .._tables import TextTable

    first = lenses[0]
    rows = [
        (
            one.stage,
            f"{100 * one.error:.2g} %",
            f"{one.prompts_for(0.05)}" if one.error > 0 else "",
            _with(one.values[0], one.value_errors[0]),
            *(
                _with(number.value, number.se)
                for number in (
                    one.agreement, one.identity_share, one.participation, one.participation_beyond
                )
            ),
            f"{one.check:.0e}",
        )
        for one in lenses
    ]  # fmt: skip
    title = f"{model}, Jacobians to {first.to}, {counted(first.n_prompts, 'example')}"
    return TextTable(title, CAPTION, HEAD, rows)


def _with(value: float, se: float) -> str:
    """A number to the first digit of its error: ``0.305±0.005``."""
    if not se > 0:
        return "" if value != value else f"{value:.4g}"
    places = max(0, -math.floor(math.log10(se)))
    return f"{value:.{places}f}±{se:.{places}f}"


ENTRY = Command(run)
