"""Settings of a recipe as a readable file: each with its meaning, and checked before any training.

A recipe's settings are a frozen dataclass. What a field takes follows from its annotation: numbers
from 0 on, or within ``Bounds`` where it names them (``Annotated[int, Bounds(1)]``), texts,
``Literal``, True or False, tuples of these, or None. Its meaning stands under ``Attributes`` in the
docstring of the class or of one that it comes from.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import math
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from os import PathLike
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from nakami.results import UsageError, as_path, is_number, is_whole, unknown, wrong

S = TypeVar("S")
SEED = "seed"  # stands in the same file
WORDS = {bool: "true or false", str: "a text"}
NONE = "none"  # TOML has no word for it
FILES = (".toml", ".json")


@dataclass(frozen=True)
class Bounds:
    """Which numbers a setting takes: from ``least`` to ``most``, but those in ``without``.

    ``entries``: How many a list of any length holds at least.
    """

    least: float = 0
    most: float = math.inf
    without: tuple[float, ...] = ()
    entries: int = 1

    def holds(self, value: float) -> bool:
        """Whether it is one of them; never for NaN and infinity."""
        inside = self.least <= value <= self.most and value not in self.without
        return inside and math.isfinite(value)

    def worded(self, noun: str) -> str:
        """Which they are, of a ``noun``: ``a number from 0 on, not 1``."""
        above = self.most == math.inf and self.least in self.without
        start = f"above {self.least:g}" if above else f"from {self.least:g}"
        end = "" if above else " on" if self.most == math.inf else f" to {self.most:g}"
        left_out = " or ".join(f"{x:g}" for x in self.without if not above or x != self.least)
        return f"{noun} {start}{end}" + (f", not {left_out}" if left_out else "")


POSITIVE = Bounds(0, without=(0,))


@dataclass(frozen=True)
class Readable:
    """Marks a text that is the path of a file, or empty: ``Annotated[str, Readable()]``."""


FILE = Readable()


def contents(settings: Any) -> dict[str, str]:
    """A hash of each file that a setting names, by ``<setting>_sha256``.

    A path alone does not tell a training apart: the file may be another one later.
    """
    hints, found = get_type_hints(type(settings), include_extras=True), {}
    for name in _names(settings):
        path = getattr(settings, name)
        if path and FILE in get_args(hints[name]):
            with Path(path).open("rb") as file:
                found[f"{name}_sha256"] = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    return found


def with_values(settings: S, given: Mapping[str, Any]) -> S:
    """The settings with some values in place of theirs.

    Args:
        settings: Of a recipe.
        given: Values by name, as ``read_settings`` and ``typed_setting`` give them.

    Raises:
        UsageError: A name that is no setting, or a value that it does not take.
    """
    hints = get_type_hints(type(settings), include_extras=True)
    names = _names(settings)
    for name in given:
        if name not in names:
            raise unknown("setting", name, names)
    usual = {name: getattr(settings, name) for name in names}
    values = {name: _taken(name, hints[name], value, usual) for name, value in given.items()}
    return replace(settings, **values)  # type: ignore[type-var]


def read_settings(path: str | PathLike[str]) -> dict[str, Any]:
    """The values of a settings file, TOML or JSON, by name.

    Raises:
        UsageError: It is not there, of another ending, or cannot be read.
    """
    path = as_path("settings", path, "give a file of settings")
    if path.suffix not in FILES or not path.is_file():
        way_out = "begin with what nakami train NAME --print-settings prints"
        raise wrong("settings", f"be a file that ends in {' or '.join(FILES)}", path, way_out)
    try:
        text = path.read_text(encoding="utf-8")
        found = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except (ValueError, OSError) as error:  # both parsers' errors are ValueErrors
        raise UsageError(
            f"{path} cannot be read as {path.suffix[1:].upper()} ({error}); write one setting a "
            "line, as batch = 100."
        ) from error
    if not isinstance(found, dict):
        raise wrong("settings", "hold values by name", type(found).__name__, "write {...}")
    return found


def typed_setting(text: str) -> tuple[str, Any]:
    """Name and value of ``name=value``; the value as TOML has it, or else a text.

    Raises:
        UsageError: No name, or no ``=``.
    """
    name, sign, value = (part.strip() for part in text.partition("="))
    if not name or not sign or not value:
        raise wrong("set", "be NAME=VALUE", repr(text), "write --set batch=50")
    for as_written in (value, f"[{value}]"):  # 100,50 is a list without its brackets
        try:
            return name, tomllib.loads(f"x = {as_written}")["x"]
        except tomllib.TOMLDecodeError:
            continue
    return name, value


def as_toml(settings: Any, seed: int = 0, head: Iterable[str] = ()) -> str:
    """Seed and all settings as a TOML file: a line each, above it its meaning.

    Args:
        settings: Of a recipe.
        seed: Of the training.
        head: Lines of comment at the top.
    """
    meanings = {SEED: "Decides first weights, order and samples.", **_meanings(settings)}
    hints = {SEED: int, **get_type_hints(type(settings), include_extras=True)}
    lines = [f"# {line}" for line in head]
    for name in (SEED, *_names(settings)):
        value = seed if name == SEED else getattr(settings, name)
        said = f"{meanings.get(name, '')} {_capital(_rule(hints[name], Bounds()))}.".strip()
        lines += ["", f"# {said}"]
        lines.append(f"{name} = {_literal(value)}")
    return "\n".join(lines).lstrip("\n") + "\n"


def changed(settings: Any, usual: Any) -> dict[str, str]:
    """The settings that are others than the usual, as texts by name."""
    pairs = ((name, getattr(settings, name)) for name in _names(settings))
    return {
        name: _literal(value).strip('[]"').replace(", ", "+")
        for name, value in pairs
        if value != getattr(usual, name)
    }


def as_options(settings: Any, usual: Any) -> list[str]:
    """What is to be typed for settings that are others than the usual."""
    found = list[str]()
    for name in _names(settings):
        value = getattr(settings, name)
        if value != getattr(usual, name):
            word = NONE if value is None else value if isinstance(value, str) else _literal(value)
            found += ["--set", f"{name}={word}"]
    return found


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _names(settings: Any) -> list[str]:
    return [f.name for f in fields(settings) if f.init]


def _taken(name: str, hint: Any, value: Any, usual: Mapping[str, Any]) -> Any:
    """The value as the field has it, or a refusal that shows the rule and the default."""
    try:
        return _as(hint, value, Bounds())
    except _Refused as error:
        way_out = f"write {name} = {_literal(usual[name])}, its default"
        raise wrong(
            f"setting {name}", f"be {_rule(hint, Bounds())}", repr(value), way_out
        ) from error


class _Refused(Exception):
    """A value is not what the type takes."""


def _rule(hint: Any, bounds: Bounds) -> str:
    """What a type takes, in words."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        if FILE in parts:
            return "the path of a file, or empty"
        return _rule(parts[0], _bounds(parts, bounds))
    if origin in (Union, UnionType):
        words = [_rule(part, bounds) for part in parts if part is not NoneType]
        return " or ".join(words + [f'"{NONE}"'] * (NoneType in parts))
    if origin is Literal:
        return f"one of {', '.join(map(_literal, parts))}"
    if origin is tuple:
        least = {1: "one", 2: "two"}.get(bounds.entries, str(bounds.entries))
        many = f"{least} or more" if parts[-1] is Ellipsis else str(len(parts))
        return f"a list of {many}, each {_rule(parts[0], bounds)}"
    nouns = {int: "a whole number", float: "a number"}
    return bounds.worded(nouns[hint]) if hint in nouns else WORDS.get(hint, str(hint))


