"""This build beside an earlier one: time and memory of the same work, in turns.

    git worktree add --detach ../earlier COMMIT
    python benchmarks/two_builds.py --before ../earlier/src [--rounds 3] [--only NAME ...]

Each piece of work runs in a process of its own, one build after the other, ``--rounds`` times; CPU
seconds of one thread, after a warm-up, and the peak of the process above what it held before. How
far the numbers of both builds lie apart is printed, and kept in the results. The table goes to
``docs/measurements.md``; pieces already in ``benchmarks/results/two_builds.json`` for both commits
are not measured again.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import _fisher_cases as fisher_cases
import _side_by_side as side

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
    parser.add_argument("--child", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        print(json.dumps(child(**json.loads(asked.child))))
        return
    commit = subprocess.run(
        ["git", "-C", str(asked.before), "rev-parse", "--short", "HEAD"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
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
