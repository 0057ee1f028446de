"""Independent tasks, in this process or over the processes and machines that joblib was given."""

from __future__ import annotations

import pickle
import sys
import time
import uuid
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np
import torch

from ..results import NakamiWarning, RunError, warn, wrong
from ._backends import lost, outcomes
from ._worker import Outcome, Sent, Warned

T = TypeVar("T")
R = TypeVar("R")

TRIES = 3  # times in a row that workers may be lost without one finished task
PAUSE = 1.0  # seconds, in which a backend can start others


def workers() -> int:
    """How many workers joblib was told to use; 0 for none, where all is done in this process.

    Raises:
        UsageError: It was told to use threads, or no number of them.
    """
    parallel = sys.modules.get("joblib.parallel")
    if parallel is None:  # nobody can have told it anything
        return 0
    backend, jobs = parallel.get_active_backend()
    name = _name(backend)
    if name == "sequential" or (name in ("loky", "threading") and jobs in (None, 1)):
        return 0
    given = backend.default_n_jobs if jobs is None else jobs
    if isinstance(given, bool) or not isinstance(given, int) or given == 0:
        way_out = "write joblib.parallel_config(n_jobs=2); -1 means one for each core"
        raise wrong("n_jobs", "be a number of processes", repr(given), way_out)
    if name in ("threading", "multiprocessing"):
        way_out = "write joblib.parallel_config('loky', n_jobs=2)"
        raise wrong("backend", "start processes of its own", repr(name), way_out)
    count: int = backend.effective_n_jobs(given)
    return 0 if name == "loky" and count == 1 else count


def spread(measure: Callable[[T], R], tasks: Sequence[T]) -> Iterator[tuple[T, R]]:
    """Each task with what ``measure`` makes of it, as soon as it is done, in any order.

    Inside ``joblib.parallel_config`` tasks run in its workers, to which ``measure`` is sent once.
    Torch computes there with as many threads as here, so that the numbers are the same. What a lost
    worker had in hand is done again. Warnings of workers are given here, each once.

    Args:
        measure: Gives the same for a task in whatever process and order; it holds the model.
        tasks: What it takes, each small.

    Raises:
        UsageError: ``measure`` cannot be sent to another process.
        RunError: Workers were lost three times in a row.
        Exception: What ``measure`` raised, or joblib's backend for another reason, as it was.
    """
    count = min(workers(), len(tasks)) if len(tasks) > 1 else 0
    if count == 0:
        yield from ((task, measure(task)) for task in tasks)
        return
    _check_cores(count)
    packed, name, said = _packed(Sent(measure)), uuid.uuid4().hex, set[str]()
    left, losses = dict(enumerate(tasks)), 0
    while left:
        coming = outcomes(packed, name, dict(left), count)
        try:
            while (done := _next(coming)) is not None:
                losses = 0
                yield left.pop(done.task), pickle.loads(done.value)
                for warned in done.warned:
                    _pass_on(warned, said)
        except _Lost as error:
            losses += 1
            if losses == TRIES:
                raise _given_up(error, len(left)) from error.__cause__
            time.sleep(PAUSE * losses)


class _Lost(Exception):
    """A worker ended before its task did, or cannot be reached."""


def _next(coming: Iterator[Outcome]) -> Outcome | None:
    try:
        done = next(coming, None)
    except Exception as error:  # what tasks raise comes back as a value
        if not lost(error):
            raise
        first = str(error).strip().partition("\n")[0]
        raise _Lost(f"{type(error).__name__}: {first}") from error
    if done is not None and done.error is not None:
        raise done.error
    return done


def _packed(sent: Sent) -> np.ndarray:
    """As an array, which joblib's backends send to each worker once (mapped, or scattered)."""
    try:
        from ._pickled import pickled
    except ModuleNotFoundError as error:
        way_out = "pip install 'nakami[spread]' adds it"
        raise wrong("n_jobs", "find cloudpickle installed", error, way_out) from error
    try:
        return np.frombuffer(pickled(sent), dtype=np.uint8)
    except Exception as error:
        raise wrong(
            "model",
            "be picklable, to be sent to other processes",
            f"{type(error).__name__} ({error})",
            ["take out what cannot be sent (locks, open files, generators)", "use one process"],
        ) from error


def _pass_on(warned: Warned, said: set[str]) -> None:
    topic = getattr(warned.message, "topic", "") or str(warned.message)
    if topic in said:
        return
    said.add(topic)
    if isinstance(warned.message, NakamiWarning):
        warn(warned.message)
    else:
        category = type(warned.message)
        warnings.warn_explicit(warned.message, category, warned.file, warned.line)


def _check_cores(count: int) -> None:
    from joblib import cpu_count, parallel

    here = _name(parallel.get_active_backend()[0]) == "loky"
    threads, cores = torch.get_num_threads(), cpu_count()
    if here and count * threads > max(cores, count):
        warn(
            f"{count} processes of {threads} threads each share {cores} cores; with "
            "OMP_NUM_THREADS=1 in the environment each has one thread (a run goes on with the "
            "number that it began with)."
        )


def _given_up(error: _Lost, left: int) -> RunError:
    return RunError(
        f"workers were lost {TRIES} times in a row before they finished anything, with {left} "
        f"tasks left (last: {error}); what is finished is kept, the same call continues it, with "
        "fewer jobs if memory ran out."
    )


def _name(backend: object) -> str:
    return type(backend).__name__.removesuffix("Backend").lower()
