"""Runs what is missing, keeps each unit as soon as it is done, stops in time and goes on later."""

from __future__ import annotations

import datetime
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Protocol

from nakami.results import write_whole

from .worker import Stopped

ROOT = Path(__file__).resolve().parents[2]
LEAST = 3.0  # no unit is begun with fewer seconds left


class Answers(Protocol):
    """What the runner asks: a ``Worker``, or what a test puts in its place."""

    def ask(self, name: str, seconds: float) -> dict[str, Any]:
        """The record of a unit, within so many seconds."""


def source_digest() -> str:
    """Changes with the code that is measured and that measures."""
    digest = hashlib.sha256()
    for folder in ("src/nakami", "benchmarks/gpu"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


@dataclass
class Results:
    """Records by unit, and the machine that they are of, in a file.

    Args:
        file: Where they are written. source: digest of the code of today.
        earlier: Read where ``file`` is not there yet.
    """

    file: Path
    source: str
    earlier: Path | None = None
    machine: dict[str, Any] = field(default_factory=dict)
    units: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        places = [p for p in (self.file, self.earlier) if p is not None and p.is_file()]
        if places:
            kept = json.loads(places[0].read_text("utf-8"))
            self.machine, self.units = kept["machine"], kept["units"]

    def belong_to(self, facts: dict[str, Any]) -> str:
        """Why these cannot go on on a machine, empty where they can; then they take its facts."""
        had, has = self.machine.get("same", facts["same"]), facts["same"]
        apart = [
            f"{k} {had.get(k)!r} there, {has.get(k)!r} here" for k in has if had.get(k) != has[k]
        ]
        if not apart:
            self.machine = facts
        return ", ".join(apart)

    def keep(self, name: str, record: dict[str, Any]) -> None:
        """Add a record and write the file, whole or not at all."""
        today = datetime.datetime.now(datetime.UTC).date().isoformat()
        self.units[name] = record | {"source": self.source, "date": today}
        text = json.dumps({"machine": self.machine, "units": self.units}, indent=1)
        write_whole(self.file, text + "\n")

    def missing(self, names: list[str], retry: bool = False) -> list[str]:
        """Units to be run: those not there, and what failed or was skipped where the code changed.

        ``retry``: what failed or was skipped in any case.
        """
        return [name for name in names if self._due(self.units.get(name), retry)]

    def _due(self, record: dict[str, Any] | None, retry: bool) -> bool:
        if record is None:
            return True
        return record["state"] != "passed" and (retry or record["source"] != self.source)


def chosen(names: list[str], patterns: list[str]) -> list[str]:
    """Names that fit one of the patterns (``jacobian/*``); all where there is none."""
    return [n for n in names if not patterns or any(fnmatch(n, p) for p in patterns)]


def run(
    units: list[tuple[str, float, str]],
    results: Results,
    worker: Answers,
    deadline: float,
    said: Callable[[str], None],
    began: float = 0.0,
    clock: Callable[[], float] = time.monotonic,
) -> list[str]:
    """Run units in order and keep each; the names of those that the time did not allow.

    A unit that the deadline ended is not kept: the next call begins with it. One that was the first
    and had half of all the time since ``began`` is kept as failed, for it would never be done.
    """
    for place, (name, limit, group) in enumerate(units):
        left = deadline - clock()
        if left < LEAST:
            return [u[0] for u in units[place:]]
        try:
            record = worker.ask(name, min(limit, left))
        except TimeoutError as error:
            if left < limit and (place > 0 or left < (deadline - began) / 2):
                return [u[0] for u in units[place:]]
            record = _failed(str(error), group)
        except Stopped as error:
            record = _failed(str(error), group)
        results.keep(name, record)
        shown = f"{record['reason']}" if record["reason"] else f"{record['seconds']:.1f} s"
        said(f"[{place + 1}/{len(units)}] {name}: {record['state']}, {shown}")
    return []


def _failed(reason: str, group: str) -> dict[str, Any]:
    empty: dict[str, Any] = {"rows": [], "numbers": {}, "notes": {}, "warnings": []}
    return {
        "state": "failed",
        "reason": reason,
        "group": group,
        "seconds": 0.0,
        "peak_bytes": 0,
        **empty,
    }
