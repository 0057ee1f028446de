"""What long work says while it goes on, to whoever listens; by default nobody does.

Work says so at what all of it is made of: products of operators, runs of a network, looks of an
iteration at its values or at its error, pieces counted for a ``Progress``.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from typing import ParamSpec, SupportsFloat, TypeVar

from ._callables import check_callable
from ._counted import counted
from ._errors import wrong

P = ParamSpec("P")
R = TypeVar("R")


@dataclass
class _Work:
    """A piece of work: its name; where it is in its own words, else what it made and saw."""

    name: str
    words: str = ""
    products: int = 0
    residual: float | None = None
    steps: int = 0
    error: float | None = None

    def __str__(self) -> str:
        if self.words:
            return self.words
        parts = [self.name] if self.name else []
        if self.products:
            parts.append(counted(self.products, "product"))
        if self.residual is not None:
            parts.append(f"largest relative residual {self.residual:.1e}")
        if self.steps:
            parts.append(counted(self.steps, "step"))
        if self.error is not None:
            parts.append(f"error {self.error:.1e}")
        return ", ".join(parts)


class _Listener:
    """Puts what is said into lines, one at a time.

    Args:
        tell: Called with each line. every: Seconds between lines, at least.
    """

    def __init__(self, tell: Callable[[str], None], every: float):
        self.tell, self.every, self.works = tell, every, [_Work("")]
        self.inside = 0  # products in products: the outermost is the one that counts
        self.began = time.monotonic()
        self.next = self.began + every

    def tick(self) -> None:
        """A moment at which a line may be told."""
        now = time.monotonic()
        if now < self.next:
            return
        said = "; ".join(text for text in map(str, self.works) if text)
        self.tell(f"{said or 'at work'} ({duration(now - self.began)})")
        self.next = time.monotonic() + self.every

    @contextmanager
    def work(self, name: str) -> Iterator[None]:
        depth, inside = len(self.works), self.inside
        self.works.append(_Work(name))
        self.inside = 0
        try:
            yield
        finally:
            del self.works[depth:]
            self.inside = inside

    @contextmanager
    def product(self, columns: int) -> Iterator[None]:
        self.inside += 1
        try:
            yield
            if self.inside == 1:
                self.works[-1].products += columns
        finally:
            self.inside -= 1
        self.tick()


_listener: ContextVar[_Listener | None] = ContextVar("listener", default=None)


@contextmanager
def progress(tell: Callable[[str], None] | None = None, *, every: float = 5.0) -> Iterator[None]:
    """Say how far long work is, in a line now and then, while the block runs.

    >>> import nakami
    >>> with nakami.progress():
    ...     pass  # nakami.learning_rate(model, data, loss), nakami.svd(op, 100), ...

    A line says where the work is, how many products it has made so far (columns multiplied), the
    largest residual of the values wanted, each relative to its value, as an iteration last saw it,
    and the time since the block began: ``limit 0.186: 3 of 13; eigh, 11 products, largest relative
    residual 3.2e-02 (1 min 5 s)``. Of an iteration that makes steps it says how many, and the error
    that it stops by: ``sinkhorn; reg 0.001, 240 steps, error 3.2e-02``. What is computed stays the
    same, to the last bit.

    Args:
        tell: Called with each line; default: print it on standard error.
        every: Seconds between lines, at least, and before the first. A line comes after a product,
            a run of the network or a step, so that one which takes longer is waited for.

    Of blocks inside each other the innermost hears. A block hears its own thread alone.

    Raises:
        UsageError: ``tell`` is no function, ``every`` is negative or no number.
    """
    check_callable("tell", tell, "tell(line)")
    given: object = every
    if isinstance(given, bool) or not isinstance(given, (int, float)) or not given >= 0:
        raise wrong("every", "be seconds, from 0 on", repr(given), "use 5.0")
    token = _listener.set(_Listener(tell or _printed, float(every)))
    try:
        yield
    finally:
        _listener.reset(token)


def _printed(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def tick() -> None:
    """Say that work goes on."""
    listener = _listener.get()
    if listener is not None:
        listener.tick()


def product(columns: int) -> AbstractContextManager[None]:
    """A product of an operator with so many columns, made inside."""
    listener = _listener.get()
    return nullcontext() if listener is None else listener.product(columns)


def looked(residual: float) -> None:
    """An iteration has looked at its values: the largest residual, each relative to its value."""
    listener = _listener.get()
    if listener is not None:
        listener.works[-1].residual = residual
        listener.tick()


def stepped(steps: int, error: Callable[[], SupportsFloat] | None = None) -> None:
    """An iteration has made so many steps; ``error``, where it has just looked, is what it ends by.

    It is called only if somebody listens.
    """
    listener = _listener.get()
    if listener is not None:
        work = listener.works[-1]
        work.steps, work.error = steps, work.error if error is None else float(error())
        listener.tick()


def part(name: str) -> AbstractContextManager[None]:
    """What is said inside stands under this name, behind what was said before."""
    listener = _listener.get()
    return nullcontext() if listener is None else listener.work(name)


def said(words: str) -> None:
    """Where the work is, in its own words."""
    listener = _listener.get()
    if listener is not None:
        listener.works[-1].words = words
        listener.tick()


def each(count: int, what: str) -> Iterator[int]:
    """``range(count)``; after each says how many are done, with what they are, where it is many."""
    for done in range(count):
        yield done
        if count > 1:
            said(f"{what}: {done + 1:,} of {count:,}")
        else:
            tick()


def duration(seconds: float) -> str:
    """``8 s``, ``3 min 20 s``, ``2 h 5 min``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def told(function: Callable[P, R]) -> Callable[P, R]:
    """The function; what it says while it runs stands under its name."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        listener = _listener.get()
        if listener is None:
            return function(*args, **kwargs)
        with listener.work(function.__name__):
            return function(*args, **kwargs)

    return run
