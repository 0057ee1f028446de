"""``nakami theory phase``: when patterns without labels suddenly help; without torch."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from .._command import THEORY, Command, Stands
from .._groups import SEEDS, OutputOptions

ALPHAS, BETAS, DIMENSION, POINTS = "0.01,0.1,0.5", "0,3,5", 500, 6


def run(
    output: OutputOptions,
    kappa: Annotated[
        float,
        typer.Option(metavar="K", help="Margin that patterns keep from the border, 0.0001 to 5."),
    ] = 0.5,
    alpha: Annotated[
        str,
        typer.Option(
            metavar="A,A,...", help="Labelled patterns for each weight, 0 to 1e5, up to 6."
        ),
        Stands(("alpha", "alphas")),
    ] = ALPHAS,
    beta: Annotated[
        str,
        typer.Option(metavar="B,B,...", help="Patterns without labels for each weight, likewise."),
        Stands(("beta", "betas")),
    ] = BETAS,
    dimension: Annotated[
        int, typer.Option(min=2, metavar="N", help="Weights of the instances, up to 10,000.")
    ] = DIMENSION,
    points: Annotated[
        int,
        typer.Option(
            min=0, metavar="K", help="Instances on each curve, up to 100; 0: theory alone."
        ),
    ] = POINTS,
    seed: Annotated[int, typer.Option(**SEEDS, help="Seed of the first instance.")] = 0,
) -> None:
    """The phase transition of pre-training: the error of a perceptron over data without labels.

    Curves and jumps for infinite size, the phase diagram, and message passing on finite instances,
    pre-trained and then fine-tuned. Needs no torch.
    """
    from nakami.results import plain
    from nakami.theory import phase

    from .. import _phase_tables, _runs, _study

    alphas, betas = (_study.numbers(f"--{name}", text, float)
                     for name, text in (("alpha", alpha), ("beta", beta)))  # fmt: skip
    settings: dict[str, Any] = {
        "what": "phase", "kappa": kappa, "alphas": alphas, "betas": betas,
        "dimension": dimension, "points": points, "seed": seed,
    }  # fmt: skip
    typed = {
        "alpha": (alpha, ALPHAS), "beta": (beta, BETAS), "dimension": (dimension, DIMENSION),
        "points": (points, POINTS), "seed": (seed, 0),
    }  # fmt: skip
    _study.run(
        _runs.reading(_runs.chosen(typed), f"phase-{kappa:g}"), settings, output,
        lambda progress: phase.study(
            kappa, alphas, betas, dimension=dimension, points=points, seed=seed, progress=progress
        ),
        _phase_tables.tables, plain,
    )  # fmt: skip


ENTRY = Command(run, group=THEORY)
