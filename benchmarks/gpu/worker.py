"""The process that holds the card: it runs one unit after the other, and says what came of each.

It is a process of its own so that a unit that hangs, dies or spoils the card ends itself alone.
"""

from __future__ import annotations

import multiprocessing
import time
import traceback
import warnings
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from .units import CHECKS, Found, Setting, Unit, gathered

BUILD = Path(__file__).resolve().parents[2] / "build" / "gpu"
STARTUP = 240.0  # seconds for imports and the first use of the card


class Stopped(Exception):
    """The process ended, or was ended; the text says why."""


def _line(error: BaseException) -> str:
    """An error as one line, with the place in this repository where it was raised."""
    first = " ".join(str(error).split())[:400]
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "nakami" in f.filename]
    place = (
        f" ({frames[-1].filename.rpartition('nakami/')[2]}:{frames[-1].lineno})" if frames else ""
    )
    return f"{type(error).__name__}: {first}{place}"


def _missing(error: BaseException | None) -> str:
    """The package without which this cannot run, where that is why."""
    while error is not None:
        if isinstance(error, ModuleNotFoundError) and error.name:
            package = error.name.partition(".")[0]
            return "" if package in ("nakami", "torch", "benchmarks") else package
        error = error.__cause__ or error.__context__
    return ""


def performed(unit: Unit, setting: Setting) -> dict[str, Any]:
    """One unit, run here: its record."""
    from . import machine

    found, began = Found(), time.perf_counter()
    record: dict[str, Any] = {"state": "passed", "reason": "", "group": unit.group}
    machine.forget_peak(setting)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            with machine.arithmetic(
                "float32", setting.device
            ):  # trainings, too; units may change it
                unit.run(setting, found)
            machine.settle(setting)
        except Exception as error:
            package = _missing(error)
            record["state"] = "skipped" if package else "failed"
            record["reason"] = f"{package} is not installed" if package else _line(error)
    said = list(dict.fromkeys(_line_of(w) for w in caught if _ours(w)))
    if unit.group == CHECKS:
        for text in said:
            found.within(f"no warning, got: {text}", 1.0, 0.0)
    broken = [row["what"] for row in found.rows if not row["held"]]
    if broken and record["state"] == "passed":
        record |= {"state": "failed", "reason": f"out of bounds: {'; '.join(broken)}"}
    record |= {"seconds": time.perf_counter() - began, "peak_bytes": machine.peak_bytes(setting)}
    return record | {**vars(found), "warnings": said}


def _ours(warning: warnings.WarningMessage) -> bool:
    return any(kind.__name__ == "NakamiWarning" for kind in warning.category.__mro__)


def _line_of(warning: warnings.WarningMessage) -> str:
    return f"{warning.category.__name__}: {' '.join(str(warning.message).split())[:300]}"


def main(line: Connection, modules: tuple[str, ...], setting: Setting) -> None:
    """Answer names of units with their records until the line closes."""
    try:
        from . import emulated, machine

        if setting.device == emulated.NAME:
            emulated.start(BUILD)
        facts, units = machine.described(setting), gathered(modules)
        machine.sound(setting)
    except BaseException as error:
        line.send({"error": _line(error)})
        return
    line.send({"facts": facts, "units": [(u.name, u.seconds, u.group) for u in units.values()]})
    while True:
        try:
            name = line.recv()
        except EOFError:
            return
        line.send(performed(units[name], setting))
        if not machine.sound(setting):
            return  # the next one begins in a fresh process


class Worker:
    """A process that runs units, started again where it ended.

    Args:
        modules: Names of modules with ``UNITS``. setting: where and how large.
    """

    def __init__(self, modules: tuple[str, ...], setting: Setting):
        self._asked = (modules, setting)
        self._process: Any = None

    def start(self, seconds: float = STARTUP) -> dict[str, Any]:
        """Start it; the facts of the machine and the list of units.

        Raises:
            Stopped: It cannot start.
        """
        context = multiprocessing.get_context("spawn")
        self._line, other = context.Pipe()
        self._process = context.Process(target=main, args=(other, *self._asked), daemon=True)
        self._process.start()
        other.close()
        hello = self._answer(seconds)
        if "error" in hello:
            self.close()
            raise Stopped(hello["error"])
        return hello

    def ask(self, name: str, seconds: float) -> dict[str, Any]:
        """The record of a unit.

        Raises:
            Stopped: It took longer, or the process died. TimeoutError: the former.
        """
        if self._process is None or not self._process.is_alive():
            self.start()
        self._line.send(name)
        return self._answer(seconds)

    def _answer(self, seconds: float) -> dict[str, Any]:
        try:
            if self._line.poll(seconds):
                answer: dict[str, Any] = self._line.recv()
                return answer
        except (EOFError, OSError):
            self._process.join(5)
            code = self._process.exitcode
            self.close()
            killed = " (killed: most often the machine's memory is used up)" if code == -9 else ""
            raise Stopped(f"the process ended with code {code}{killed}") from None
        self.close()
        raise TimeoutError(f"took longer than its {seconds:.1f} s")

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._line.close()
            self._process.kill()
            self._process.join(10)
            self._process = None
