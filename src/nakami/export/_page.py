"""What a page of an exported network asks for, and all that it must know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from torch import Tensor

from nakami.data.schema._files import RATE
from nakami.data.schema._words import Counted, Words
from nakami.results import wrong

from ._answer import numbers_of
from ._model_file import called, flat_outputs, rows
from ._raw import RawInputs
from ._source import Source

EXAMPLES = 12
TABLE = ("numbers", "categories")


def kind_of(source: Source, given: RawInputs) -> str:
    """``picture``, ``row``, ``text`` or ``sound``: which field the page has.

    Raises:
        UsageError: There is no field for such inputs.
    """
    if _are_pictures(given.inputs):
        return "picture"
    if given.columns and set(given.inputs) <= set(TABLE):
        return "row"
    if _text(source):
        return "text"
    if given.columns and set(given.inputs) == {"samples"} and len(given.columns["samples"]) == 1:
        return "sound"
    shapes = ", ".join(f"{name} {tuple(x.shape[1:])}" for name, x in given.inputs.items())
    rule = "be onnx unless pictures of 1 or 3 channels, columns of a table, a text or a sound go in"
    raise wrong("to", rule, f"web with {shapes}", "write {to}=onnx")


def about(
    source: Source, given: RawInputs, labels: tuple[str, ...], limit: float
) -> dict[str, Any]:
    """What lies in ``page.json``: fields, labels, examples with torch's outputs."""
    target = source.examples.target
    vectors = source.preparation.vectors if source.preparation else {}
    classes = {name: [*vectors[name].classes] for name in given.columns.get("categories", ())}
    return {
        "name": source.name,
        "training": source.training,
        "labels": list(labels),
        "answer": None if target is None else asdict(target),
        "kind": kind_of(source, given),
        "shapes": {name: list(value.shape) for name, value in given.inputs.items()},
        "columns": {name: [*names] for name, names in given.columns.items()},
        "classes": classes,
        "text": _text(source),
        "rate": _rate(source),
        "limit": limit,
        "examples": [
            _example(source, given, i) for i in range(min(EXAMPLES, len(source.examples)))
        ],
    }


def _example(source: Source, given: RawInputs, i: int) -> dict[str, Any]:
    one = slice(i, i + 1)
    found = flat_outputs(called(source.model, rows(source.inputs, one)))[0]
    output = numbers_of(source.examples.target, found.detach().cpu().numpy())
    inputs = {name: _packed(value) for name, value in rows(given.inputs, one).items()}
    return {"name": source.examples.names[i], "inputs": inputs, "output": output.flatten().tolist()}


def _packed(value: Tensor) -> dict[str, Any]:
    kind = str(value.dtype).removeprefix("torch.")
    return {"type": kind, "dims": list(value.shape), "data": value.flatten().tolist()}


def _are_pictures(inputs: Mapping[str, Tensor]) -> bool:
    found = inputs.get("input")
    return found is not None and found.ndim == 4 and found.shape[1] in (1, 3)


def _text(source: Source) -> dict[str, Any] | None:
    """How the one text of a row becomes numbers, as ``text.js`` takes it."""
    used = source.preparation.schema.used("input") if source.preparation else ()
    if source.preparation is None or len(used) != 1:
        return None
    vector = source.preparation.vectors[used[0].name]
    if not isinstance(vector, Counted):
        return None
    length = vector.length if isinstance(vector, Words) else None
    return {"vector": vector.name, "kinds": [*vector.kinds], "length": length}


def _rate(source: Source) -> int | None:
    """Samples a second of a sound."""
    used = source.preparation.schema.used("input") if source.preparation else ()
    return next((int(c.options.get("rate", RATE)) for c in used if c.type == "sound"), None)
