"""``nakami theory sampling``: kernels for a restricted Boltzmann machine, by enumeration."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from .._command import THEORY, Command
from .._groups import SEEDS, OutputOptions

SCALES = "0.7,1.5,3"


def run(
    output: OutputOptions,
    scales: Annotated[
        str,
        typer.Option(
            metavar="S,S,...", help="Standard deviations of the weights, above 0 to 10, up to 6."
        ),
    ] = SCALES,
    seed: Annotated[int, typer.Option(**SEEDS, help="Seed of the machines and runs.")] = 0,
) -> None:
    """Kernels for a restricted Boltzmann machine: what breaking detailed balance buys.

    Exact autocorrelation times by enumeration, the bias of contrastive divergence, and annealed
    importance sampling beside the exact sum.
    """
    from nakami import sampling
    from nakami.results import plain

    from .. import _runs, _sampling_tables, _study

    numbers = _study.numbers("--scales", scales, float)
    settings: dict[str, Any] = {"what": "sampling", "scales": numbers, "seed": seed}
    typed = {"scales": (scales, SCALES), "seed": (seed, 0)}
    _study.run(
        _runs.reading(_runs.chosen(typed), "sampling"),
        settings,
        output,
        lambda progress: sampling.study(numbers, seed=seed, progress=progress),
        _sampling_tables.tables,
        plain,
    )


ENTRY = Command(run, group=THEORY)
