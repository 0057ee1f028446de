"""``nakami theory transport``: losses of entropic transport by blur, and barycenters."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from .._command import THEORY, Command
from .._groups import OutputOptions

REGS, SHAPES, SIZE = "0.0003,0.001,0.003,0.01,0.03,0.1,0.3,1", "ring,square", 32


def run(
    output: OutputOptions,
    reg: Annotated[
        float,
        typer.Option(metavar="R", help="Factor of the entropy for the barycenters, 1e-5 to 1000."),
    ] = 0.005,
    regs: Annotated[
        str, typer.Option(metavar="R,R,...", help="Factors for the losses, two at least, likewise.")
    ] = REGS,
    shapes: Annotated[
        str, typer.Option(metavar="A,B", help="Two of ring, square, cross, disc.")
    ] = SHAPES,
    size: Annotated[
        int, typer.Option(min=8, max=256, metavar="N", help="Side of the pictures.")
    ] = SIZE,
) -> None:
    """Losses of entropic optimal transport: what they take for nearest, and their barycenters.

    The entropic cost, the λ-divergence and the Sinkhorn divergence of two histograms by blur, and
    barycenters by each of two histograms and of two pictures. The cost is |x - y|² on the unit
    interval.
    """
    from nakami import transport
    from nakami.results import plain

    from .. import _runs, _study, _transport_tables

    factors = _study.numbers("--regs", regs, float)
    names = [name.strip() for name in shapes.split(",")]
    settings: dict[str, Any] = {
        "what": "transport", "reg": reg, "regs": factors, "shapes": names, "size": size,
    }  # fmt: skip
    typed = {"regs": (regs, REGS), "shapes": (shapes, SHAPES), "size": (size, SIZE)}
    _study.run(
        _runs.reading(_runs.chosen(typed), f"transport-{reg:g}"),
        settings,
        output,
        lambda progress: transport.study(reg, factors, names, size=size, progress=progress),
        _transport_tables.tables,
        plain,
    )


ENTRY = Command(run, group=THEORY)
