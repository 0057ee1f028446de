"""From exceptions to exit codes: 0 done, 2 wrong use, 1 anything else, 130 interrupted."""

from __future__ import annotations

import atexit
import os
import re
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from nakami.results import UsageError, Worded

from ._typed import refused

if TYPE_CHECKING:
    from ._command import Command

WRONG_USE, FAILED, INTERRUPTED = 2, 1, 130
PREFIXES = ("", "k", "M", "G", "T", "P", "E")
TOGETHER = 1.0  # seconds between two Ctrl-C that count as one


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
    with _interrupts() as pressed, warnings.catch_warnings():
        warnings.showwarning = _show_warning
        raise SystemExit(_guarded(arguments, pressed))


def _guarded(arguments: Sequence[str] | None, pressed: list[float]) -> int:
    try:
        from ._app import command  # here, so that Ctrl-C is watched while it is imported
        from ._command import place, running

        running.set(None)
        place.set(None)
        code = command(args=arguments, prog_name="nakami", standalone_mode=False)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Exception as error:
        # an import that Ctrl-C cuts short may end in any error
        code, sentence = (INTERRUPTED, "") if pressed else _explain(error)
        if code != INTERRUPTED:
            if os.environ.get("NAKAMI_TRACEBACK", "0") not in ("", "0"):
                traceback.print_exc()
            _say(f"nakami: {sentence}")
    if code == INTERRUPTED:
        if pressed:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # for the rest of this process
        next_step = "start the same command again"
        if _goes_on():
            next_step = "what is finished is kept, the same command continues it"
            if not _kept():
                next_step = "nothing was finished yet, start the same command again"
        _say(f"nakami: interrupted; {next_step}.")
    return code if isinstance(code, int) else 0


@contextmanager
def _interrupts() -> Iterator[list[float]]:
    """When Ctrl-C was pressed; a second one right after the first is part of it."""
    pressed = list[float]()

    def press(number: int, frame: FrameType | None) -> None:
        pressed.append(time.monotonic())
        if len(pressed) == 1 or pressed[-1] - pressed[-2] > TOGETHER:
            raise KeyboardInterrupt

    def unraisable(lost: sys.UnraisableHookArgs) -> None:
        if issubclass(lost.exc_type, KeyboardInterrupt):  # in a destructor: press again, later
            pressed.clear()
            here = threading.main_thread().ident or 0
            threading.Timer(0.05, signal.pthread_kill, (here, signal.SIGINT)).start()
        else:
            usual(lost)

    def leave() -> None:
        """With this code also where Ctrl-C came in code made of a text, as dataclasses make it."""
        if pressed:
            sys.stdout.flush()
            os._exit(INTERRUPTED)

    usual, before = sys.unraisablehook, signal.getsignal(signal.SIGINT)
    watched = (
        before is signal.default_int_handler
        and threading.current_thread() is threading.main_thread()
    )
    if watched:
        signal.signal(signal.SIGINT, press)
        sys.unraisablehook = unraisable
        atexit.register(leave)  # before torch registers its own, so it runs after them
    try:
        yield pressed
    finally:
        if watched:
            sys.unraisablehook = usual
            if not pressed:
                signal.signal(signal.SIGINT, before)
                atexit.unregister(leave)


def _say(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")


def _explain(error: Exception) -> tuple[int, str]:
    if type(error).__name__ == "Abort":  # what click makes of Ctrl-C, and of an EOFError
        if not isinstance(error.__cause__, EOFError):
            return INTERRUPTED, ""
        error = error.__cause__
    error = refused(error) or error
    if hasattr(error, "format_message"):  # typer's own, whichever click it carries
        text = " ".join(error.format_message().split()).rstrip(".")
        text += "" if text.endswith("?") else ";"
        return WRONG_USE, f"{text} `nakami {_command(error)}--help` lists what there is."
    if isinstance(error, Worded):
        return WRONG_USE if isinstance(error, UsageError) else FAILED, in_options(error)
    kept = "finished pieces are kept, " if _goes_on() and _kept() else ""
    if wish := _unmet_wish(error):
        way_out = "take smaller sizes, fewer examples at once, or more memory"
        return FAILED, f"memory must hold what is asked for, got {wish}; {kept}{way_out}."
    return FAILED, f"stopped by {one_line(error)}; {kept}NAKAMI_TRACEBACK=1 shows where."


def _unmet_wish(error: Exception) -> str:
    """How much memory could not be had, empty if the error says something else."""
    said = str(error)
    by_name = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    if not by_name and not re.search("allocate memory|not enough memory|out of memory", said):
        return ""
    found = re.search(r"allocate ([\d.]+) ?([KMGTPE]?i?B|bytes)", said)
    if found is None:
        return "a wish for more"
    number, unit = found.groups()
    if unit == "bytes":
        thousands = min(len(PREFIXES) - 1, (len(number) - 1) // 3)
        number, unit = f"{int(number) / 1000**thousands:.3g}", f"{PREFIXES[thousands]}B"
    return f"a wish for {number} {unit} at once"


def _running() -> Command | None:
    """The command that was begun, if imports came so far."""
    module = sys.modules.get(f"{__package__}._command")
    return None if module is None else module.running.get()


def _goes_on() -> bool:
    command = _running()
    return command is not None and command.goes_on


def _kept() -> bool:
    """Whether a piece of the command's run, or of the training that it reads, is finished."""
    module = sys.modules.get(f"{__package__}._command")
    folder = None if module is None else module.place.get()
    if folder is None:
        return False
    with suppress(OSError):
        folders = (folder, *folder.parent.glob("weights*"))
        return any(next(each.glob("**/pieces/*/result.json"), None) for each in folders)
    return False


def in_options(message: Worded) -> str:
    """A message of the library with the running command's options for its arguments."""
    command = _running()
    options = {"command_line": "", **(command.options() if command is not None else {})}
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
        _say(f"note: {in_options(message)}")
    else:
        text = warnings.formatwarning(message, category, filename, lineno, line)
        sys.stderr.write(text)
