"""Signs in numbers of a table of text: the decimal sign, and the one between thousands."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any


def signs_of(cells: Sequence[str], delimiter: str) -> dict[str, str]:
    """``decimal`` and ``thousands`` (empty: none) as some cells show them.

    Thousands are only told by a number that has both signs: ``1.010`` alone may be either.
    """
    commas = sum(is_number(value, ",") and not is_number(value, ".") for value in cells)
    points = sum("." in value and is_number(value, ".") for value in cells)
    grouped = dict.fromkeys(".,", 0)
    for sign, decimal in (".,", ",."):
        form = re.compile(rf"{_grouped(sign)}{re.escape(decimal)}\d+")
        grouped[sign] = sum(form.fullmatch(value.strip()) is not None for value in cells)
    foreign = commas + grouped["."] > points + grouped[","]
    decimal = "," if delimiter != "," and foreign else "."
    between = "." if decimal == "," else ","
    return {"decimal": decimal, "thousands": between if grouped[between] else ""}


def as_points(column: Any, form: Mapping[str, Any]) -> Any:
    """An Arrow column of texts, its numbers with a decimal point alone; other texts as they are."""
    import pyarrow.compute as compute

    between, decimal = form["thousands"], re.escape(form["decimal"])
    if between:
        whole = rf"^\s*{_grouped(between)}({decimal}\d+)?\s*$"
        plain = compute.replace_substring(column, between, "")
        column = compute.if_else(compute.match_substring_regex(column, whole), plain, column)
    sign = rf"^(\s*[+-]?\d*){decimal}(\d+(?:[eE][+-]?\d+)?\s*)$"
    return compute.replace_substring_regex(column, sign, r"\1.\2")


def is_number(text: str, signs: str) -> bool:
    """Whether it is a number with one of the signs as decimal point."""
    for sign in signs:
        try:
            float(text.replace(sign, "."))
        except ValueError:
            continue
        return True
    return False


def _grouped(sign: str) -> str:
    """Whole numbers of 1,000 and more with a sign between thousands."""
    return rf"[+-]?[1-9]\d{{0,2}}({re.escape(sign)}\d{{3}})+"
