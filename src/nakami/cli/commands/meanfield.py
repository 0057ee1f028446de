"""``nakami theory meanfield``: predictions without a network, and without torch."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from nakami.results import wrong

from .._command import THEORY, Command
from .._groups import SEEDS, OutputOptions

SAMPLES, START = 100, "1,0"


def run(
    output: OutputOptions,
    activation: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="relu, leaky_relu, linear, tanh, erf, sigmoid, gelu, silu, softplus, sin, ...",
        ),
    ] = "tanh",
    weight_variance: Annotated[
        float,
        typer.Option(metavar="V", help="Variance of a weight times fan-in (ReLU after He: 2)."),
    ] = 3.0,
    bias_variance: Annotated[
        float, typer.Option(metavar="V", help="Variance of the biases.")
    ] = 0.64,
    widths: Annotated[
        str, typer.Option(metavar="N,N,...", help="Inputs, hidden layers, outputs.")
    ] = "784,1000,1000,10",
    samples: Annotated[
        int, typer.Option(min=1, metavar="T", help="Samples, all in one batch.")
    ] = SAMPLES,
    loss: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="mse (torch's, the mean over outputs too), mse_sum, half (half the squared error, "
            "sum over outputs, mean over samples) or cross_entropy.",
        ),
    ] = "mse",
    start: Annotated[
        str,
        typer.Option(
            metavar="A,B",
            help="Of the inputs, over their dimension: mean of |x|², and of x·x' for two of them.",
        ),
    ] = START,
    seed: Annotated[
        int, typer.Option(**SEEDS, help="Seed of the outputs drawn for cross_entropy.")
    ] = 0,
) -> None:
    """Mean-field theory of a wide random fully connected network.

    Order parameters by layer, the eigenvalues of the Fisher matrix, order or chaos, and the
    learning rates at which networks of this shape stay stable, by width. Needs no torch.
    """
    from .. import _study

    sizes = _study.numbers("--widths", widths, int)
    point = _study.numbers("--start", start, float)
    if len(point) != 2:
        raise wrong("--start", "be two numbers", repr(start), "write --start 1,0")
    from nakami.theory import meanfield

    from .. import _runs, _theory_tables

    settings: dict[str, Any] = {
        "activation": activation, "weight_variance": weight_variance,
        "bias_variance": bias_variance, "widths": sizes, "samples": samples, "loss": loss,
        "start": point, "seed": seed,
    }  # fmt: skip
    options = {k: v for k, v in settings.items() if k not in ("widths", "activation")}
    options["start"] = (point[0], point[1])
    name = f"{activation}-{weight_variance:g}-{bias_variance:g}-{'-'.join(map(str, sizes))}-{loss}"
    typed = {"samples": (samples, SAMPLES), "start": (start, START), "seed": (seed, 0)}
    _study.run(
        _runs.reading(_runs.chosen(typed), name),
        settings,
        output,
        lambda progress: meanfield.predict(sizes, activation, **options),
        _theory_tables.tables,
        _theory_tables.numbers,
    )


ENTRY = Command(run, group=THEORY)
