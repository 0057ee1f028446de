"""Trainings in processes that Spark starts, by its ``TorchDistributor``."""

from __future__ import annotations

import os
import pickle
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

from nakami.results import RunError, UsageError, check_at_least, versions, wrong

T = TypeVar("T")
PATHS = Sequence[str | PathLike[str]]


def on_spark(
    work: Callable[[], T],
    processes: int = 2,
    *,
    local: bool = False,
    accelerator: str = "cpu",
    seen: PATHS = (),
) -> T:
    """What ``work()`` gives in the first of the processes that Spark starts.

    Each process calls it within ``together``, so that ``fit``, ``Training`` and ``recipes.prepare``
    in it are shared as under torchrun. Spark's session is the active one, else one is made as
    ``spark-submit`` says. What the processes print goes to standard error.

    Args:
        work: Takes nothing; ``functools.partial`` gives it arguments. It is pickled by cloudpickle,
            and so is what it gives. Code that it imports, nakami's own among it, must be installed
            wherever Spark starts processes.
        processes: How many, each in a slot of Spark.
        local: All on the machine of Spark's driver; else in one barrier stage on the executors,
            where pandas and pyarrow are needed too.
        accelerator: ``"cpu"``, or ``"cuda"``: a card for each process.
        seen: Files and folders that every process must find as this one does.

    Raises:
        UsageError: More processes than slots; a process that does not find what it must; what
            ``work`` refuses.
        RunError: pyspark is not installed, versions differ, or a process came to an end before its
            work.

    Cost: a start of Java, and of Python and torch in each process: with two processes on two busy
    cores 102 s where ``local``, 237 s in a barrier stage.
    """
    processes = check_at_least("processes", processes, 1, "pass processes=2")
    _check_installed(local)
    session = _session()
    _check_slots(session, processes, local)
    from pyspark import cloudpickle
    from pyspark.ml.torch.distributor import TorchDistributor

    given = _Given(
        work=cloudpickle.dumps(work),
        accelerator=accelerator,
        seen={str(path): _look(path) for path in (Path(each).resolve() for each in seen)},
        path=tuple(sys.path),
        folder=str(Path.cwd()),
        versions=versions(),
    )
    with redirect_stdout(sys.stderr):
        distributor = TorchDistributor(processes, local_mode=local, use_gpu=accelerator == "cuda")
        try:
            found, error = distributor.run(_worked, given)
        except Exception as ended:
            raise RunError(
                f"a process of this training came to an end before its work ({_last(ended)}); call "
                "the same again, which goes on from the last checkpoint."
            ) from ended
    if error is not None:
        raise error
    result: T = found
    return result


@dataclass(frozen=True)
class _Given:
    """What a process is sent.

    Attributes:
        work: Pickled, as its imports need ``path`` first. accelerator: as for ``together``.
        seen: What this machine finds, by path. path: ``sys.path`` of this process.
        folder: The current one. versions: those that are installed here.
    """

    work: bytes
    accelerator: str
    seen: dict[str, Any]
    path: tuple[str, ...]
    folder: str
    versions: dict[str, str]


def _worked(given: _Given) -> tuple[Any, Exception | None]:
    """In a process of Spark: what the work gives, or the error that says what is refused."""
    from ._together import together  # here, as Spark's own processes need no torch

    sys.path += [path for path in given.path if path not in sys.path]
    if Path(given.folder).is_dir():
        os.chdir(given.folder)
    try:
        with together(given.accelerator) as here:
            _check_alike(here.gathered(_differs(given)))
            return pickle.loads(given.work)(), None
    except (UsageError, RunError) as error:
        return None, error


def _differs(given: _Given) -> tuple[str, ...]:
    """The first path that this process does not find alike, or the versions that differ."""
    if versions() != given.versions:
        return ("versions", str(versions()), str(given.versions))
    for path, found in given.seen.items():
        if _look(Path(path)) != found:
            return ("path", path)
    return ()


def _check_alike(found: Sequence[tuple[str, ...]]) -> None:
    """Refuse what a process finds otherwise; in all processes, as all are told.

    Raises:
        UsageError: It does not see a path. RunError: it has other versions.
    """
    for rank, differs in enumerate(found):
        if differs and differs[0] == "path":
            rule = "be seen by every process of Spark as by this one"
            got = f"{differs[1]}, which process {rank} finds otherwise or not at all"
            raise wrong("path", rule, got, "use a folder that all machines share")
        if differs:
            raise RunError(
                f"process {rank} of Spark has {differs[1]}, this one {differs[2]}; install the "
                "same versions."
            )


def _look(path: Path) -> Any:
    """What can be seen of a path in a moment: its size, or names and sizes in a folder."""
    if path.is_dir():
        return sorted((f.name, f.stat().st_size) for f in path.iterdir() if f.is_file())
    return path.stat().st_size if path.is_file() else None


def _check_installed(local: bool) -> None:
    """Refuse to begin where something is not installed.

    Raises:
        RunError: It is not.
    """
    needed = ("pyspark",) if local else ("pyspark", "pandas", "pyarrow")
    if missing := [name for name in needed if find_spec(name) is None]:
        raise RunError(
            f"training on Spark needs {' and '.join(missing)}; pip install 'nakami[spark]' adds it."
        )


def _session() -> Any:
    from pyspark.sql import SparkSession

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    return SparkSession.getActiveSession() or SparkSession.builder.appName("nakami").getOrCreate()


def _check_slots(session: Any, processes: int, local: bool) -> None:
    """Refuse a barrier stage that a master on this machine has no room for.

    Spark 4.3 asks 40 times, every 15 s, before it says so.
    """
    slots = re.fullmatch(
        r"local(?:\[(\d+|\*)(?:,\s*\d+)?\])?", session.conf.get("spark.master", "")
    )
    if local or slots is None:
        return
    there = os.cpu_count() or 1 if slots[1] == "*" else int(slots[1] or 1)
    if processes > there:
        way_out = f"start Spark with master local[{processes}]"
        raise wrong("processes", f"be at most {there}, the slots of Spark", processes, way_out)


def _last(error: Exception) -> str:
    """The last line of what went wrong that says something."""
    lines = [line.strip() for line in str(error).splitlines()]
    named = [line for line in lines if re.match(r"[\w.]*(Error|Exception|Signal)\b", line)]
    return (named or [line for line in lines if line] or [type(error).__name__])[-1][:200]
