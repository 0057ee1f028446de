"""Processes and machines that a command spreads its work over: joblib's backends, set up."""

from __future__ import annotations

import logging
import math
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import typer

from nakami.results import unknown, without_ctrl_c, wrong

from ._exit_codes import one_line

if TYPE_CHECKING:
    from ._groups_spread import SpreadOptions

Backend = Callable[[int | None, str | None, ExitStack], dict[str, Any]]  # for parallel_config


WORTH = 15.0  # seconds of work from which processes are started unasked: each takes some 3
EACH = 1 << 30  # bytes of a process beside its spectrum: torch, and the network


def spread(asked: SpreadOptions) -> AbstractContextManager[None]:
    """Within it, what is measured is spread as asked; before it, nothing is started.

    Raises:
        UsageError: No number of jobs, an unknown backend, one that is not installed or not there.
    """
    if asked.jobs == 0 or (asked.jobs or 1) < -1:
        raise wrong("jobs", "be at least 1, or -1 for one on each core", asked.jobs, "use 2")
    name = asked.backend or "loky"
    if name not in BACKENDS:
        raise unknown("backend", name, BACKENDS)
    if asked.cluster is not None and name == "loky":
        way_out = "name what runs there with --backend dask, ray or spark"
        raise wrong("cluster", "come with {backend}", repr(asked.cluster), way_out)
    if asked.backend is None and asked.jobs in (None, 1):
        return nullcontext()
    check_installed(name)
    _check_listened(asked.cluster or "")
    return _started(name, asked.jobs, asked.cluster)


