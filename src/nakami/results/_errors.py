"""The wording of errors, kept in one place so that every message has the same shape.

A message says which argument broke which rule, what came instead, and the way out:
``k must lie between 1 and 784, got 900; pass a smaller k.``
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UsageError(ValueError):
    """Wrong use: the caller can mend it. The command line ends with exit code 2."""


class UsageTypeError(UsageError, TypeError):
    """Wrong use of a type; also a ``TypeError``."""


class RunError(RuntimeError):
    """The work could not go on for a reason outside the arguments (full disk, NaN in a product)."""


class NakamiWarning(UserWarning):
    """A result that is given but should not be trusted blindly."""


class NotConvergedWarning(NakamiWarning):
    """Some returned singular value has not reached its tolerance."""


def wrong(argument: str, rule: str, got: object, way_out: str) -> UsageError:
    """One sentence, ``{argument} must {rule}, got {got}; {way_out}.``, as an error."""
    return UsageError(_sentence(argument, rule, got, way_out))


def wrong_type(argument: str, rule: str, got: object, way_out: str) -> UsageTypeError:
    """As ``wrong``, for an argument of the wrong type."""
    return UsageTypeError(_sentence(argument, rule, got, way_out))


def unknown(argument: str, name: str, known: Iterable[str], way_out: str = "") -> UsageError:
    """An unknown name, answered with the nearest known ones (at most five)."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=5, cutoff=0.4) or known[:5]
    offer = ", ".join(repr(n) for n in near)
    more = f" of {len(known)}" if len(known) > len(near) else ""
    tail = f"; {way_out}" if way_out else ""
    return UsageError(f"{argument} {name!r} is unknown; nearest{more}: {offer}{tail}.")


def check_callable(argument: str, value: object, form: str) -> None:
    """Refuse what is neither None nor callable; ``form`` shows how it is called."""
    if value is not None and not callable(value):
        raise wrong_type(argument, f"be a function, called as {form}", repr(value), "leave it out")


def _sentence(argument: str, rule: str, got: object, way_out: str) -> str:
    return f"{argument} must {rule}, got {got}; {way_out}."
