"""A model card: what a person who gets the file must know."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from nakami.results import brief, counted

from ._formats import FORMATS

if TYPE_CHECKING:
    from ._exported import Exported
    from ._source import Source


def card(source: Source, exported: Exported) -> str:
    """The card as Markdown, after Mitchell et al., Model Cards for Model Reporting (2019)."""
    parts = [
        f"# {source.name}",
        *_inside(exported),
        "## Training",
        source.training or "Not known.",
        "## Data",
        source.examples.source,
        *_schema(source),
        "## Figures",
        *_figures(source, exported),
        *_inner(source),
        "## Limits",
        *_limits(source, exported),
    ]
    return "\n\n".join(parts) + "\n"


def _inside(exported: Exported) -> Iterator[str]:
    inputs = ", ".join(f"`{n}` {_shape(s)}" for n, s in exported.file.inputs.items())
    outputs = ", ".join(f"`{n}` {_shape(s)}" for n, s in exported.file.outputs.items())
    form = FORMATS[exported.target].words
    yield f"`{exported.file.path.name}`, {exported.bytes:,} bytes, {form}."
    yield f"Input: {inputs}; unit: {exported.unit}. Output: {outputs}{_number(exported)}."
    for name, columns in exported.columns.items():
        more = ", each as its place in preparation.json, -1 for none" * (name == "categories")
        yield f"`{name}`: columns {', '.join(columns)}{more}."
    if labels := exported.labels:
        shown = ", ".join(labels[:20]) + (", ..." if len(labels) > 20 else "")
        yield f"{counted(len(labels), 'class', 'classes')}: {shown} (labels.json)."


def _number(exported: Exported) -> str:
    """Whose number comes out."""
    return f": {exported.column}, in the unit of this column" if exported.column else ""


def _shape(shape: tuple[int | str, ...]) -> str:
    return "(" + ", ".join(map(str, shape)) + ")"


def _schema(source: Source) -> Iterator[str]:
    """Columns and how they became numbers."""
    if source.preparation is None:
        return
    schema = source.preparation.schema
    used = (*schema.used("input"), *schema.used("target"))
    rows = [f"| {c.name} | {c.use} | {c.type} | {c.vector} |" for c in used]
    head = ["| column | use | type | as numbers |", "| --- | --- | --- | --- |"]
    yield "\n".join([*head, *rows])


def _inner(source: Source) -> Iterator[str]:
    """What an x-ray says of the network: singular values of its Jacobians, by depth."""
    if source.xray is None:
        return
    stages = source.xray.summary("input")
    rows = [
        f"| {s.stage} | {brief(s.largest.mean)} | {brief(s.count.mean)} | "
        f"{brief(s.effective_rank.mean)} |"
        for s in stages
    ]
    head = ["| up to stage | largest | above 1 | effective rank |", "| --- | --- | --- | --- |"]
    yield "## Inside"
    yield (
        "Singular values of the Jacobian from the input on, means over "
        f"{counted(source.xray.n_inputs, 'input')}."
    )
    yield "\n".join([*head, *rows])


def _figures(source: Source, exported: Exported) -> Iterator[str]:
    for fact in source.facts:
        spread = f" ± {fact['spread']:.2g}" if fact.get("spread") else ""
        kind = f" ({fact['spread_kind']})" if fact.get("spread_kind") else ""
        unit = f" {fact['unit']}" if fact.get("unit") else ""
        yield f"* {fact['label']}: {fact['value']:.4g}{spread}{unit}{kind}"
    found = exported.agreement
    unit = f" ({exported.column})" if exported.column else ""
    own = " of the network, before it is taken back to that unit" if unit else ""
    yield (
        f"* The file differs from torch by {found.absolute:.1e}{unit} at most, "
        f"{found.relative:.1e} of the largest output{own}, on "
        f"{counted(found.examples, source.examples.noun)}."
    )
    if (change := exported.number_change) is not None:
        yield (
            f"* Weights of eight bits change {exported.column} by {change.rms:.2g} (root mean "
            f"square), {change.largest:.2g} at most, on "
            f"{counted(change.examples, source.examples.noun)}."
        )
    if exported.accuracy is not None:
        told = exported.accuracy
        yield (
            f"* Right answers: {100 * told.before:.2f} ± {100 * told.error:.2f} %; with weights of "
            f"eight bits {100 * told.change:+.2f} ± {100 * told.change_error:.2f} points, "
            f"{told.other_answers:,} of {told.examples:,} answers are other ones."
        )


def _limits(source: Source, exported: Exported) -> Iterator[str]:
    other = ", also for one that is none of its classes" if exported.labels else ""
    yield (
        "Measured on examples of the kind that it was trained on; nothing is known of others. "
        f"It gives an answer for any input{other}."
    )
    for axis in exported.fixed:
        yield f"The file takes one size only: {axis}."
    for axis, size in exported.file.largest.items():
        yield f"The file takes a {axis} of at most {size}."
