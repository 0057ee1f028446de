"""The page of `source_004_sdprop.py`, from its records."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from _optimizer_methods import Method
from _optimizer_tasks import Task
from _shared import made_in
from _wide import mean_error, table

from nakami.results import counted

Records = dict[str, Any]
STUDENT = 4.303  # of 2 degrees of freedom, 95 %
OURS = "SDProp"


def report(
    tasks: list[Task], methods: list[Method], files: dict[str, Records], seeds: int, within: float
) -> Iterator[str]:
    """All tasks over one another, then each."""
    yield "# SDProp against other optimizers, each at its own best rate (source 004)"
    yield ""
    yield "Protocol: docstring of [source_004_sdprop.py](../source_004_sdprop.py). Losses are"
    yield "cross-entropies in nats, after the last step, ± standard errors of the mean of 3 seeds."
    yield ""
    done = [task for task in tasks if complete(files[task.name], methods, seeds)]
    missing = [task.name for task in tasks if task not in done]
    if missing:
        yield f"Not run yet, or in part: {', '.join(missing)}."
        yield ""
    if done:
        yield from together(done, methods, files, seeds, within)
    for task in tasks:
        if files[task.name]:
            yield from one_task(task, methods, files[task.name], seeds, within)
    peers = {r["with"] for records in files.values() for r in records.values() if r.get("with")}
    cpu = sum(r["cpu"] for records in files.values() for n, r in records.items() if trained(n, r))
    yield "Theirs: figures and tables without numbers that could be confirmed."
    yield ""
    yield made_in(cpu) + "".join(f" {name}." for name in sorted(peers))
    yield ""


def trained(name: str, record: Records) -> bool:
    """Whether this training is not the copy of a searched one."""
    return not (name.endswith("/0") and record.get("searched"))


def rates(records: Records, method: Method) -> dict[float, float]:
    """Validation losses of the search by rate, in order."""
    found = {}
    for name, record in records.items():
        kind, _, rest = name.partition("/")
        if kind == method.name and rest.endswith("/search"):
            loss = record["valid"]
            found[float(rest.removesuffix("/search"))] = float("inf") if loss is None else loss
    return dict(sorted(found.items()))


def finals(records: Records, method: Method, seeds: int) -> list[Records]:
    """The trainings at the best rate, by seed, as far as they are there."""
    found = []
    for seed in range(seeds):
        names = [n for n in records if n.startswith(f"{method.name}/") and n.endswith(f"/{seed}")]
        found += [records[name] for name in names]
    return found


def complete(records: Records, methods: list[Method], seeds: int) -> bool:
    """Whether a task has all its trainings."""
    return bool(records) and all(len(finals(records, m, seeds)) == seeds for m in methods)


def usable(searched: dict[float, float], within: float) -> list[float]:
    """Neighbouring rates around the best whose loss is within a factor of the best."""
    if not searched:
        return []
    keys = list(searched)
    best = min(range(len(keys)), key=lambda i: searched[keys[i]])
    low = high = best
    most = within * searched[keys[best]]
    while low > 0 and searched[keys[low - 1]] <= most:
        low -= 1
    while high + 1 < len(keys) and searched[keys[high + 1]] <= most:
        high += 1
    return keys[low : high + 1]


def of_seeds(runs: list[Records], what: str) -> np.ndarray:
    """Values by seed; infinite where a training was not finite."""
    return np.array([run.get(what, float("inf" if what == "test" else "nan")) for run in runs])


def together(
    tasks: list[Task], methods: list[Method], files: dict[str, Records], seeds: int, within: float
) -> Iterator[str]:
    """Over tasks: how far above the task's best, against SDProp, and how wide the usable rates."""
    names = ", ".join(task.name for task in tasks)
    yield f"## Together: {counted(len(tasks), 'task')} ({names})"
    yield ""
    yield "Test loss over that of the task's best optimizer: geometric mean and worst. Against"
    yield "SDProp: tasks in which the test loss is lower, higher, or not decided. Usable rates:"
    yield "highest over lowest within 10 % of the best validation loss, geometric mean and"
    yield "narrowest (1: a single power of √10 does)."
    yield ""
    means = {
        task.name: {
            m.name: of_seeds(finals(files[task.name], m, seeds), "test").mean() for m in methods
        }
        for task in tasks
    }
    rows = []
    for method in methods:
        over = [means[t.name][method.name] / min(means[t.name].values()) for t in tasks]
        words = [against(files[t.name], method, methods, seeds) for t in tasks]
        wins = [sum(w == kind for w in words) for kind in ("lower", "higher", "not decided")]
        widths = []
        for task in tasks:
            keys = usable(rates(files[task.name], method), within)
            widths += [keys[-1] / keys[0]] if keys else []
        rows.append([
            method.name, f"{np.exp(np.log(over).mean()):.3f}", f"{max(over):.2f}",
            "" if method.name == OURS else "{}, {}, {}".format(*wins),
            f"{np.exp(np.log(widths).mean()):.1f}, {min(widths):.1f}" if widths else "no rate",
        ])  # fmt: skip
    rows.sort(key=lambda row: float(row[1]))
    head = ["optimizer", "loss over best", "worst", "lower, higher, not decided", "usable rates"]
    yield from table(head, rows)
    yield ""


