"""Tasks given to joblib's backends, and what these raise where a worker is lost."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np

from ..results import without_ctrl_c
from ._worker import Outcome, outcome

ROUND = 4  # tasks for each worker, where a backend gives results back together
LOST = {  # names of exceptions, or of their base classes
    "TerminatedWorkerError",  # loky
    "KilledWorker",  # Dask, and the next two
    "CommClosedError",
    "CancelledError",  # what a task was sent is gone, with the workers that had it
    "WorkerCrashedError",  # Ray, and all that follow
    "RayActorError",
    "NodeDiedError",
    "LocalRayletDiedError",
    "ObjectLostError",
    "OutOfMemoryError",
}


def lost(error: Exception) -> bool:
    """Whether a backend raised this because a worker ended, or cannot be reached."""
    names = {base.__name__ for base in type(error).__mro__}
    if "Py4JJavaError" in names:  # any failure of a job of Spark
        return "PythonException" not in str(error)
    return bool(names & LOST)


def outcomes(packed: np.ndarray, name: str, tasks: dict[int, Any], count: int) -> Iterator[Outcome]:
    """What became of each task, as soon as the active backend has it.

    Args:
        packed: As for ``outcome``.
        name: As for ``outcome``.
        tasks: By number.
        count: How many workers.
    """
    from joblib import Parallel, delayed
    from joblib.parallel import get_active_backend

    backend, _ = get_active_backend()
    if hasattr(backend, "client"):
        yield from _of_dask(backend, packed, name, tasks)
        return
    calls = (delayed(outcome)(packed, name, at, task) for at, task in tasks.items())
    try:
        parallel = Parallel(n_jobs=count, return_as="generator_unordered")
    except ValueError:  # this backend gives results back together
        parallel = Parallel(n_jobs=count)
        while some := list(islice(calls, ROUND * count)):
            yield from parallel(some)
    else:
        with without_ctrl_c():
            coming = parallel(calls)  # workers begin
        yield from coming


def _of_dask(
    backend: Any, packed: np.ndarray, name: str, tasks: dict[int, Any]
) -> Iterator[Outcome]:
    """By Dask's client itself: joblib 1.6.0 waits for ever for a task that Dask has given up."""
    from distributed import as_completed

    client, given = backend.client, {"pure": False, **backend.submit_kwargs}
    with backend.retrieval_context():
        there = client.scatter(packed, hash=False)
        sent = [client.submit(outcome, there, name, at, tasks[at], **given) for at in tasks]
        waiting = as_completed(sent)
        del sent  # results are freed as they are read
        for future in waiting:
            yield future.result()
