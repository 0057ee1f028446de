"""This build beside an earlier one: time and memory of the same work, in turns.

    git worktree add --detach ../earlier COMMIT
    python benchmarks/two_builds.py --before ../earlier/src [--rounds 3] [--only NAME ...]

Each piece of work runs in a process of its own, one build after the other, ``--rounds`` times; CPU
seconds of one thread, after a warm-up, and the peak of the process above what it held before. How
far the numbers of both builds lie apart is printed, and kept in the results. The table goes to
``docs/measurements.md``; pieces already in ``benchmarks/results/two_builds.json`` for both commits
are not measured again.

``--xrays`` measures x-rays of many inputs in their place: one input of each network (a spectrum is
a piece of its own, so 16 inputs take 16 times as long) and the command as it stands, in one process
by both builds and in two by this one; wall seconds beside CPU seconds, those of workers included.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import _fisher_cases as fisher_cases
import _side_by_side as side
import numpy as np

STAGES = ("features.relu1", "features.relu2", "features.relu3", "features.relu4", "features.relu5")
Work = Callable[[], tuple[Callable[[], Any], Callable[[Any], list[float]]]]


def operator(name: str) -> tuple[Callable[[], Any], Callable[[Any], list[float]]]:
    import nakami

    case = side.build(name)
    return lambda: nakami.jacobian(case.model, case.x, to=case.to), lambda op: list(op.shape)


def values(name: str, k: int) -> tuple[Callable[[], Any], Callable[[Any], list[float]]]:
    import nakami

    op = operator(name)[0]()
    return (
        lambda: nakami.svd(op, k, 1e-4, vectors=False),
        lambda found: [float(v) for v in found.values],
    )


def depths() -> tuple[Callable[[], Any], Callable[[Any], list[float]]]:
    import torch

    import nakami

    case = side.build("alexnet")
    op = nakami.jacobian(case.model, case.x, to=STAGES)
    v = torch.ones(op.shape[1], 4)
    return lambda: op @ v, lambda found: [float(found.norm())]


def curvature(name: str, what: str) -> tuple[Callable[[], Any], Callable[[Any], list[float]]]:
    import nakami

    case = fisher_cases.build(name)

    def matrix() -> Any:
        return nakami.fisher(case.model, (case.x, case.y), "cross_entropy")

    if what == "build":
        return matrix, lambda op: list(op.shape)
    op = matrix()
    if what == "largest":
        return lambda: nakami.eigh(op, 1, tol=1e-2), lambda f: [float(f.values[0])]
    return lambda: nakami.trace(op), lambda f: [float(getattr(f, "value", f))]


def rate() -> tuple[Callable[[], Any], Callable[[Any], list[float]]]:
    import torch

    import nakami
    from nakami import data, zoo

    model, digits = zoo.build("mlp"), data.digits("train")
    batches = [
        (digits.inputs[i : i + 100], digits.labels[i : i + 100]) for i in range(0, 1000, 100)
    ]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    report = nakami.geometry.learning_rate_report
    return (
        lambda: report(model, batches, "cross_entropy", optimizer, spectrum=False),
        lambda found: [float(found.rate.advised or 0.0)],
    )


def whole_xray(name: str) -> tuple[Callable[[], Any], Callable[[Any], list[float]]]:
    """1 input, 6 stages, the 50 largest values, nothing else asked."""
    import nakami

    model, inputs, stages = side.xrayed(name)
    return (
        lambda: nakami.xray(model, inputs[:1], stages, 50),
        lambda run: [float(v) for s in run.spectra for v in s.values],
    )


def digits(jobs: int) -> tuple[Callable[[], Any], Callable[[Any], list[float]]]:
    """``nakami xray``: two networks at 16 digits and three stages, page drawn, weights kept."""
    import nakami
    from nakami import recipes

    kept = side.CACHE / "dbn-digits"
    recipes.prepare(recipes.DEFAULT, kept, n_inputs=1)
    run = command("xray", "--jobs", str(jobs))[0]
    shutil.copytree(kept, Path.cwd() / "nakami-out" / recipes.DEFAULT / "weights")

    def values(_: Any) -> list[float]:
        runs = [nakami.load(f"nakami-out/dbn-digits/{n}") for n in ("pretrained", "finetuned")]
        return [float(v) for run in runs for s in run.spectra for v in s.values]

    return run, values


def network(name: str, jobs: int) -> tuple[Callable[[], Any], Callable[[Any], list[float]]]:
    """``whole_xray`` in so many processes."""
    import joblib

    work, values = whole_xray(name)

    def spread() -> Any:
        with joblib.parallel_config(n_jobs=jobs):
            return work()

    return spread, values


def command(*arguments: str) -> tuple[Callable[[], Any], Callable[[Any], list[float]]]:
    """The command line in this process, into an empty folder."""
    from nakami.cli import main

    os.chdir(tempfile.mkdtemp())

    def run() -> None:
        try:
            main(list(arguments))
        except SystemExit as end:
            if end.code:
                raise RuntimeError(f"nakami {' '.join(arguments)} ended with {end.code}") from end

    return run, lambda _: []


WORK: dict[str, Work] = {
    "AlexNet, building J": lambda: operator("alexnet"),
    "SqueezeNet, building J": lambda: operator("squeezenet"),
    "AlexNet, five stages, 4 columns": depths,
    "AlexNet, k = 50": lambda: values("alexnet", 50),
    "AlexNet, k = 200": lambda: values("alexnet", 200),
    "SqueezeNet, k = 50": lambda: values("squeezenet", 50),
    "SqueezeNet, k = 200": lambda: values("squeezenet", 200),
    **{
        f"Fisher of {name}, {what}": lambda name=name, what=what: curvature(name, what)
        for name in fisher_cases.CASES
        for what in ("build", "largest", "trace")
    },
    **{
        f"x-ray of {name}, 1 input, 6 stages, k = 50": lambda name=name: whole_xray(name)
        for name in ("squeezenet", "minilm")
    },
    "limit and advice, MLP on digits": rate,
    "nakami lr": lambda: command("lr"),
    "nakami xray, all of it": lambda: command("xray"),
}


XRAYS: dict[str, Callable[[int], Any]] = {
    "SqueezeNet 1.1, 6 stages, k = 50, 1 input": lambda jobs: network("squeezenet", jobs),
    "6 transformer layers of width 384, 6 stages, k = 50, 1 input": lambda jobs: network(
        "minilm", jobs
    ),
    "`nakami xray`, 2 networks, 16 inputs, 3 stages": digits,
}


def xray_child(xray: str, jobs: int) -> dict[str, Any]:
    """One x-ray, in this process and its workers."""
    import torch

    torch.set_num_threads(1)
    side.warm_up()
    work, numbers = XRAYS[xray](jobs)
    began = time.perf_counter()
    seconds, found = side.cpu_seconds(work)
    wall = time.perf_counter() - began
    if jobs > 1:
        from joblib.externals.loky import get_reusable_executor

        get_reusable_executor().shutdown()
    workers = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = seconds + workers.ru_utime + workers.ru_stime
    return {"cpu": cpu, "wall": wall, "numbers": numbers(found)}


def xrays_compared(name: str, before: Path, now: Path, rounds: int) -> dict[str, Any]:
    """Medians of both builds in one process and of this one in two, taken in turns."""
    ways = {"before": (before, 1), "now": (now, 1), "two": (now, 2)}
    runs: dict[str, list[dict[str, Any]]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, (source, jobs) in ways.items():
            runs[way].append(side.apart(__file__, source, xray=name, jobs=jobs))
    row: dict[str, Any] = {"name": name, "rounds": rounds}
    row["load"] = sorted(x for group in runs.values() for r in group for x in r["load"])
    for way, group in runs.items():
        for field in ("cpu", "wall"):
            row[f"{field} {way}"] = side.median([run[field] for run in group])
    old, new, two = (np.array(runs[way][0]["numbers"]) for way in ways)
    row["apart"] = float((abs(new - old) / abs(old)).max())
    row["same in two"] = bool((new == two).all())
    return row


def xrays_shown(row: dict[str, Any]) -> list[str]:
    """One line of the table of x-rays."""
    cpu, wall = ([row[f"{f} {way}"] for way in ("before", "now", "two")] for f in ("cpu", "wall"))
    return [
        row["name"],
        *(f"{s:.1f}" for s in cpu),
        f"{cpu[1] / cpu[0]:.2f}",
        *(f"{s:.1f}" for s in wall),
        f"{wall[2] / wall[0]:.2f}",
        f"{row['apart']:.0e}",
    ]


def measure_xrays(before: Path, commit: str, rounds: int) -> None:
    """The table "x-ray of many inputs, before and after"."""
    rows = []
    for name in XRAYS:
        rows.append(xrays_compared(name, before, side.ROOT / "src", rounds) | {"before": commit})
        print(xrays_shown(rows[-1]), rows[-1]["same in two"], flush=True)
        heads = ["", *(f"CPU s, {w}" for w in (commit, side.COMMIT, "two processes")), "ratio"]
        heads += [f"wall s, {w}" for w in (commit, side.COMMIT, "two processes")]
        heads += ["ratio, two processes", "values apart"]
        side.keep("xray_two_builds", rows, side.table(heads, [xrays_shown(r) for r in rows]))


def child(name: str) -> dict[str, Any]:
    """One piece of work, in this process."""
    import torch

    torch.set_num_threads(1)
    whole = name.startswith("nakami")
    if not whole:
        side.warm_up()
    work, numbers = WORK[name]()
    held = side.memory()
    seconds, found = side.cpu_seconds(work)
    peak = side.peak_memory() - (0 if whole else held)
    return {"seconds": seconds, "peak": peak, "numbers": numbers(found)}


def compared(name: str, before: Path, now: Path, rounds: int) -> dict[str, Any]:
    """Medians of both, and how far the numbers lie apart."""
    runs: dict[str, list[dict[str, Any]]] = {"before": [], "now": []}
    for _ in range(rounds):
        for key, source in (("before", before), ("now", now)):
            runs[key].append(side.apart(__file__, source, name=name))
    row: dict[str, Any] = {"name": name, "load": sorted(x for r in runs["now"] for x in r["load"])}
    for key, group in runs.items():
        for field in ("seconds", "peak"):
            row[f"{field} {key}"] = side.median([run[field] for run in group])
        row[f"all {key}"] = [run["seconds"] for run in group]
    old, new = (runs[key][0]["numbers"] for key in ("before", "now"))
    row["apart"] = max(
        (abs(a - b) / max(abs(a), 1e-30) for a, b in zip(old, new, strict=True)), default=0.0
    )
    return row


def shown(row: dict[str, Any]) -> list[str]:
    """One line of the table."""
    seconds, peaks = ([row[f"{f} {k}"] for k in ("before", "now")] for f in ("seconds", "peak"))
    return [
        row["name"],
        *(f"{s:.2f}" for s in seconds),
        f"{seconds[1] / seconds[0]:.2f}",
        *(f"{p / 1e6:.0f}" for p in peaks),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--before", type=Path, help="src folder of the earlier build")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=list(WORK))
    parser.add_argument("--xrays", action="store_true", help="x-rays of many inputs alone")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        task = json.loads(asked.child)
        print(json.dumps(xray_child(**task) if "xray" in task else child(**task)))
        return
    commit = subprocess.run(
        ["git", "-C", str(asked.before), "rev-parse", "--short", "HEAD"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    if asked.xrays:
        measure_xrays(asked.before.resolve(), commit, asked.rounds)
        return
    pair = [commit, side.COMMIT]
    path = side.RESULTS / "two_builds.json"
    rows: list[dict[str, Any]] = []
    if path.exists():
        lines = [json.loads(line) for line in path.read_text().splitlines()[1:]]
        rows = [row for row in lines if row["builds"] == pair]
    for name in asked.only:
        if all(row["name"] != name for row in rows):
            row = compared(name, asked.before.resolve(), side.ROOT / "src", asked.rounds)
            rows.append({**row, "builds": pair})
            print(shown(rows[-1]), f"numbers apart by {row['apart']:.1e}", flush=True)
            heads = ["", f"s, {commit}", f"s, {side.COMMIT}", "ratio", "MB before", "MB now"]
            side.keep("two_builds", rows, side.table(heads, [shown(row) for row in rows]))


if __name__ == "__main__":
    main()