def difference(records: Records, method: Method, ours: Method, seeds: int) -> tuple[float, float]:
    """Test loss less SDProp's, seed by seed: mean and standard error."""
    a, b = (
        of_seeds(finals(records, method, seeds), "test"),
        of_seeds(finals(records, ours, seeds), "test"),
    )
    if len(a) < seeds or len(b) < seeds or not np.isfinite([a, b]).all():
        return float("nan"), float("nan")
    return mean_error(a - b)


def against(records: Records, method: Method, methods: list[Method], seeds: int) -> str:
    """Whether an optimizer's test loss is lower or higher than SDProp's."""
    ours = next(m for m in methods if m.name == OURS)
    if not np.isfinite(of_seeds(finals(records, method, seeds), "test")).all():
        return "higher"
    mean, error = difference(records, method, ours, seeds)
    if abs(mean) <= STUDENT * error:
        return "not decided"
    return "lower" if mean < 0 else "higher"


def one_task(
    task: Task, methods: list[Method], records: Records, seeds: int, within: float
) -> Iterator[str]:
    """One table."""
    yield f"## {task.name}: {task.title}"
    yield ""
    searched = f", {task.search_steps} in the search" if task.search_steps else ""
    yield f"{task.steps} steps of {task.batch}{searched}."
    recipe = records.get("the recipe")
    if recipe:
        yield (
            f"nanoGPT's whole recipe once ({recipe['steps']} steps, AdamW, rate 0.001): validation"
            f" loss {recipe['valid']:.3f}, test {recipe['test']:.3f}; its README: 1.88."
        )
    yield ""
    ours = next(m for m in methods if m.name == OURS)
    rows = []
    for method in methods:
        tried, runs = rates(records, method), finals(records, method, seeds)
        if not tried and not runs:
            rows.append([method.name, "not run"])
            continue
        near = usable(tried, within)
        best = min(tried, key=lambda r: tried[r]) if tried else 1.0
        loss, right = of_seeds(runs, "test"), 100 * of_seeds(runs, "test accuracy")
        mean, error = difference(records, method, ours, seeds)
        sign = " *" if abs(mean) > STUDENT * error else ""
        rows.append([
            method.name,
            f"{best:.2g}" if tried else "–",
            f"{near[0]:.2g} to {near[-1]:.2g}" if near else "–",
            f"{tried[best]:.4f}" if tried else "–",
            _value(loss, 4), _value(right, 1),
            "" if method.name == OURS or np.isnan(mean) else f"{mean:+.4f} ± {error:.4f}{sign}",
        ])  # fmt: skip
    head = ["optimizer", "best rate", "rates within 10 %", "validation loss, seed 0", "test loss",
            "test accuracy, %", "test loss less SDProp's"]  # fmt: skip
    yield from table(head, [row + [""] * (len(head) - len(row)) for row in rows])
    yield ""
    yield "\\* decided: more than 4.30 standard errors of the difference, seed by seed."
    yield ""


def _value(sample: np.ndarray, places: int) -> str:
    """Mean and standard error, and how many seeds if not all three."""
    finite = sample[np.isfinite(sample)]
    if len(finite) < 2:
        words = f"{finite[0]:.{places}f}" if len(finite) else "not finite"
    else:
        mean, error = mean_error(finite)
        words = f"{mean:.{places}f} ± {error:.{places}f}"
    return words if len(finite) == 3 else f"{words} ({len(finite)} of {len(sample)} seeds)"
