"""``nakami export``: a trained network as a file for another runtime."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from nakami.results import check_choice

from .._command import Command
from .._groups import DataOptions, JsonOptions, ModelOptions

TARGETS = ("onnx", "web", "executorch", "litert")


def run(
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="RUN",
            help="The folder of a training by `nakami train`, or of an x-ray (default: --model).",
        ),
    ] = None,
    *,
    to: Annotated[
        str, typer.Option(metavar="TARGET", help="onnx, web (with a page), executorch, litert.")
    ] = "onnx",
    network: Annotated[
        str | None,
        typer.Option(
            "--network", metavar="NAME", help="Which network of the training (default: the last)."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Folder to write (default: export/NETWORK-TARGET in RUN)."
        ),
    ] = None,
    xray: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="An x-ray of this network, of which the card then tells."),
    ] = None,
    limit: Annotated[
        float,
        typer.Option(help="Largest difference from torch, as a share of the largest output."),
    ] = 1e-4,
    no_int8: Annotated[
        bool, typer.Option("--no-int8", help="Make no file with weights of eight bits.")
    ] = False,
    runtime: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Of web: folder or archive of onnxruntime-web (default: npm fetches it).",
        ),
    ] = None,
    own: ModelOptions,
    inputs: DataOptions,
    output: JsonOptions,
) -> None:
    """Write a trained network for another runtime, with labels, checked against torch.

    The numbers of the file are compared with torch's on test examples, size and time of a call are
    measured, and the same with weights of eight bits. All is kept in export.json and card.md.
    """
    check_choice("--to", to, TARGETS, "leave it out for onnx")
    from nakami import export as leaving
    from nakami.results import plain

    from .. import _export_tables, _leaving, _tables

    source, beside = _leaving.source(folder, network, own, inputs, xray)
    for said in leaving.ahead(source, to):
        typer.echo(f"note: {said}.", err=True)
    place = out or beside / "export" / f"{source.name.rpartition('/')[2]}-{to}"
    found = leaving.export(source, place, to, limit=limit, int8=not no_int8, runtime=runtime)
    lines = [f"The file takes one size only: {axis}." for axis in found.fixed]
    most = found.file.largest.items()
    lines += [f"The file takes a {axis} of at most {size}." for axis, size in most]
    lines.append(f"Model: {found.file.path}")
    if found.page is not None:
        lines.append(f"Page: python -m http.server --directory {shlex.quote(str(found.folder))}")
    body = {"folder": str(found.folder), **plain(vars(found))}
    _tables.tell(output, None, body, _export_tables.tables(source.name, found), lines)


ENTRY = Command(run)
