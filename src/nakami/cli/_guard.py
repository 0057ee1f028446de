"""From exceptions to exit codes: 0 done, 2 wrong use, 1 anything else, 130 interrupted."""

from __future__ import annotations

import os
import re
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import NoReturn

import typer

from ._app import app
from ._words import one_line

# The library names its arguments; here they are options.
OPTIONS = {
    **{
        name: f"--{name}"
        for name in ("device", "dtype", "key", "labels", "layers", "mode", "normalise")
    },
    **{name: f"--{name}" for name in ("out", "seed", "size", "stages", "tol", "weights")},
    **{name: f"--{name}" for name in ("activation", "loss", "optimizer", "samples", "start")},
    **{name: f"--{name.replace('_', '-')}" for name in ("bias_variance", "weight_variance")},
    **{name: f"--{name}" for name in ("biases", "directions", "method", "probes")},
    "data": "--data",
    "inputs": "--data",
    "k": "--top",
    "memory_budget": "--memory-budget",
    "n_inputs": "--inputs",
    "stage": "--stages",
    "widths": "--widths",
    "x": "--data",
}
WAYS_OUT = ("k", "memory_budget", "n_inputs")  # names that are no words of an English sentence
PHRASES = {
    "another out,": "another --out,",
    "with key=": "with --key",
    "with labels=": "with --labels",
    "reshape them, or the outputs with forward=": "store them so",
    "or pass a torch loss module": "`nakami lr --help` lists them",
    "or pass a torch optimizer": "`nakami lr --help` lists them",
}
WRONG_USE, FAILED, INTERRUPTED = 2, 1, 130


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave with its exit code.

    Args:
        arguments: What follows the command's name; None takes ``sys.argv``.

    Raises:
        SystemExit: Always. Errors are one sentence on standard error; with ``NAKAMI_TRACEBACK=1``
            in the environment the traceback stands before it.
    """
    # Before torch loads: threads that spin while they wait made a busy machine 100 times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        raise SystemExit(_guarded(arguments))


def _guarded(arguments: Sequence[str] | None) -> int:
    try:
        code = app(args=arguments, prog_name="nakami", standalone_mode=False)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Exception as error:
        code, sentence = _explain(error)
        if code != INTERRUPTED:
            if os.environ.get("NAKAMI_TRACEBACK", "0") not in ("", "0"):
                traceback.print_exc()
            typer.echo(f"nakami: {sentence}", err=True)
    if code == INTERRUPTED:
        typer.echo(
            "nakami: interrupted; what is finished is kept, the same command continues it.",
            err=True,
        )
    return code if isinstance(code, int) else 0


def _explain(error: Exception) -> tuple[int, str]:
    if type(error).__name__ == "Abort":  # what click makes of Ctrl-C
        return INTERRUPTED, ""
    if hasattr(error, "format_message"):  # typer's own, whichever click it carries
        text = " ".join(error.format_message().split()).rstrip(".")
        text += "" if text.endswith("?") else ";"
        return WRONG_USE, f"{text} `nakami {_command(error)}--help` lists what there is."
    from nakami.results import RunError, UsageError

    if isinstance(error, UsageError):
        return WRONG_USE, in_options(str(error))
    if isinstance(error, RunError):
        return FAILED, str(error)
    what = one_line(error)
    return FAILED, f"stopped by {what}; finished pieces are kept, NAKAMI_TRACEBACK=1 shows where."


def in_options(sentence: str) -> str:
    """A sentence of the library with the option's name where it has the argument's.

    Its first word, where ``must`` or a quoted name follows, and what its way out calls to change.
    """
    first, space, rest = sentence.partition(" ")
    if rest.startswith(("must ", "'")):
        sentence = OPTIONS.get(first, first) + space + rest
    body, mark, way_out = sentence.rpartition("; ")
    if not mark:
        return sentence
    names = "|".join(WAYS_OUT)
    way_out = re.sub(rf"(?<![\w/.-])({names})(?![\w/-])", lambda m: OPTIONS[m[0]], way_out)
    for said, heard in PHRASES.items():
        way_out = way_out.replace(said, heard)
    return body + mark + way_out


def _command(error: Exception) -> str:
    context = getattr(error, "ctx", None)
    path = getattr(context, "command_path", None) or ""
    name = path.removeprefix("nakami").strip()
    return f"{name} " if name else ""


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: object = None,
    line: str | None = None,
) -> None:
    if category.__module__.startswith("nakami."):
        typer.echo(f"note: {in_options(str(message))}", err=True)
    else:
        text = warnings.formatwarning(message, category, filename, lineno, line)
        sys.stderr.write(text)
