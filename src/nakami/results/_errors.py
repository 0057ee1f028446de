"""The wording of errors, kept in one place so that every message has the same shape.

A message says which argument broke which rule, what came instead, and what to type:
``k must lie between 1 and 784, got 900; pass a smaller k.`` Where a text names another argument it
writes ``{memory_budget}``: Python shows the name, the command line its option; of
``{tol}=1e-4`` and ``{dtype}='float64'`` it shows ``--tol 1e-4`` and ``--dtype float64``.
"""

from __future__ import annotations

import difflib
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

MUST = "{argument} must {rule}, got {got}; {way_out}."
UNKNOWN = "{argument} {got} is unknown; {way_out}."
PLACE = re.compile(r"\{([a-z_]+)\}")
GIVEN = re.compile(PLACE.pattern + r"(?:=(?:'([\w.:-]+)'|(?=[\w\[-])))?")  # a place with its value
LONGEST = 400  # characters of what came
SHORT = 60  # likewise of arrays and lists, which are else told by type and size
PACKAGE = __name__.partition(".")[0]
PYTHON = "{python}"  # begins a way out that only a program can take, no command line
COMMAND_LINE = "{command_line}"  # likewise of the command line alone


def _own_name(argument: str) -> str | None:
    return {"python": "", "command_line": None}.get(argument, argument)


def _in_a_line(got: object) -> str:
    """What came, as a part of a sentence: of arrays and long lists what they are."""
    shape, kind, text = getattr(got, "shape", None), type(got).__name__, str(got)
    if hasattr(got, "dtype") and isinstance(shape, tuple) and len(text) > SHORT:
        return f"{kind} of {got.dtype}, shape {tuple(shape)}"
    if isinstance(got, (list, tuple, dict, set)) and len(text) > SHORT:
        return f"{kind} of {len(got)}"
    text = " ".join(text.split()) if "\n" in text else text
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


class Worded(Exception):
    """A message whose parts are kept apart, so that the command line can word it for its options.

    Attributes:
        form: The sentence, with places for the parts and for arguments that it names.
        argument: Name of the argument, as the function has it.
        rule: What it must do. got: what came instead, as text.
        way_out: What to type, one entry for each possibility.
    """

    def __init__(
        self,
        form: str,
        *,
        argument: str = "",
        rule: str = "",
        got: object = "",
        way_out: str | Iterable[str] = (),
    ):
        self.form, self.argument, self.rule, self.got = form, argument, rule, _in_a_line(got)
        self.way_out = (way_out,) if isinstance(way_out, str) else tuple(way_out)
        super().__init__(self.worded())

    def worded(self, name_of: Callable[[str], str | None] = _own_name, otherwise: str = "") -> str:
        """The sentence, with the names that ``name_of`` has for arguments.

        Args:
            name_of: A name, or None where the reader has no such argument: ways out that name it
                are left out.
            otherwise: The way out where none is left.
        """

        def named(match: re.Match[str]) -> str:
            name = name_of(match[1])
            rest = match[0].partition("}")[2] if match.re is GIVEN else ""
            if name is not None and name.startswith("--") and rest:
                rest = f" {match[2] or ''}"
            return (match[1] if name is None else name) + rest

        ways = [way for way in self.way_out if None not in map(name_of, PLACE.findall(way))]
        ways = [GIVEN.sub(named, way) for way in ways] or [otherwise]
        first, last = ", ".join(ways[:-1]), ways[-1]
        both = "; " if self.form == UNKNOWN else " or "
        parts = {
            "argument": PLACE.sub(named, name_of(self.argument) or self.argument),
            "rule": PLACE.sub(named, self.rule),
            "got": self.got,
            "way_out": f"{first}{both}{last}" if first else last,
        }
        return GIVEN.sub(
            lambda m: parts[m[1]] + m[0].partition("}")[2] if m[1] in parts else named(m), self.form
        )


class UsageError(Worded, ValueError):
    """Wrong use: the caller can correct it. The command line ends with exit code 2."""


class UsageTypeError(UsageError, TypeError):
    """Wrong use of a type; also a ``TypeError``."""


class RunError(Worded, RuntimeError):
    """The work could not go on for a reason outside the arguments (full disk, NaN in a product)."""


class NakamiWarning(Worded, UserWarning):
    """A result that is given but should not be trusted blindly.

    Attributes:
        topic: Of warnings of one topic that several processes give, one is shown.
    """

    topic = ""


class NotConvergedWarning(NakamiWarning):
    """Some returned singular value has not reached its tolerance."""


def warn(warning: NakamiWarning | str, topic: str = "") -> None:
    """Give a warning at the line outside this package that led to it; a text is a NakamiWarning."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == PACKAGE:
        level, frame = level + 1, frame.f_back
    given = NakamiWarning(warning) if isinstance(warning, str) else warning
    given.topic = topic or given.topic
    warnings.warn(given, stacklevel=level)


@contextmanager
def named_as(own: str, given: str, **others: str) -> Iterator[None]:
    """Within it, errors about the argument ``own`` of an inner function name the caller's.

    ``others`` are more names of both; an error about one may speak of all.
    """
    names = {own: given, **others}
    try:
        yield
    except Worded as error:
        if error.argument not in names:
            raise
        any_name = "|".join(names)
        word = rf"(?<![\w/\\.-])({any_name})(?![\w/\\-])"  # not as a part of a path
        ways = [re.sub(word, lambda m: names[m[1]], w) for w in error.way_out]
        rule = re.sub(rf"{{({any_name})}}", lambda m: f"{{{names[m[1]]}}}", error.rule)
        raise type(error)(
            error.form, argument=names[error.argument], rule=rule, got=error.got, way_out=ways
        ) from error


def wrong(argument: str, rule: str, got: object, way_out: str | Iterable[str]) -> UsageError:
    """One sentence, ``{argument} must {rule}, got {got}; {way_out}.``, as an error.

    Args:
        argument: Its name in the function that was called.
        rule: What it must do.
        got: What came; shown as it is.
        way_out: What to type, several possibilities as a list. ``{name}`` stands for another
            argument; a way that begins with ``PYTHON`` is for programs alone, one with
            ``COMMAND_LINE`` for the command line alone.
    """
    return UsageError(MUST, argument=argument, rule=rule, got=got, way_out=way_out)


def wrong_type(
    argument: str, rule: str, got: object, way_out: str | Iterable[str]
) -> UsageTypeError:
    """As ``wrong``, for an argument of the wrong type."""
    return UsageTypeError(MUST, argument=argument, rule=rule, got=got, way_out=way_out)


def unknown(argument: str, name: object, known: Iterable[str], way_out: str = "") -> UsageError:
    """An unknown name, answered with the nearest known ones (at most five).

    Args:
        argument: Its name in the function that was called.
        name: What came.
        known: All that could.
        way_out: What else to type, as for ``wrong``.
    """
    known = list(known)
    near = difflib.get_close_matches(str(name), known, n=5, cutoff=0.4) or known[:5]
    more = f" of {len(known)}" if len(known) > len(near) else ""
    ways = [f"nearest{more}: {', '.join(map(repr, near))}", *([way_out] if way_out else [])]
    return UsageError(UNKNOWN, argument=argument, rule="be known", got=repr(name), way_out=ways)
