"""How far the work is: a bar on a terminal, a line now and then elsewhere; on standard error."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING

import typer

from nakami.results import duration, piece
from nakami.results import progress as listening

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

SECONDS_BEFORE_LINES, SECONDS_BETWEEN_LINES = 5.0, 15.0
SECONDS_BETWEEN_LOOKS = 1.0  # at what the work says between its pieces


class Meter:
    """Callable as ``progress(done, total, seconds_left, what)``; use as a context manager.

    Between two such calls it shows what the work says of itself.
    """

    def __init__(self) -> None:
        self._bar: Progress | None = None
        self._open = ExitStack()
        self._task: TaskID | None = None
        self._next = time.monotonic() + SECONDS_BEFORE_LINES

    def __enter__(self) -> Meter:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

            left = TextColumn("{task.fields[left]}")
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), left)
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._bar.start()
        self._open.enter_context(listening(self._between, every=SECONDS_BETWEEN_LOOKS))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()
        if self._bar is not None:
            self._bar.stop()

    def say(self, sentence: str) -> None:
        """A line that stays."""
        if self._bar is not None:
            self._bar.console.print(sentence, markup=False, highlight=False)
        else:
            self._next = time.monotonic() + SECONDS_BETWEEN_LINES  # the progress says it, too
            typer.echo(sentence, err=True)

    def __call__(self, done: int, total: int, seconds_left: float | None, what: str) -> None:
        if self._bar is not None:
            left = "" if seconds_left is None or done >= total else f"{duration(seconds_left)} left"
            if self._task is None:
                self._task = self._bar.add_task(what, total=total, left=left)
            self._bar.update(self._task, description=what, completed=done, total=total, left=left)
        else:
            self._line(piece(done, total, seconds_left, what))

    def _between(self, line: str) -> None:
        if self._bar is None:
            self._line(line)
        elif self._task is None:
            self._task = self._bar.add_task(line, total=None, left="")
        else:
            self._bar.update(self._task, description=line)

    def _line(self, text: str) -> None:
        """A line, unless the last one is too near."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + SECONDS_BETWEEN_LINES
            typer.echo(text, err=True)
