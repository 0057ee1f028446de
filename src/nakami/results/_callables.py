"""Functions of the caller's: how they are called, and what is said when one of them fails."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from ._errors import UsageError, wrong_type

RAISED = "{argument} raised {got}; {way_out}."


def check_callable(argument: str, value: object, form: str, way_out: str = "") -> None:
    """Refuse what is neither None nor callable as ``form`` shows, ``"select(output)"``.

    ``way_out``: What to pass in the place of a function of other arguments.
    """
    if value is None:
        return
    rule, arguments = f"be a function, called as {form}", form.partition("(")[2].rstrip(")")
    if not callable(value):
        raise wrong_type(argument, rule, repr(value), f"leave {argument} out, or pass a function")
    if not takes_arguments(value, arguments.count(",") + 1):
        way_out = way_out or f"pass a function of ({arguments})"
        raise wrong_type(argument, rule, shown_call(value), way_out)


def takes_arguments(function: Callable[..., Any], count: int) -> bool:
    """Whether it takes so many arguments by their place; True where that cannot be seen."""
    signature = _signature(function)
    try:
        _ = signature is None or signature.bind(*range(count))
    except TypeError:
        return False
    return True


def needed_arguments(function: Callable[..., Any]) -> list[str]:
    """The arguments by place that have no default; none where that cannot be seen."""
    signature = _signature(function)
    by_place = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    every = [] if signature is None else signature.parameters.values()
    return [p.name for p in every if p.default is p.empty and p.kind in by_place]


def shown_call(function: Callable[..., Any]) -> str:
    """Its name, with the arguments that it needs, and those that take any number."""
    signature = _signature(function)
    every = [] if signature is None else signature.parameters.values()
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    more = [stars[each.kind] + each.name for each in every if each.kind in stars]
    return f"{function_name(function)}({', '.join([*needed_arguments(function), *more])})"


def function_name(function: Callable[..., Any]) -> str:
    """Its name; a function without one has its type's."""
    name = getattr(function, "__name__", type(function).__name__)
    return "lambda" if name == "<lambda>" else str(name)


def raised(argument: str, error: Exception, where: str, way_out: str | list[str]) -> UsageError:
    """What a function of the caller's raised, in one sentence; raise it from ``error``.

    Args:
        argument: What it was passed as.
        error: What it raised.
        where: What it was called with.
        way_out: As for ``wrong``.
    """
    lines = str(error).strip().splitlines()
    said = f": {lines[0].rstrip('.')[:200]}" if lines else ""
    got = f"{type(error).__name__}{said} ({where})"
    return UsageError(RAISED, argument=argument, rule="run", got=got, way_out=way_out)


def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    """Of a module's ``forward``, whose own call takes anything."""
    call = getattr(function, "forward", function)
    try:
        return inspect.signature(call, follow_wrapped=False)
    except (TypeError, ValueError):
        return None
