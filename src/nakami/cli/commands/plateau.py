"""``nakami theory plateau``: how long learning stands still, by outputs; without torch."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from .._command import THEORY, Command
from .._groups import SEEDS, OutputOptions

OUTPUTS, STARTS = "1,2,3,5", 8


def run(
    output: OutputOptions,
    outputs: Annotated[
        str, typer.Option(metavar="O,O,...", help="Numbers of outputs, 1 to 1000, up to 6.")
    ] = OUTPUTS,
    starts: Annotated[
        int, typer.Option(min=1, metavar="K", help="Random starts for each, up to 1000.")
    ] = STARTS,
    seed: Annotated[int, typer.Option(**SEEDS, help="Seed of the starts and teachers.")] = 0,
) -> None:
    """Plateaus near singular regions: why learning stands still, and why more outputs free it.

    Order parameters of two hidden units that learn from two, at two tolerances; the time on
    plateaus by the number of outputs; the curvature where both units are equal. Needs no torch.
    """
    from nakami.results import plain
    from nakami.theory import plateau

    from .. import _plateau_tables, _runs, _study

    numbers = _study.numbers("--outputs", outputs, int)
    settings: dict[str, Any] = {
        "what": "plateau", "outputs": numbers, "starts": starts, "seed": seed,
    }  # fmt: skip
    typed = {"outputs": (outputs, OUTPUTS), "starts": (starts, STARTS), "seed": (seed, 0)}
    _study.run(
        _runs.reading(_runs.chosen(typed), "plateau"),
        settings,
        output,
        lambda progress: plateau.study(numbers, starts=starts, seed=seed, progress=progress),
        _plateau_tables.tables,
        plain,
    )


ENTRY = Command(run, group=THEORY)
