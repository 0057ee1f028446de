"""From exceptions to exit codes: 0 done, 2 wrong use, 1 anything else, 130 interrupted."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import NoReturn

import typer

from nakami.results import UsageError, Worded

from ._app import app
from ._command import running

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
    running.set(None)
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
        next_step = "start the same command again"
        if _goes_on():
            next_step = "what is finished is kept, the same command continues it"
        typer.echo(f"nakami: interrupted; {next_step}.", err=True)
    return code if isinstance(code, int) else 0


def _explain(error: Exception) -> tuple[int, str]:
    if type(error).__name__ == "Abort":  # what click makes of Ctrl-C
        return INTERRUPTED, ""
    if hasattr(error, "format_message"):  # typer's own, whichever click it carries
        text = " ".join(error.format_message().split()).rstrip(".")
        text += "" if text.endswith("?") else ";"
        return WRONG_USE, f"{text} `nakami {_command(error)}--help` lists what there is."
    if isinstance(error, Worded):
        return WRONG_USE if isinstance(error, UsageError) else FAILED, in_options(error)
    kept = "finished pieces are kept, " if _goes_on() else ""
    return FAILED, f"stopped by {one_line(error)}; {kept}NAKAMI_TRACEBACK=1 shows where."


def _goes_on() -> bool:
    command = running.get()
    return command is not None and command.goes_on


def in_options(message: Worded) -> str:
    """A message of the library with the running command's options for its arguments."""
    command = running.get()
    options = command.options() if command is not None else {}
    return message.worded(options.get, "the same command with --help lists what there is")


def one_line(error: BaseException, limit: int = 300) -> str:
    """Type and first line of a foreign error, for use inside a sentence."""
    lines = str(error).strip().splitlines()
    text = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    return (text if len(text) <= limit else text[: limit - 3] + "...").rstrip(".")


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
    if isinstance(message, Worded):
        typer.echo(f"note: {in_options(message)}", err=True)
    else:
        text = warnings.formatwarning(message, category, filename, lineno, line)
        sys.stderr.write(text)
