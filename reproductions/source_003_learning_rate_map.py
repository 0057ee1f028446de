"""The learning-rate map: which rates train a wide network, and the line of theory (source 003).

Claim (R. Karakida, report on project 17H07390, section 4 (1), its figure; the paper behind it is
Karakida, Akaho, Amari, AISTATS 2019): the largest eigenvalue computed from order parameters
gives the learning rate above which training diverges, and the rate that trains fastest, for batch
training and for stochastic training with batches that are not small.

Theirs: a colour map, width by rate, grey where the error diverged, a red line from the order
parameters; neither settings nor numbers stand in the report. Ours, three activations, L = 4, 10
outputs, half the squared error (sum over outputs, mean over samples):

* artificial: targets of another network of the same law, inputs N(0, 1), 100 samples, as many
  inputs as hidden units, gradient descent on all samples, 100 steps, 3 trials;
* MNIST: 60 000 digits, standardised by their mean and deviation, targets 0 and 1, batches of 500,
  heavy ball 0.9, one epoch (120 steps), 1 trial.

A run has *converged* where the mean of its last 10 losses lies below the first; it went by a
*catapult* where its loss was above twice the first on the way.

    python reproductions/source_003_learning_rate_map.py                      all; goes on
    python reproductions/source_003_learning_rate_map.py --tasks artificial   one of the two

Estimate before the run, one thread, from 30 steps at each width: artificial 4.5 minutes, MNIST
7. Data: ``$NAKAMI_DATA/mnist`` (see DATA.md).
"""

from __future__ import annotations

import argparse
import copy
import math
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import nakami
from nakami import data
from nakami.theory import meanfield

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from _shared import charts, made_in  # noqa: E402
from _wide import LAWS, Kept, digits, generator, network, order, table  # noqa: E402

OUT = HERE / "results" / "source_003_learning_rate_map"
OUTPUTS, LAST, CATAPULT = 10, 10, 2.0


@dataclass(frozen=True)
class Task:
    """One column of the map.

    Attributes:
        rates: In units of ``eta_c = 2 / lambda_max`` of theory. batch: samples of a step.
    """

    name: str
    widths: tuple[int, ...]
    rates: tuple[float, ...]
    trials: int
    batch: int
    steps: int
    momentum: float


GRID = (0.25, 0.5, 0.7, 0.85, 0.95, 1.05, 1.2, 1.5, 1.75, 2, 2.5, 3, 4, 5, 6, 10)
LOW = (0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.95, 1.3, 1.8, 2, 2.5, 3.5, 5)
TASKS = {
    "artificial": Task("artificial", (100, 200, 400, 800), GRID, 3, 100, 100, 0.0),
    "mnist": Task("mnist", (100, 200, 400, 800), LOW, 1, 500, 120, 0.9),
}
Batches = list[tuple[Tensor, Tensor]]


def main(argv: list[str] | None = None) -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--tasks", nargs="+", default=list(TASKS), choices=list(TASKS))
    for name in arguments.parse_args(argv).tasks:
        fill(TASKS[name], OUT, mnist() if name == "mnist" else None)
    page = "\n".join(report(OUT, list(TASKS.values())))
    (HERE / "results" / "source_003_learning_rate_map.md").write_text(page, encoding="utf-8")
    draw(OUT, list(TASKS.values()), HERE / "results" / "source_003_learning_rate_map.svg")


def mnist() -> tuple[Tensor, Tensor]:
    """All training digits, standardised, and their labels as rows of 0 and 1."""
    root = Path(os.environ.get("NAKAMI_DATA", HERE.parent / ".." / "shared" / "data")) / "mnist"
    if not root.is_dir():
        sys.exit(f"no data: {root} is needed; set NAKAMI_DATA to its folder.")
    examples = data.mnist(root, flat=True)
    assert examples.labels is not None
    x = examples.inputs
    return (x - x.mean()) / x.std(), nn.functional.one_hot(examples.labels, OUTPUTS).float()


def fill(task: Task, folder: Path, real: tuple[Tensor, Tensor] | None) -> None:
    """Make the records that are not there yet: one for each activation, width and trial."""
    cells = [(phi, m, t) for t in range(task.trials) for m in task.widths for phi in LAWS]
    files = {phi: kept(task, folder, phi) for phi in LAWS}
    for phi, width, trial in cells:
        name = f"{width}/{trial}"
        if files[phi].missing([name]):
            record = cell(task, phi, width, trial, real)
            files[phi].add(name, record)
            print(f"{task.name} {phi} width {width} trial {trial}: {record['cpu']:.1f} s CPU",
                  flush=True)  # fmt: skip


def kept(task: Task, folder: Path, phi: str) -> Kept:
    """The file of one task and activation."""
    settings = {"rates": task.rates, "batch": task.batch, "steps": task.steps,
                "momentum": task.momentum, "law": LAWS[phi]}  # fmt: skip
    return Kept(folder / f"{task.name}-{phi}.json", settings)