def _as(hint: Any, value: Any, bounds: Bounds) -> Any:
    """A value as this type, or ``_Refused``."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        if FILE in parts and value and not (isinstance(value, str) and Path(value).is_file()):
            raise _Refused
        return _as(parts[0], value, _bounds(parts, bounds))
    if origin in (Union, UnionType):
        return _as_one_of(parts, value, bounds)
    if origin is tuple:
        values = list(value) if isinstance(value, list | tuple) else [value]
        each = parts[:1] * len(values) if parts[-1] is Ellipsis else parts
        few = parts[-1] is Ellipsis and len(values) < bounds.entries
        if few or len(values) != len(each):
            raise _Refused
        return tuple(_as(part, one, bounds) for part, one in zip(each, values, strict=True))
    if origin is Literal:
        good = value in parts
    elif hint is int:
        good = is_whole(value) and bounds.holds(value)
    elif hint is float:
        good = is_number(value) and not isinstance(value, bool) and bounds.holds(value)
    else:
        good = isinstance(value, hint)
    if not good:
        raise _Refused
    return hint(value) if hint in (int, float) else value


def _as_one_of(parts: tuple[Any, ...], value: Any, bounds: Bounds) -> Any:
    if NoneType in parts and value in (None, NONE):
        return None
    for part in parts:
        try:
            return _as(part, value, bounds)
        except _Refused:
            continue
    raise _Refused


def _bounds(parts: tuple[Any, ...], usual: Bounds) -> Bounds:
    """Those that an ``Annotated`` names."""
    return next((part for part in parts[1:] if isinstance(part, Bounds)), usual)


def _literal(value: Any) -> str:
    """A value as TOML writes it."""
    if value is None:
        return f'"{NONE}"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_literal, value))}]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _meanings(settings: Any) -> dict[str, str]:
    """What the docstrings of the class, and of those it comes from, say of each field.

    An entry begins a line of its own or follows the end of a sentence, so a name within a sentence
    (``Before pooling: ...``) begins none.
    """
    names = sorted(_names(settings), key=len, reverse=True)
    one = "|".join(names)
    entry = re.compile(rf"(?:^ {{4}}|(?<=\.\s)\s*)((?:{one})(?:, (?:{one}))*): ", re.MULTILINE)
    found: dict[str, str] = {}
    for kind in reversed(type(settings).__mro__):
        said = inspect.cleandoc(kind.__dict__.get("__doc__") or "").partition("Attributes:")[2]
        _, *parts = entry.split(said)
        for keys, text in zip(parts[::2], parts[1::2], strict=True):
            meaning = " ".join(text.split()).replace("``", "")
            found |= dict.fromkeys(keys.split(", "), meaning)
    return found
