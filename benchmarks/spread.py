"""A killed worker, or a killed run that is resumed: the bits of one undisturbed process?

A small network of the digits, read by 1, 2 and 3 processes. In each of 20 runs one worker is killed
(SIGKILL) at a moment drawn with a seed; with 1 process the worker is the run itself, which the same
call resumes. Then ten runs of 2 processes whose process group is killed, and which are resumed.
Every folder is compared, byte for byte but for clock readings, with that of an undisturbed process.
Then wall and CPU seconds of 1 and 2 processes.

    OMP_NUM_THREADS=1 python benchmarks/spread.py [workers] [alone] [groups]
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import joblib
import torch
from _side_by_side import COMMIT, RESULTS

import nakami
from nakami import data, zoo
from nakami.results import write_whole

KILLS = (1, 2, 3)
PARTS = {
    "workers": [2, 3] * 7,
    "alone": [1] * 6,
    "groups": [2] * 10,
}  # processes of each run
INPUTS = 16
DRAWS = 9  # of a moment, until something was there to be killed


def xray(folder: Path, jobs: int, begun: Any = None) -> None:
    """The run that is disturbed."""
    torch.manual_seed(0)
    model = zoo.build("mlp")
    with joblib.parallel_config("loky", n_jobs=jobs):
        inputs = data.digits("test").inputs[:INPUTS]
        if begun:
            begun()
        nakami.xray(model, inputs, out=folder)


def contents(folder: Path) -> dict[str, Any]:
    """Every byte of a run that is no clock reading."""
    files = [p for p in sorted(folder.rglob("*")) if p.is_file() and p.name != "timing.json"]
    found: dict[str, Any] = {str(p.relative_to(folder)): p.read_bytes() for p in files}
    body = json.loads(found.pop("run.json"))
    body.pop("created")
    return {**found, "run.json": body}


def workers() -> list[int]:
    """Process ids of loky's workers of this process."""
    lists = Path("/proc/self/task").glob("*/children")
    pids = {int(pid) for file in lists for pid in file.read_text().split()}
    return sorted(p for p in pids if b"popen_loky" in Path(f"/proc/{p}/cmdline").read_bytes())


def worker_killed(folder: Path, jobs: int, length: float, chance: random.Random) -> dict[str, Any]:
    """A run that loses one of its workers."""
    moment, found = chance.uniform(0, 0.9 * length), {"killed": False}

    def kill() -> None:
        alive = workers()
        if alive:
            os.kill(chance.choice(alive), signal.SIGKILL)
            found["killed"] = True

    timer = threading.Timer(moment, kill)
    xray(folder, jobs, timer.start)
    timer.cancel()
    return {"processes": jobs, "moment, s": moment, **found}


def run_killed(folder: Path, jobs: int, length: float, chance: random.Random) -> dict[str, Any]:
    """A run that is killed with all its workers, and resumed."""
    moment = chance.uniform(0, 0.9 * length)
    command = [sys.executable, __file__, "--child", str(folder), str(jobs)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as child:
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(moment)
        os.killpg(child.pid, signal.SIGKILL)
    pieces = len(list(folder.rglob("timing.json")))
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    killed = child.returncode == -signal.SIGKILL
    return {"processes": jobs, "moment, s": moment, "killed": killed, "timings then": pieces}


def cpu() -> float:
    """CPU seconds of this process and of its workers until now."""
    ticks = 0
    for pid in (os.getpid(), *workers()):
        ticks += sum(
            map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13])
        )
    return ticks / os.sysconf("SC_CLK_TCK")


def timed(folder: Path, jobs: int) -> dict[str, float]:
    """Wall and CPU seconds of a run whose workers stand ready."""
    xray(folder / "warm", jobs)
    began, spent = time.perf_counter(), cpu()
    xray(folder / "timed", jobs)
    return {"wall, s": time.perf_counter() - began, "cpu, s": cpu() - spent}


def main(parts: list[str]) -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        times = {jobs: timed(root / f"time{jobs}", jobs) for jobs in KILLS}
        truth = contents(root / "time1" / "timed")
        pieces = len([name for name in truth if name.endswith("result.json")])
        print(times, pieces, flush=True)
        head = {"torch": torch.__version__, "load": os.getloadavg()[0], "pieces": pieces}
        for part in parts:
            rows: list[dict[str, Any]] = []
            for at, jobs in enumerate(PARTS[part]):
                disturbed = worker_killed if part == "workers" else run_killed
                length = times[jobs]["wall, s"] + (2.0 if part == "groups" else 0)  # they start
                chance, drawn, killed = random.Random(f"{part} {at}"), 0, False
                while not killed and drawn < DRAWS:
                    folder, drawn = root / f"{part}{at}-{drawn}", drawn + 1
                    row = disturbed(folder, jobs, length, chance)
                    killed = row["killed"]
                rows.append({**row, "draws": drawn, "same bits": contents(folder) == truth})
                print(part, rows[-1], flush=True)
                body = {"commit": COMMIT, **head, "seconds": times, "rows": rows}
                write_whole(
                    RESULTS / f"spread_{part}.json", json.dumps(body, indent=1) + "\n", "results"
                )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        torch.set_num_threads(1)
        xray(Path(sys.argv[2]), int(sys.argv[3]), lambda: print("begun", flush=True))
    else:
        main(sys.argv[1:] or list(PARTS))
