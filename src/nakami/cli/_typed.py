"""Values that are no numbers, or lie outside an option's range: found by typer, in our words."""

from __future__ import annotations

from typing import Any

from nakami.results import UsageError, wrong

RULES = {  # by pydantic's names for what it refuses
    "int_parsing": "be a whole number",
    "int_parsing_size": "be a whole number",
    "float_parsing": "be a number",
    "greater_than_equal": "be at least {ge}",
    "less_than_equal": "be at most {le}",
}


def refused(error: Exception) -> UsageError | None:
    """A value that typer had pydantic check, with what to type instead; None for all else."""
    found: Any = getattr(error.__cause__, "errors", list)()
    option: Any = getattr(error, "param", None)
    if not found or option is None or found[0]["type"] not in RULES:
        return None
    rule = RULES[found[0]["type"]].format(**found[0].get("ctx", {}))
    name = option.opts[0]
    return wrong(name, rule, repr(found[0]["input"]), f"write {name} {_possible(option)}")


def _possible(option: Any) -> Any:
    """The usual value of an option, or one that it takes."""
    if option.default is not None:
        return option.default
    usual = 2 if option.min is None else max(2, option.min)
    return usual if option.max is None else min(usual, option.max)
