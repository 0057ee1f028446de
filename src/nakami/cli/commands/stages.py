"""``nakami stages``: where a network can be cut."""

from __future__ import annotations

from dataclasses import asdict

import typer

from nakami.results import wrong

from .._command import Command
from .._groups import DataOptions, JsonOptions, ModelOptions


def run(network: ModelOptions, inputs: DataOptions, output: JsonOptions) -> None:
    """List the stages of a network: where it can be cut and measured."""
    from .. import _model, _tables

    if network.model is None:
        raise wrong("--model", "be given", "none", f"pass {_model.FORM}")
    model = _model.build(network.model, network.weights, network.seed)
    examples = _model.examples_for(network.model, inputs, 1)
    _model.try_once(model, examples)
    import nakami

    view = nakami.View(model, select=network.select)
    found = nakami.stages(view, nakami.data.some_rows(examples.inputs, slice(1)))
    if output.as_json:
        rows = [
            {
                **asdict(s), "size": s.size, "auto": s.name in found.auto,
                "aside": s.name in found.aside,
            }
            for s in found
        ]  # fmt: skip
        _tables.echo_json({"model": network.model, "stages": rows})
    else:
        _tables.show(_tables.stages_table(found, found.auto, found.aside))
        for line in (f"Data: {examples.source}.", *_tables.output_read(network.selected)):
            typer.echo(line)


ENTRY = Command(run)
