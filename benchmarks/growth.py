"""How cost grows: CPU seconds and memory over width, depth, inputs, k and parameters.

    python benchmarks/growth.py [--only width] [--anew]

Perceptrons of ReLU with random weights (He's scale), one axis at a time, each point a process of
its own on one thread: the 20 largest singular values of a Jacobian over width, depth and k; an
x-ray of four stages over inputs; the largest eigenvalue of the Fisher matrix, its trace, and the
advice for a training of 1,000 steps over parameters, beside one gradient of the same batch of 64.
An axis ends where a point takes more than ``LIMIT`` seconds, or is refused. The exponent is the
slope of a line through the logarithms of the last three points. The tables and the chart go to
``docs/measurements.md``; points that are there are not measured again.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Callable
from typing import Any

import _side_by_side as side
import numpy as np

LIMIT = 150.0  # CPU seconds of a point, after which an axis ends
BATCH, CLASSES, SEED = 64, 10, 0
FIXED = {"width": 512, "depth": 4, "k": 20, "inputs": 1}
AXES: dict[str, tuple[str, tuple[int, ...]]] = {
    "width": ("spectrum", (128, 256, 512, 1024, 2048, 4096)),
    "depth": ("spectrum", (2, 4, 8, 16, 32, 64)),
    "k": ("spectrum", (5, 10, 20, 50, 100, 200)),
    "inputs": ("xray", (1, 2, 4, 8, 16)),
    "parameters": ("curvature", (10**4, 10**5, 10**6, 10**7, 10**8)),
}
WORDS = {
    "width": "Jacobian, 20 values, depth 4, over width",
    "depth": "Jacobian, 20 values, width 512, over depth",
    "k": "Jacobian, width 512, depth 4, over the number of values",
    "inputs": "x-ray of 4 stages, 20 values, width 512, over inputs",
    "parameters": "Curvature, 64 examples, over parameters",
}
PARTS = ("gradient", "lambda_max", "trace", "advice")  # of curvature


def perceptron(sizes: list[int]) -> Any:
    """Linear maps with ReLU between them, at He's scale."""
    import torch
    from torch import nn

    torch.manual_seed(SEED)
    layers: list[nn.Module] = []
    for i, (m, n) in enumerate(itertools.pairwise(sizes)):
        layers += [nn.ReLU()] if i else []
        layers.append(nn.Linear(m, n))
        nn.init.kaiming_normal_(layers[-1].weight, nonlinearity="relu")
    return nn.Sequential(*layers)


def hidden(parameters: int) -> int:
    """Width of ``784-m-m-m-10`` with about so many parameters."""
    return round(max(np.roots([2, 784 + CLASSES + 3, CLASSES - parameters]).real))


def spectrum(at: dict[str, int]) -> dict[str, Callable[[], Any]]:
    import torch

    import nakami

    model = perceptron([at["width"]] * (at["depth"] + 1))
    x = torch.randn(1, at["width"])
    return {"cpu": lambda: nakami.svd(nakami.jacobian(model, x), at["k"], method="krylov")}


def xray(at: dict[str, int]) -> dict[str, Callable[[], Any]]:
    import torch

    import nakami

    model = perceptron([at["width"]] * (at["depth"] + 1))
    x = torch.randn(at["inputs"], at["width"])
    stages = [str(2 * i) for i in range(at["depth"])]
    return {"cpu": lambda: nakami.xray(model, x, stages=stages, k=at["k"])}


def curvature(at: dict[str, int]) -> dict[str, Callable[[], Any]]:
    import torch

    import nakami

    m = hidden(at["parameters"])
    model = perceptron([784, m, m, m, CLASSES])
    data = (torch.randn(BATCH, 784), torch.randint(CLASSES, (BATCH,)))
    batches = [data] * 30

    def gradient() -> None:
        loss = torch.nn.functional.cross_entropy(model(data[0]), data[1])
        torch.autograd.grad(loss, list(model.parameters()))

    return {
        "gradient": gradient,
        "lambda_max": lambda: nakami.eigh(nakami.fisher(model, data, "cross_entropy"), 1),
        "trace": lambda: nakami.trace(nakami.fisher(model, data, "cross_entropy")),
        "advice": lambda: nakami.learning_rate(
            model, batches, "cross_entropy", "adamw", steps=1000
        ),
    }


MAKERS = {"spectrum": spectrum, "xray": xray, "curvature": curvature}