def cell(
    task: Task, phi: str, width: int, trial: int, real: tuple[Tensor, Tensor] | None
) -> dict[str, Any]:
    """All rates from the same first weights: first, largest and last loss; measured sharpness."""
    began = time.process_time()
    source = generator(list(LAWS).index(phi), width, trial, real is not None)
    inputs = width if real is None else real[0].shape[1]
    widths = (inputs, width, width, width, OUTPUTS)
    model = network(widths, phi, source)
    start: Any = (1.0, 0.0)
    if real is None:
        x = torch.randn(task.batch, inputs, generator=source)
        with torch.no_grad():
            batches = [(x, network(widths, phi, source)(x))] * task.steps
    else:
        mixed = torch.randperm(len(real[0]), generator=source).split(task.batch)
        batches = [(real[0][i], real[1][i]) for i in mixed[: task.steps]]
        start = meanfield.start_values(real[0].numpy())
    eta = meanfield.learning_rate(order(widths, phi, start), task.batch).limit
    op = nakami.fisher(model, batches[0], nn.MSELoss())
    largest = float(nakami.eigh(op, 1, 1e-3).values[0])
    runs = [descend(model, batches, rate * eta, task.momentum) for rate in task.rates]
    return {
        "eta_c": digits(eta, 6),
        "measured": digits(2 / largest, 6),
        "first": digits(runs[0][0]),
        "peak": [digits(run.max()) for run in runs],
        "last": [digits(run[-LAST:].mean()) for run in runs],
        "cpu": digits(time.process_time() - began, 3),
    }


def descend(model: nn.Module, batches: Batches, rate: float, momentum: float) -> np.ndarray:
    """Losses before each step and after the last; ends where they are no longer finite."""
    model = copy.deepcopy(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=momentum)
    losses = []
    for x, y in [*batches, batches[-1]]:
        optimizer.zero_grad()
        loss = 0.5 * (model(x) - y).square().sum(1).mean()
        losses.append(float(loss.detach()))
        if not math.isfinite(losses[-1]):
            return np.array([*losses[:-1], np.inf])
        loss.backward()
        optimizer.step()
    return np.array(losses)


class Reading:
    """What the records of one task, activation and width say.

    Attributes:
        eta_c: Theory's. measured: Each network's own limit with the momentum given, over ``eta_c``.
        ratio: Last loss over the first, ``(trials, rates)``; ``inf``: diverged.
        converged, catapult: Likewise.
    """

    def __init__(self, task: Task, folder: Path, phi: str, width: int):
        found = kept(task, folder, phi).records
        names = [f"{width}/{trial}" for trial in range(task.trials)]
        self.records = [found[name] for name in names if name in found]
        self.rates = np.array(task.rates)
        self.eta_c = float(self.records[0]["eta_c"])
        gain = 1 + task.momentum
        self.measured = gain * np.array([r["measured"] for r in self.records]) / self.eta_c
        first = np.array([r["first"] for r in self.records])[:, None]
        self.ratio = np.array([r["last"] for r in self.records]) / first
        self.converged = self.ratio < 1
        rose = np.array([r["peak"] for r in self.records]) > CATAPULT * first
        self.catapult = self.converged & rose

    @property
    def borders(self) -> np.ndarray:
        """Of each trial, the largest rate up to which every run converged, over ``eta_c``."""
        steady = np.cumprod(self.converged, 1).sum(1)
        return np.array([self.rates[n - 1] if n else 0.0 for n in steady])

    @property
    def fastest(self) -> float:
        """Rate of the smallest last loss, geometric mean over trials, over ``eta_c``."""
        return float(self.rates[np.log(self.ratio).mean(0).argmin()])


def report(folder: Path, tasks: list[Task]) -> Iterator[str]:
    """Border, fastest rate and catapults by width, in units of theory's rate."""
    yield "# The learning-rate map (source 003)"
    yield ""
    yield "Rates in units of `eta_c = 2 / lambda_max`, the latter from the order parameters for the"
    yield "samples of a step. Border: largest rate up to which every run converged (smallest to"
    yield "largest of the trials). Catapults: runs that rose above twice their first loss and came"
    yield "down below it. Own limit: `2 (1 + momentum) / lambda_max` of the networks themselves, on"
    yield "all samples or the first batch, mean of the trials. Best: geometric mean of last over"
    yield "first loss at the fastest rate."
    cpu = 0.0
    for task in tasks:
        yield ""
        about = f"momentum {task.momentum:g}" if task.momentum else "gradient descent"
        yield f"## {task.name}: {about}, {task.batch} samples a step, {task.steps} steps"
        yield ""
        rows = []
        for phi in LAWS:
            for width in _widths(task, folder, phi):
                r = Reading(task, folder, phi, width)
                rows.append(_row(phi, width, r))
                cpu += sum(record["cpu"] for record in r.records)
        head = ("activation", "width", "trials", "eta_c", "border", "fastest", "best", "own limit",
                "converged at and below 0.95", "catapults", "at rates")  # fmt: skip
        yield from table(head, rows)
    yield ""
    yield "Theirs: the figure alone, without numbers, settings or a table."
    yield ""
    yield made_in(cpu)
    yield ""