def unasked(asked: SpreadOptions, seconds: float, budget: int | None) -> SpreadOptions:
    """The same, with a process on each free core where nothing was asked and the work is long.

    The numbers are the same, so what is free may decide: cores beyond the load of this machine, as
    many threads of this run on each, and half of the memory.

    Args:
        asked: What was typed.
        seconds: Expected of one process.
        budget: Bytes of one spectrum, None for the default.
    """
    if any(value is not None for value in vars(asked).values()) or seconds < WORTH:
        return asked
    if any(find_spec(module) is None for module in NEEDED["loky"]):
        return asked
    import joblib
    import torch

    from nakami.results import DEFAULT_BUDGET

    free = max(0.0, joblib.cpu_count() - max(0.0, _load() - 1.0))  # 1 is this process itself
    room = _memory() // (2 * ((budget or DEFAULT_BUDGET) + EACH))
    jobs = min(int(free + 0.5) // torch.get_num_threads(), room)
    if jobs < 2:
        return asked
    typer.echo(f"note: in {jobs} processes, as many cores are free (--jobs 1: in one).", err=True)
    return replace(asked, jobs=jobs)


def _load() -> float:
    """Processes that want to run, over the last minute."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else math.inf


def _memory() -> int:
    """Bytes that a process could take now; 0 where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 0
    kib = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return 1024 * int(kib[0]) if kib else 0


@contextmanager
def _started(name: str, jobs: int | None, address: str | None) -> Iterator[None]:
    import joblib

    with ExitStack() as stack:
        config = BACKENDS[name](jobs, address, stack)
        stack.enter_context(joblib.parallel_config(**config))
        yield


def _loky(jobs: int | None, address: str | None, stack: ExitStack) -> dict[str, Any]:
    from joblib.externals.loky import get_reusable_executor

    # here, where Ctrl-C is watched: joblib would wait for them as Python ends
    stack.callback(lambda: get_reusable_executor(reuse=True).shutdown(kill_workers=True))
    return {"backend": "loky", "n_jobs": -1 if jobs is None else jobs}


def _dask(jobs: int | None, address: str | None, stack: ExitStack) -> dict[str, Any]:
    import distributed

    here: dict[str, Any] = {
        "n_workers": _count(jobs),
        "threads_per_worker": 1,
        "dashboard_address": None,
        "silence_logs": logging.CRITICAL,  # it tells of each worker that this process ends
    }
    with _reached(address), without_ctrl_c():
        client = distributed.Client(address) if address else distributed.Client(**here)
    stack.enter_context(client)
    return {"backend": "dask"}


def _ray(jobs: int | None, address: str | None, stack: ExitStack) -> dict[str, Any]:
    import ray
    from ray.util.joblib import register_ray

    here = {"num_cpus": _count(jobs), "include_dashboard": False, "log_to_driver": False}
    with _reached(address):
        ray.init(address=address) if address else ray.init(**here)
    stack.callback(ray.shutdown)
    register_ray()
    return {"backend": "ray", "n_jobs": -1 if jobs is None else jobs}


def _spark(jobs: int | None, address: str | None, stack: ExitStack) -> dict[str, Any]:
    import joblibspark

    session = stack.enter_context(spark_session(address, _count(jobs)))
    joblibspark.register_spark()
    slots = session.sparkContext.defaultParallelism
    return {"backend": "spark", "n_jobs": slots if jobs in (None, -1) else jobs}


@contextmanager
def spark_session(address: str | None, slots: int) -> Iterator[Any]:
    """Spark at an address; None: on this machine, with so many slots.

    Raises:
        UsageError: It is not there, or does not start.
    """
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.appName("nakami").master(address or f"local[{slots}]")
    if address is None:
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        here = {"bindAddress": "127.0.0.1", "host": "127.0.0.1"}  # where its name leads elsewhere
        for name, value in here.items():
            builder = builder.config(f"spark.driver.{name}", value)
    _check_listened(address or "")
    with _reached(address):
        session = builder.config("spark.ui.enabled", "false").getOrCreate()
    try:
        yield session
    finally:
        session.stop()


BACKENDS: dict[str, Backend] = {"loky": _loky, "dask": _dask, "ray": _ray, "spark": _spark}
NEEDED = {
    "loky": ("joblib", "cloudpickle"),
    "dask": ("joblib", "cloudpickle", "distributed"),
    "ray": ("joblib", "cloudpickle", "ray"),
    "spark": ("joblib", "cloudpickle", "joblibspark", "pyspark"),
}
LISTENED = ("", "tcp", "tls", "ray", "spark")  # addresses that are HOST:PORT of TCP
SECONDS = 10.0  # until a cluster must answer


def _count(jobs: int | None) -> int:
    """Workers of a cluster that is started here."""
    import joblib

    cores: int = joblib.cpu_count()
    return cores if jobs is None or jobs == -1 else jobs


@contextmanager
def _reached(address: str | None) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        what = one_line(error)
        if address:
            got = f"{what} at {address!r}"
            raise wrong("cluster", "be reached", got, "check the address") from error
        way_out = "leave {backend} out, which takes loky"
        raise wrong("backend", "start on this machine", what, way_out) from error


def _check_listened(address: str) -> None:
    """Somebody answers there: Ray and Spark try for minutes where nobody does."""
    scheme, _, place = address.rpartition("://")
    try:
        host, port = urlsplit(f"//{place}").hostname, urlsplit(f"//{place}").port
    except ValueError:  # several hosts, or a form that the backend will judge
        return
    if scheme not in LISTENED or not host or not port:
        return
    try:
        socket.create_connection((host, port), timeout=SECONDS).close()
    except OSError as error:
        got = f"{one_line(error)} at {address!r}"
        raise wrong("cluster", "be reached", got, "start it there, or check the address") from error


def check_installed(name: str) -> None:
    """Refuse a backend whose packages are missing.

    Raises:
        UsageError: One is.
    """
    missing = [module for module in NEEDED[name] if find_spec(module) is None]
    if missing:
        extra = "spread" if name == "loky" else name
        rule = f"find {', '.join(NEEDED[name])} installed"
        way_out = f"pip install 'nakami[{extra}]' adds it"
        argument = "jobs" if name == "loky" else "backend"
        raise wrong(argument, rule, f"no {', '.join(missing)}", way_out)
