"""``nakami theory``: predictions without a network, and without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ._app import JsonOption, app

theory = typer.Typer(
    help="What theory says of a network before it is built.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)
app.add_typer(theory, name="theory")


@theory.callback()
def _theory() -> None:
    """What theory says of a network before it is built."""


@theory.command()
def meanfield(
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
    ] = 100,
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
    ] = "1,0",
    seed: Annotated[
        int, typer.Option(min=0, help="Seed of the outputs drawn for cross_entropy.")
    ] = 0,
    out: Annotated[
        Path | None, typer.Option(metavar="PAGE", help="Write a page with the charts here.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Mean-field theory of a wide random fully connected network.

    Order parameters by layer, the eigenvalues of the Fisher matrix, order or chaos, and the
    learning rates that networks of this shape bear, by width. Needs no torch.
    """
    from ._meanfield import run

    options = {
        "activation": activation,
        "weight_variance": weight_variance,
        "bias_variance": bias_variance,
        "widths": widths,
        "samples": samples,
        "loss": loss,
        "start": start,
        "seed": seed,
    }
    run(options, out, as_json)