def _row(phi: str, width: int, r: Reading) -> list[str]:
    low = r.rates <= 0.95
    fly = r.catapult.any(0)
    ends = r.rates[fly]
    return [
        phi, str(width), str(len(r.records)), f"{r.eta_c:.3g}",
        " to ".join(dict.fromkeys(f"{b:g}" for b in (r.borders.min(), r.borders.max()))),
        f"{r.fastest:g}", f"{math.exp(np.log(r.ratio).mean(0).min()):.2g}",
        f"{r.measured.mean():.2f}",
        f"{r.converged[:, low].sum()} of {r.converged[:, low].size}",
        f"{r.catapult.sum()} of {r.converged.sum()}",
        f"{ends.min():g} to {ends.max():g}" if fly.any() else "none",
    ]  # fmt: skip


def draw(folder: Path, tasks: list[Task], path: Path) -> None:
    """Loss by width and rate, theory's lines over it; SVG."""
    alt = charts()
    if alt is None:
        return
    done = [t for t in tasks if all(_widths(t, folder, phi) for phi in LAWS)]
    rows = [alt.hconcat(*(_panel(alt, t, folder, phi) for phi in LAWS)) for t in done]
    chart = alt.vconcat(*rows).resolve_scale(color="shared")
    title = (
        "Mean of the last ten losses over the first. Grey: some run diverged. C: catapult. "
        "Ring: fastest. Red: theory, dashed: with momentum"
    )
    chart.properties(title=title).configure(aria=False).save(path)


def _widths(task: Task, folder: Path, phi: str) -> list[int]:
    lacking = kept(task, folder, phi).missing([f"{m}/0" for m in task.widths])
    return [m for m in task.widths if f"{m}/0" not in lacking]


def _panel(alt: Any, task: Task, folder: Path, phi: str) -> Any:
    readings = {m: Reading(task, folder, phi, m) for m in _widths(task, folder, phi)}
    grid = np.array(task.rates)
    inner = np.sqrt(grid[1:] * grid[:-1])
    low = np.append(grid[0] ** 2 / inner[0], inner)
    high = np.append(inner, grid[-1] ** 2 / inner[-1])
    cells = [
        {
            "width": str(m),
            "rate": float(grid[i] * r.eta_c),
            "low": float(low[i] * r.eta_c),
            "high": float(high[i] * r.eta_c),
            "log": float(np.log10(r.ratio[:, i]).mean()) if r.converged[:, i].all() else 0.0,
            "all": bool(r.converged[:, i].all()),
            "note": "C" if r.catapult[:, i].any() else "",
            "fastest": bool(grid[i] == r.fastest),
        }
        for m, r in readings.items()
        for i in range(len(grid))
    ]
    gain = 2 * (1 + task.momentum)
    lines = [{"width": str(m), "eta": r.eta_c, "ball": r.eta_c * gain / 2}
             for m, r in readings.items()]  # fmt: skip
    order_x = [str(m) for m in readings]
    x = alt.X("width:O", sort=order_x, title="width", axis=alt.Axis(labelAngle=0))
    scale = alt.Scale(type="log", nice=False)
    colour = alt.condition(
        "datum.all",
        alt.Color(
            "log:Q", title="log10", scale=alt.Scale(scheme="viridis", domain=[-4, 0], clamp=True)
        ),
        alt.value("#c8c8c8"),
    )
    base = alt.Chart(alt.Data(values=cells)).encode(x=x)
    rects = base.mark_rect().encode(
        y=alt.Y("low:Q", scale=scale, title="learning rate"), y2="high:Q", color=colour
    )
    notes = base.mark_text(fontSize=10).encode(y="rate:Q", text="note:N", color=alt.value("white"))
    best = base.transform_filter("datum.fastest").mark_point(size=90, strokeWidth=2).encode(
        y="rate:Q", color=alt.value("white")
    )  # fmt: skip
    theory = alt.Chart(alt.Data(values=lines)).encode(x=x)
    red = theory.mark_line(color="red", strokeWidth=2).encode(y="eta:Q")
    layers = rects + notes + best + red
    if task.momentum:
        layers += theory.mark_line(color="red", strokeDash=[5, 4]).encode(y="ball:Q")
    return layers.properties(width=190, height=260, title=f"{phi}, {task.name}")


if __name__ == "__main__":
    main()
