"""What the reproduction of language models tries, and its page."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from _shared import made_in
from _wide import mean_error, table

PIECES, TEXTS, K = 20, 200, 8  # of a figure; of a time scale; exponents


@dataclass(frozen=True)
class Net:
    """A model: as ``RecurrentLM`` takes it, and how it is trained."""

    cell: str
    layers: int = 1
    outputs: str = "last"
    grown: bool = False
    held: bool = False
    rate: float = 5e-3


@dataclass(frozen=True)
class Task:
    """One text and what is tried on it."""

    name: str
    nets: dict[str, Net]
    hidden: int
    streams: int
    window: int
    epochs: int
    seeds: int
    orders: tuple[int, ...]
    length: int  # of a text whose time scale is read


def report(tasks: dict[str, Task], records: dict[str, Any]) -> Iterator[str]:
    """The page."""
    yield "# Recurrent language models beside n-grams"
    yield ""
    yield "Made by `reproductions/language_models.py`, whose docstring has the settings."
    cpu = 0.0
    for name, task in tasks.items():
        if records[name]:
            yield ""
            yield from of_task(task, records[name])
        cpu += sum(record["cpu"] for record in records[name].values())
    yield ""
    yield made_in(cpu)
    yield ""


def of_task(task: Task, records: dict[str, Any]) -> Iterator[str]:
    """Tables of one text."""
    words = task.name == "words"
    yield "## Penn Treebank, words" if words else "## Tiny Shakespeare, characters"
    yield ""
    unit = "perplexity" if words else "bits a character"
    yield f"Test {unit} ± standard error over {PIECES} pieces of the text"
    yield (
        "(theirs, at any budget: 5-grams 141.2, RNNLM 124.7, mixed 105.7)."
        if words
        else (f"({_seeds(task, records)}).")
    )
    yield ""
    rows = []
    shown: Callable[[list[float]], str] = partial(_shown, words=words)
    for order in task.orders:
        if record := records.get(f"{order}-grams"):
            rows.append([f"{order}-grams, discount {record['discount']}", shown(record["valid"]),
                         shown(record["test"]), *([""] if words else []),
                         f"{record['cpu']:.0f}"])  # fmt: skip
    for name in task.nets:
        of = [records[f"{name}/{s}"] for s in range(task.seeds) if f"{name}/{s}" in records]
        if not of:
            continue
        cells = [shown(_joined([r[part] for r in of])) for part in ("valid", "test")]
        if len(of) > 1:
            tests = [r["test"][0] / math.log(2) for r in of]
            cells[1] += f" ({max(tests) - min(tests):.3f})"
        if words:
            weight, *mixed = of[0]["mixed"]
            cells.append(f"{shown(mixed)}, weight {weight}")
        rows.append([name, *cells, f"{mean_error([r['training'] for r in of])[0]:.0f}"])
    mixed = ["mixed with the 5-grams"] if words else []
    yield from table(["model", "validation", "test", *mixed, "CPU s"], rows)
    yield ""
    yield "What is inside, by layer: steps after which a changed input has left a tenth of its"
    yield f"largest difference (mean ± s.e. of {TEXTS} texts; > where some outlast theirs), the"
    yield f"largest and the {K}th Lyapunov exponent, nats a step, sigma_1 of W_hn. Seed 0."
    yield ""
    rows = []
    for name in task.nets:
        record = records.get(f"{name}/0")
        if not record:
            continue
        parts = zip(record["scales"], record["exponents"], strict=True)
        for i, ((mean, error, cut), (values, errors, sure)) in enumerate(parts):
            doubt = "" if sure else " (error not trusted)"
            sigma = f"{record['sigma'][i]:.2f}" if record["sigma"] else ""
            rows.append([
                name if i == 0 else "",
                str(i + 1),
                f"{'> ' if cut else ''}{mean:.1f} ± {error:.1f}",
                f"{values[0]:.3f} ± {errors[0]:.1g}{doubt}",
                f"{values[-1]:.3f} ± {errors[-1]:.1g}",
                sigma,
            ])  # fmt: skip
    yield from table(["model", "layer", "time scale", "largest", f"{K}th", "sigma_1"], rows)


def _seeds(task: Task, records: dict[str, Any]) -> str:
    """How many were run of those planned."""
    done = sum(f"{name}/{s}" in records for name in task.nets for s in range(task.seeds))
    planned = task.seeds * len(task.nets)
    text = f"in brackets how far {task.seeds} seeds, of which it is the mean, lie apart"
    left = "" if done == planned else f"; {done} of the {planned} trainings planned were run"
    return text + left


def _joined(figures: list[list[float]]) -> list[float]:
    """Mean of several seeds with the mean error of the text, which they share."""
    return [sum(f[i] for f in figures) / len(figures) for i in (0, 1)]


def _shown(found: list[float], words: bool) -> str:
    nats, error = found
    if words:
        return f"{math.exp(nats):.1f} ± {math.exp(nats) * error:.1f}"
    return f"{nats / math.log(2):.3f} ± {error / math.log(2):.3f}"
