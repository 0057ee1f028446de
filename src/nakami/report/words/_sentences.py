"""Sentences as templates with data, from one table a page.

A template is named by its case and takes its data by name. Formats say how a value is written:

    {x}                  as it is
    {x:number}           three digits; ``number2``, ``number4`` likewise
    {x:whole} {x:spelled} {x:Spelled} {x:nth} {x:tally} {x:About} {x:list} {x:range} {x:power}
    {x:short}            a long name with its middle left out; ``short18`` to 18 letters
    {x:sd} {x:estimate}  an Estimate, with or without the word sd; {x:tallied} without its spread
    {n:one|more}         the first text where n is 1 or true, else the second
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, final

from markupsafe import Markup

from ...results import Counting
from . import _numbers as num

FORMATS: dict[str, Callable[[Any], str]] = {
    "": str,
    "number": num.number,
    "whole": num.whole,
    "spelled": num.spelled,
    "Spelled": lambda n: num.spelled(n).capitalize(),
    "nth": num.nth,
    "tally": num.tally,
    "About": lambda mean: num.about(mean)[:1].upper() + num.about(mean)[1:],
    "list": num.listing,
    "range": lambda ends: num.between(*ends),
    "power": num.power,
    "short": num.short,
    "sd": lambda e: num.estimate(e, "(sd)"),
    "estimate": num.estimate,
    "tallied": num.tallied,
    "Tallied": lambda e: num.tallied(e)[:1].upper() + num.tallied(e)[1:],
    "seconds": num.seconds,
}
WITH_DIGITS: dict[str, Callable[[Any, int], str]] = {"number": num.number, "short": num.short}


class Sentence(str):
    """A text that knows its case and its data.

    Attributes:
        case: Name of the template. data: What was filled in.
    """

    case: str
    data: dict[str, Any]


class _Formatter(Counting):
    def format_field(self, value: Any, format_spec: str) -> str:
        if format_spec in FORMATS:
            return FORMATS[format_spec](value)
        name = format_spec.rstrip("0123456789")
        if name in WITH_DIGITS:
            return WITH_DIGITS[name](value, int(format_spec[len(name) :]))
        return super().format_field(value, format_spec)


@final
class Sentences:
    """The templates of one page, from the ``sentences.toml`` beside a file of its room.

    Attributes:
        words: The table ``[words]``, each with its meaning. cases: The other tables' templates,
            by ``table.case``.
    """

    def __init__(self, file: str):
        path = Path(file).with_name("sentences.toml")
        found = tomllib.loads(path.read_text(encoding="utf-8"))
        self.words = [(word, Markup(text)) for word, text in found.pop("words", {}).items()]
        tables = found.items()
        self.cases = {f"{name}.{case}": text for name, of in tables for case, text in of.items()}

    def all_of(self, table: str, word: str, **data: Any) -> list[str]:
        """Every sentence of a table whose case is ``word`` or begins with ``word_``, in order."""
        cases = (c for c in self.cases if f"{c}_".startswith(f"{table}.{word}_"))
        return [self(case, **data) for case in cases]

    def __call__(self, case: str, /, **data: Any) -> Sentence:
        """The sentence of a case; raises KeyError for an unknown case or a missing value."""
        text = Sentence(_Formatter().vformat(self.cases[case], (), data))
        text.case, text.data = case, data
        return text
