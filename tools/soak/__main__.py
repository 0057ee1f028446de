"""Fuzzed command lines: no traceback, no hang, nothing touched outside the output, nothing lost.

    python tools/soak                        2,000 in this process and 100 as real commands
    python tools/soak --count 50 --real 5    fewer
    python tools/soak --seed 3 --only 17     one of them again, with what it printed

Every command gets a folder of its own to run in, files of a common stock, and a copy of a finished
run to go on with. After it, these must hold:

* it left with 0 done, 1 failed, 2 wrong use, and with 1 or 2 said one sentence; no error of another
  library came through, unless the network itself raises it;
* it took less than ``LIMIT`` seconds;
* no file changed but in its output: the stock, the home folder, the run it was shown;
* every piece of a run that was whole before is there, byte for byte;
* with ``--json`` and 0, standard output is one JSON value without NaN.

The stock and what failed lie in a temporary folder, which is removed if nothing failed.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import NoReturn

from commands import Draws
from stock import broken_runs, made

LIMIT = 60.0  # seconds for one command
RAISES = ("soak_nets:raising",)  # networks whose own error may come through
RUNS = ("unfinished", "future", "garbled", "torn", "foreign", "bare")
SAID = 1000  # letters of a sentence, at most


class Hung(BaseException):
    """A command took too long."""


@dataclass
class Outcome:
    """What a command left."""

    code: object
    out: str
    err: str
    seconds: float


@dataclass
class Tally:
    """What all commands left together."""

    codes: collections.Counter[str] = field(default_factory=collections.Counter)
    faults: list[str] = field(default_factory=list)
    sentences: set[str] = field(default_factory=set)
    slowest: tuple[float, str] = (0.0, "")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("count", 2000), ("real", 100), ("seed", 0), ("only", None)):
        arguments.add_argument(f"--{name}", type=int, default=default)
    given = arguments.parse_args()
    root = Path(tempfile.mkdtemp(prefix="nakami-soak-"))
    began, tally = time.monotonic(), Tally()
    _prepare(root)
    for i in [given.only] if given.only is not None else range(given.count + given.real):
        words, outcome = _tried(root, given.seed, i, real=i >= given.count, tally=tally)
        if given.only is not None:
            print(" ".join(words), outcome.out, outcome.err, sep="\n")
        if i % 100 == 99:
            print(f"{i + 1} commands, {len(tally.faults)} faults", file=sys.stderr, flush=True)
    for fault in tally.faults:
        print(fault)
    codes = ", ".join(f"{n} left with {code}" for code, n in sorted(tally.codes.items()))
    print(f"{codes}; {len(tally.sentences)} sentences; {time.monotonic() - began:.0f} s")
    print(f"slowest: {tally.slowest[0]:.1f} s, nakami {tally.slowest[1]}")
    if tally.faults:
        sys.exit(f"{len(tally.faults)} faults; files in {root}")
    shutil.rmtree(root)


def _prepare(root: Path) -> None:
    """The stock, a finished run and its broken copies; this process is made quiet and homeless."""
    stock = made(root / "stock")
    (root / "home").mkdir()
    os.environ |= {
        "HOME": str(root / "home"),
        "PYTHONPATH": os.pathsep.join([str(stock), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "120",
    }
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(stock))
    first = root / "runs"
    first.mkdir()
    os.chdir(first)
    words = ["xray", "--model", "soak_nets:flat", "--data", "../stock/flat.npy", "--inputs", "2"]
    outcome = _here([*words, "--weights", "../stock/flat.safetensors", "--no-page"])
    run = next(path.parent for path in first.rglob("run.json"))
    if outcome.code != 0:
        sys.exit(outcome.err)
    shutil.move(run, first / "whole")
    broken_runs(first, first / "whole")


def _tried(root: Path, seed: int, i: int, *, real: bool, tally: Tally) -> tuple[list[str], Outcome]:
    """One command, and what is wrong with what it did."""
    runs = ["../runs/whole", *(f"../runs/{name}" for name in RUNS)]
    files = sorted(p.name for p in (root / "stock").iterdir() if p.name != "soak_nets.py")
    words = Draws(seed * 1_000_003 + i, files, runs).one()
    place = root / "place"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    if i % 3 == 0:  # something to go on with, where the output lies by default
        shutil.copytree(root / "runs" / "whole", place / "nakami-out" / "flat" / "flat")
        shutil.copytree(root / "runs" / "unfinished", place / "nakami-out" / "flat" / "run")
    os.chdir(place)
    before, pieces = _seen(root), _pieces(place)
    outcome = _real(words) if real else _here(words)
    os.chdir(root)
    line = " ".join(map(repr, words))
    faults = [*_wrong_words(words, outcome), *_touched(root, place, words, before)]
    lost = [name for name, body in pieces.items() if not _same(place / name, body)]
    faults += [f"lost {name}" for name in lost]
    tally.faults += [f"{i}: {fault}\n    nakami {line}" for fault in faults]
    tally.codes[str(outcome.code)] += 1
    tally.sentences.add(outcome.err.strip().rsplit("\n", 1)[-1])
    tally.slowest = max(tally.slowest, (outcome.seconds, line))
    return words, outcome


def _here(words: list[str]) -> Outcome:
    """In this process."""
    from nakami.cli import main as command

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        raise Hung

    out, err = io.StringIO(), io.StringIO()
    code: object = "nothing"
    began = time.monotonic()
    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, LIMIT)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            command(words)
    except SystemExit as left:
        code = left.code
    except Hung:
        code = "hung"
    except BaseException as error:
        code = f"{type(error).__name__}: {error}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return Outcome(code, out.getvalue(), err.getvalue(), time.monotonic() - began)


def _real(words: list[str]) -> Outcome:
    """In a process of its own."""
    began = time.monotonic()
    command = [sys.executable, "-m", "nakami", *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
    except subprocess.TimeoutExpired:
        return Outcome("hung", "", "", time.monotonic() - began)
    return Outcome(done.returncode, done.stdout, done.stderr, time.monotonic() - began)


def _wrong_words(words: list[str], outcome: Outcome) -> Iterator[str]:
    """What is wrong with the exit code and what was said."""
    if outcome.code not in (0, 1, 2):
        yield f"left with {outcome.code}"
    if "Traceback" in outcome.err + outcome.out:
        yield "a traceback"
    last = outcome.err.strip().rsplit("\n", 1)[-1]
    if outcome.code in (1, 2) and not last.startswith("nakami: "):
        yield f"no sentence: {last!r}"
    if len(last) > SAID:
        yield f"a sentence of {len(last)} letters: {last[:80]}"
    foreign = "stopped by" in last or "site-packages" in outcome.err
    if foreign and not set(words) & set(RAISES):
        yield f"an error of another library: {last}"
    if outcome.code == 0 and "--json" in words:
        try:
            json.loads(outcome.out, parse_constant=_refuse)
        except ValueError as error:
            yield f"no JSON: {error}"


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} in JSON")


def _seen(root: Path) -> dict[Path, tuple[int, int]]:
    """Size and time of every file."""
    found = {}
    for path in root.rglob("*"):
        if path.is_file():
            about = path.stat()
            found[path] = (about.st_size, about.st_mtime_ns)
    return found


def _touched(
    root: Path, place: Path, words: list[str], before: dict[Path, tuple[int, int]]
) -> Iterator[str]:
    """Files that changed and are none of the output's."""
    outputs = {place / "nakami-out"}
    for name in ("--out", "--save"):
        outputs |= {place / words[i + 1] for i, word in enumerate(words[:-1]) if word == name}
    after = _seen(root)
    changed = {p for p in before.keys() | after.keys() if before.get(p) != after.get(p)}
    for path in sorted(changed):
        if (
            words[0] in ("show", "compare")
            and path.suffix == ".html"
            and root / "runs" in path.parents
        ):
            continue  # the page of a run that was shown lies in its folder
        if not any(path == out or out in path.parents for out in outputs):
            yield f"touched {path.relative_to(root)}"


def _pieces(place: Path) -> dict[str, bytes]:
    """Every file of every piece."""
    found = {}
    for path in place.rglob("pieces/*/*"):
        found[str(path.relative_to(place))] = path.read_bytes()
    return found


def _same(path: Path, body: bytes) -> bool:
    return path.is_file() and path.read_bytes() == body


if __name__ == "__main__":
    main()
