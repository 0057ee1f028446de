"""What a worker process does with work that is sent to it, and what it sends back."""

from __future__ import annotations

import pickle
import platform
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from ..results import RunError, UsageError, versions

# What of torch's global state decides the bits of a result.
STATE: tuple[tuple[Callable[[], Any], Callable[[Any], None]], ...] = (
    (torch.get_num_threads, torch.set_num_threads),
    (torch.get_default_dtype, torch.set_default_dtype),
    (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    (torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode),
)


@dataclass(frozen=True)
class Sent:
    """A function of a task, with what it needs to give the same bits in another process."""

    measure: Callable[[Any], Any]
    state: tuple[Any, ...] = field(default_factory=lambda: tuple(get() for get, _ in STATE))
    versions: dict[str, str] = field(default_factory=versions)


@dataclass(frozen=True)
class Warned:
    """A warning that was given in a worker."""

    message: Warning
    file: str
    line: int


@dataclass(frozen=True)
class Outcome:
    """What became of a task: its value, or what it raised; a lost worker sends none back.

    The value comes pickled: one that cannot be sent is the task's fault, no lost worker's.
    """

    task: int
    value: bytes = b""
    warned: tuple[Warned, ...] = ()
    error: Exception | None = None


_turn = threading.Lock()  # threads of one worker take turns: they share the model
_held: dict[str, Sent] = {}  # what was sent last, by name


def outcome(packed: np.ndarray, name: str, at: int, task: Any) -> Outcome:
    """One task of the work that was sent, in a worker.

    Args:
        packed: A ``Sent``, pickled, as bytes: the same for all tasks, unpickled once.
        name: Its name.
        at: Number of the task.
        task: What is measured.
    """
    with _turn, warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            from ._pickled import pickled

            sent = _received(packed, name)
            with _set(sent.state):
                value, error = pickled(sent.measure(task)), None
        except Exception as raised:
            value, error = b"", _sendable(raised, RunError)
    warned = tuple(
        Warned(_sendable(w.message, w.category), w.filename, w.lineno)
        for w in seen
        if isinstance(w.message, Warning)
    )
    return Outcome(at, value, warned, error)


def _received(packed: np.ndarray, name: str) -> Sent:
    if name not in _held:
        _held.clear()
        try:
            sent: Sent = pickle.loads(packed.data)
        except (ImportError, AttributeError) as error:
            raise UsageError(
                f"the network cannot be read in a worker process on {platform.node()} "
                f"({type(error).__name__}: {error}); make its code importable there, or call "
                "cloudpickle.register_pickle_by_value(module) first."
            ) from error
        mine = versions()
        for package, version in sent.versions.items():
            if mine[package] != version:
                raise UsageError(
                    f"workers must have the versions of this process, got {package} "
                    f"{mine[package]} on {platform.node()} in place of {version}; install the "
                    "same there."
                )
        _held[name] = sent
    return _held[name]


@contextmanager
def _set(state: tuple[Any, ...]) -> Iterator[None]:
    before = tuple(get() for get, _ in STATE)
    try:
        for (_, put), value in zip(STATE, state, strict=True):
            put(value)
        yield
    finally:
        for (_, put), value in zip(STATE, before, strict=True):
            put(value)


def _sendable(what: Any, otherwise: type) -> Any:
    """An exception that another process can read: itself, or its text as another one."""
    try:
        pickle.loads(pickle.dumps(what))
        return what
    except Exception:
        return otherwise(f"{type(what).__name__}: {what}")