def child(task: dict[str, Any]) -> None:
    """One point: seconds and megabytes of each part; a refusal is kept in its own words."""
    import torch

    from nakami.results import UsageError

    side.warm_up()
    torch.set_num_threads(1)
    kind, _ = AXES[task["axis"]]
    found: dict[str, Any] = {}
    for part, work in MAKERS[kind]({**FIXED, task["axis"]: task["value"]}).items():
        if task.get("only") and part != task["only"]:
            continue
        before = side.memory()
        try:
            seconds, _ = side.cpu_seconds(work)
        except (UsageError, MemoryError) as error:
            found[part] = {"refused": str(error)}
            continue
        extra = max(0, side.peak_memory() - before) / 1e6
        found[part] = {"s": round(seconds, 4), "mb": round(extra, 1)}
    print(json.dumps({"found": found}))


def measure(axis: str, rows: list[dict[str, Any]]) -> None:
    """The points of an axis that are missing, until one takes too long."""
    kind, values = AXES[axis]
    parts = PARTS if kind == "curvature" else ("cpu",)
    for part in parts:
        for value in values:
            there = [r for r in rows if (r["axis"], r["value"], r["part"]) == (axis, value, part)]
            row = there[0] if there else None
            if row is None:
                row = {**side.apart(__file__, axis=axis, value=value, only=part), "part": part}
                rows.append(row)
            found = row["found"][part]
            if "refused" in found or found["s"] > LIMIT:
                break


def exponent(values: list[float], costs: list[float]) -> float:
    """Slope of log cost over log value, through the last three points; nan with fewer than two."""
    if len(values) < 2:
        return float("nan")
    return float(np.polyfit(np.log(values[-3:]), np.log(costs[-3:]), 1)[0])


def table_of(axis: str, rows: list[dict[str, Any]]) -> str:
    """Seconds, megabytes and exponents of an axis; parts of curvature beside each other."""
    own = [row for row in rows if row["axis"] == axis]
    parts = [part for part in ("cpu", *PARTS) if any(row["part"] == part for row in own)]
    at = {(row["part"], row["value"]): row["found"][row["part"]] for row in own}
    lines = []
    for value in AXES[axis][1]:
        cells = []
        for part in parts:
            found = at.get((part, value), {})
            cells += (
                [f"{found['s']:.3g}", f"{found['mb']:.0f}"]
                if "s" in found
                else ["refused" if found else "", ""]
            )
        lines.append([f"{value:,}", *cells])
    slopes = ["exponent"]
    for part in parts:
        there = [(v, at[part, v]) for v in AXES[axis][1] if "s" in at.get((part, v), {})]
        xs = [float(v) for v, _ in there]
        for of in ("s", "mb"):
            slopes.append(f"{exponent(xs, [max(f[of], 1e-3) for _, f in there]):.2f}")
    names = {"cpu": "", **{part: f"{part.replace('_', ' ')}, " for part in PARTS}}
    heads = [axis, *(f"{names[part]}{unit}" for part in parts for unit in ("CPU s", "MB"))]
    refused = [f["refused"] for f in at.values() if "refused" in f]
    words = "".join(f"\nRefused: {text}\n" for text in dict.fromkeys(refused))
    return f"**{WORDS[axis]}**\n\n{side.table(heads, [*lines, slopes])}{words}"


def draw(rows: list[dict[str, Any]]) -> None:
    """Seconds over each axis, both logarithmic."""
    import altair as alt

    values = [
        {"panel": row["axis"], "x": row["value"], "y": found["s"], "part": row["part"]}
        for row in rows
        if "s" in (found := row["found"][row["part"]])
    ]
    chart = (
        alt.Chart(alt.Data(values=values))
        .mark_line(point=True)
        .encode(
            x=alt.X("x:Q", scale=alt.Scale(type="log"), title=None),
            y=alt.Y("y:Q", scale=alt.Scale(type="log"), title="CPU seconds"),
            color=alt.Color("part:N", title="curvature", sort=list(PARTS)),
        )
        .properties(width=170, height=170)
        .facet(facet=alt.Facet("panel:N", sort=list(AXES), title=None), columns=3)
        .resolve_scale(x="independent", y="independent")
    )
    chart.save(side.ROOT / "docs/images/growth.svg")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--child")
    parser.add_argument("--only", nargs="+", choices=list(AXES), default=list(AXES))
    parser.add_argument("--anew", action="store_true", help="measure again what is there")
    said = parser.parse_args()
    if said.child:
        child(json.loads(said.child))
        return
    file = side.RESULTS / "growth.json"
    rows: list[dict[str, Any]] = []
    if file.exists() and not said.anew:
        rows = [json.loads(line) for line in file.read_text().splitlines()[1:]]
    for axis in said.only:
        measure(axis, rows)
        there = [each for each in AXES if any(row["axis"] == each for row in rows)]
        side.keep("growth", rows, "\n".join(table_of(each, rows) for each in there))
    draw(rows)


if __name__ == "__main__":
    main()
