"""Whether a run may be continued: two sets of settings, and the sentence where they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ._counted import counted, first_names
from ._errors import wrong

# fields of run.json that say nothing about its numbers
UNCHECKED = ("created", "schema", "input_noun", "weights_file")
# Numbers that tell nobody what they are of, the argument that they follow from, and the setting
# that says what was given for it (the same may be given by another path).
FOUND = {
    "outputs": ("model", "factory"),
    "weights_sha256": ("weights", "training"),
    "inputs_sha256": ("inputs", "file"),
    "targets_sha256": ("labels", "file"),
}
TOLD = tuple(told for _, told in FOUND.values())

# Which field a refusal names: one that somebody chose before one that follows from it.
CHOSEN = (
    *(
        "subject",
        "n_inputs",
        "input_unit",
        "seed",
        "model.name",
        "model.parameters",
        "select",
        "stages",
    ),
    *("k", "layers", "tol", "dtype", "device", "memory_budget", "model.weights_sha256", "data"),
)
FOLLOWING = ("facts", "picture", "labels", "input_names", "inputs_sha256")
# what a run has of a setting that is not written
USUAL = {"derivative": "exact", "positions": "all"}
SHORT = 60  # characters of a value that is shown as it is


def checked(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a run without what differs between two equal runs."""
    return {k: v for k, v in settings.items() if k not in UNCHECKED}


def differing(
    old: Mapping[str, Any], new: Mapping[str, Any], unchecked: Sequence[str] = ()
) -> list[str]:
    """Fields that decide the numbers and are not the same, that to be named first before others."""
    a, b = ({k: v for k, v in flat(checked(s)).items() if k not in TOLD} for s in (old, new))
    if "outputs" not in a:  # written by an earlier version
        b.pop("outputs", None)
    fields = sorted(f for f in a.keys() | b.keys() if f.partition(".")[0] not in unchecked)
    found = [f for f in fields if a.get(f) != b.get(f)]
    given = [told for f, (_, told) in FOUND.items() if old.get(told) != new.get(told)]

    def precedence(field: str) -> tuple[int, str]:
        told = FOUND.get(_last(field), ("", ""))[1]
        order = (*CHOSEN, "", *FOLLOWING)  # "" stands for every other field, by name
        at = order.index(field if field in order else "")
        return given.index(told) - len(given) if told in given else at, field

    return sorted(found, key=precedence)


def check_same(
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    path: Path,
    argument: str,
    unchecked: Sequence[str] = (),
) -> None:
    """Refuse to continue the run in ``path`` with other settings.

    Args:
        old: What the folder holds.
        new: What is asked for.
        path: The folder.
        argument: The caller's argument that named it.
        unchecked: Fields that may differ.

    Raises:
        UsageError: Names the field that was chosen otherwise, and what differs in it.
    """
    fields = differing(old, new, unchecked)
    if not fields:
        return
    ways = [f"pass another {{{argument}}}", f"delete {path}"]
    name, held, got = difference(fields[0], old, new)
    if name == "threads":
        ways = [f"set OMP_NUM_THREADS={held}", *ways]
    follow = ("data", "n_inputs") if name == "inputs" else ("data",)
    also = [f for f in fields[1:] if f in CHOSEN and f not in follow and "." not in f]
    more = f" ({', '.join(also)} differ{'s' * (len(also) == 1)} too)" if also else ""
    raise wrong(name, f"be as in the run that {path} holds, {held}", f"{got}{more}", ways)


def difference(field: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, str, str]:
    """What to call a field of ``differing``, and what is old and new in it, in few words."""
    if _last(field) in FOUND:
        name, told = FOUND[_last(field)]
        before, after = str(old.get(told) or "other numbers"), str(new.get(told) or "these")
        return name, before, after + " (other numbers)" * (before == after)
    a, b = (flat(settings).get(field, USUAL.get(field)) for settings in (old, new))
    if isinstance(a, list) and isinstance(b, list):
        return field, *_lists(_names(a), _names(b))
    return field, _short(a), _short(b)


def _lists(old: list[Any], new: list[Any]) -> tuple[str, str]:
    """Whole lists where they are short, else their lengths, else the first entries that differ."""
    if max(len(repr(old)), len(repr(new))) <= SHORT:
        return repr(old), repr(new)
    if len(old) != len(new):
        alone = [v for v in old if v not in new], [v for v in new if v not in old]
        a, b = (f" ({_some(v)} only there)" if v else "" for v in alone)
        count = counted(len(old), "entry", "entries")
        return f"{count}{a}", f"{len(new)}{b.replace('there', 'here')}"
    at = next((i for i, (a, b) in enumerate(zip(old, new, strict=True)) if a != b), None)
    if at is None:  # alike but for what is not shown
        return counted(len(old), "entry", "entries"), "others of the same names"
    return f"{_short(old[at])} at place {at}", _short(new[at])


def _names(values: list[Any]) -> list[Any]:
    named = all(isinstance(v, Mapping) and "name" in v for v in values)
    return [v["name"] for v in values] if named else values


def _some(values: list[Any]) -> str:
    return first_names(map(_short, values))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHORT else text[: SHORT - 3] + "..."


def _last(field: str) -> str:
    return field.rpartition(".")[2]


def flat(tree: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(tree, Mapping):
        parts = [(f"{prefix}.{key}" if prefix else str(key), value) for key, value in tree.items()]
    else:
        return {prefix: tree}
    return {k: v for name, value in parts for k, v in flat(value, name).items()}
