"""Subtracting the mean of the last layer's outputs takes the outlier away.

Claim (R. Karakida, S. Akaho, S. Amari, NeurIPS 2019, arXiv 1906.02926): the largest eigenvalue of
a wide network's Fisher matrix grows with the width; normalising the last layer over the samples
takes that away where width and number of samples fit, normalising a middle layer does not.

Theirs: the statement, confirmed at the abstract; no numbers were. Ours: L = 4, C = 1, inputs
N(0, 1), as many as hidden units, 5 seeds, twice: T = 100, and T = M / 2, where samples grow with
the width. *Before*: the dual ``K`` of ``nakami.fisher``. *Mean*: ``P K P``, ``P = I - 1 1^T / T``,
the dual of the outputs less their mean. *Last*, *middle*: batch normalisation (scale 1, shift 0)
behind the last layer or before the second activation, by the statistics of the batch
(``batch_statistics=True``); T = 100, widths to 800, 3 seeds.

    python reproductions/karakida_2019_mean_subtraction.py     all of it; goes on where it stopped

Estimate before the run, one thread: 5 minutes, nearly all of it batch normalisation.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import nakami
from nakami.theory import meanfield

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from _shared import charts, made_in  # noqa: E402
from _wide import LAWS, Kept, digits, generator, log_slope, mean_error, network, order, table  # noqa: E402

NAME = "karakida_2019_mean_subtraction"
WIDTHS, SEEDS, DEPTH = (100, 200, 400, 800, 1600), 5, 4
SIZES = {"T = 100": lambda width: 100, "T = M/2": lambda width: width // 2}
WAYS = ("before", "mean", "last", "middle")
NAMES = ("before", "mean subtracted", "last layer normalised", "second layer normalised")


def main() -> None:
    kept = Kept(HERE / "results" / f"{NAME}.json", {"depth": DEPTH, "laws": LAWS})
    cells = [
        (phi, size, m, seed)
        for m in WIDTHS
        for size in SIZES
        for phi in LAWS
        for seed in range(SEEDS)
    ]
    for cell in cells:
        name = "|".join(map(str, cell))
        if kept.missing([name]):
            kept.add(name, measure(*cell))
            print(f"{name}: {kept.records[name]['cpu']:.2f} s CPU", flush=True)
    (HERE / "results" / f"{NAME}.md").write_text("\n".join(report(kept)), encoding="utf-8")
    draw(kept, HERE / "results" / f"{NAME}.svg")


def measure(phi: str, size: str, width: int, seed: int) -> dict[str, float]:
    """Largest eigenvalue of one network's Fisher matrix, each way."""
    began = time.process_time()
    samples = SIZES[size](width)
    source = generator(list(LAWS).index(phi), samples, width, seed)
    model = network((*[width] * DEPTH, 1), phi, source)
    x = torch.randn(samples, width, generator=source)
    kernel = nakami.fisher(model, (x, torch.zeros(samples, 1)), nn.MSELoss()).kernel
    assert kernel is not None
    dual = kernel.dense().double()
    found = {"before": largest(dual), "mean": largest(centred(dual))}
    if size == "T = 100" and width <= 800 and seed < 3:
        last = nn.Sequential(*model, nn.BatchNorm1d(1, affine=False))
        middle = nn.Sequential(*model[:2], nn.BatchNorm1d(width, affine=False), *model[2:])
        found |= {"last": by_batch(last, x), "middle": by_batch(middle, x)}
    rounded = {way: digits(value, 6) for way, value in found.items()}
    return {**rounded, "cpu": digits(time.process_time() - began, 3)}


def centred(dual: Tensor) -> Tensor:
    """``P K P`` with ``P = I - 1 1^T / T``, for one output."""
    return dual - dual.mean(0) - dual.mean(1)[:, None] + dual.mean()


def largest(matrix: Any) -> float:
    """Largest eigenvalue."""
    return float(nakami.eigh(matrix, 1).values[0])


def by_batch(model: nn.Module, x: Tensor) -> float:
    """With batch normalisation by the statistics of these very samples."""
    y = torch.zeros(len(x), 1)
    return largest(nakami.fisher(nakami.View(model, batch_statistics=True), (x, y), nn.MSELoss()))


def told(phi: str, size: str, width: int) -> dict[str, float]:
    """Theory: before, mean subtracted and its edge for Gaussian inputs, last layer normalised."""
    widths, samples = (*[width] * DEPTH, 1), SIZES[size](width)
    found = order(widths, phi)
    less = meanfield.mean_subtracted(found, samples)
    return {
        "before": meanfield.fisher_statistics(found, samples).largest,
        "mean": less.largest,
        "edge": less.edge,
        "last": meanfield.batch_normalised(found, samples).edge,
    }


def sample(kept: Kept, phi: str, size: str, width: int, way: str) -> np.ndarray:
    """The measured values of all seeds."""
    start = f"{phi}|{size}|{width}|"
    records = [r for name, r in kept.records.items() if name.startswith(start)]
    return np.array([r[way] for r in records if way in r])


def report(kept: Kept) -> Iterator[str]:
    """Largest eigenvalues by width, theory beside, and how they grow."""
    yield "# Mean subtraction in the last layer"
    yield ""
    yield f"Largest eigenvalue, L = {DEPTH}, C = 1, inputs N(0, 1) of M dimensions, mean ± standard"
    yield f"error of {SEEDS} seeds (normalised: 3). `edge` is `mean_subtracted(...).edge`: where"
    yield "the bulk ends for Gaussian inputs; `largest` in the same is the bulk's mean."
    rows, slopes = [], []
    for size in SIZES:
        for phi in LAWS:
            for m in WIDTHS:
                rows.append(_row(kept, phi, size, m))
            slopes.append([size, phi, *(_slope(kept, phi, size, way) for way in WAYS)])
    yield ""
    head = ("samples", "activation", "M", "before", "over theory", "mean subtracted", "over bulk",
            "over edge", "last normalised", "over its edge", "middle normalised")  # fmt: skip
    yield from table(head, rows)
    yield ""
    yield "## Growth with the width"
    yield ""
    yield "Slope of log largest eigenvalue (mean over seeds) over log M ± error of the fit."
    yield ""
    yield from table(("samples", "activation", *WAYS), slopes)
    yield ""
    yield "Theirs: statements, no numbers that could be confirmed at the source."
    yield ""
    cpu = sum(record["cpu"] for record in kept.records.values())
    yield made_in(cpu)
    yield ""


def _row(kept: Kept, phi: str, size: str, m: int) -> list[str]:
    theory = told(phi, size, m)
    found = {way: sample(kept, phi, size, m, way) for way in WAYS}
    before, mean, last, middle = (found[way] for way in WAYS)
    return [
        size, phi, str(m), _spread(before), _spread(before / theory["before"]), _spread(mean),
        _spread(mean / theory["mean"]), _spread(mean / theory["edge"]),
        _spread(last), _spread(last / theory["last"]), _spread(middle),
    ]  # fmt: skip


def _slope(kept: Kept, phi: str, size: str, way: str) -> str:
    means = {m: sample(kept, phi, size, m, way) for m in WIDTHS}
    known = {m: float(values.mean()) for m, values in means.items() if len(values)}
    if len(known) < 3:
        return ""
    return "{:.2f} ± {:.2f}".format(*log_slope(list(known), list(known.values())))


def _spread(values: np.ndarray) -> str:
    if not len(values):
        return ""
    mean, error = mean_error(values)
    return f"{mean:.0f} ± {error:.0f}" if mean >= 100 else f"{mean:.3g} ± {error:.1g}"


def draw(kept: Kept, path: Path) -> None:
    """Largest eigenvalue by width, each way, theory dashed; SVG."""
    alt = charts()
    if alt is None:
        return
    rows: list[dict[str, Any]] = []
    for size in SIZES:
        for phi in LAWS:
            for m in WIDTHS:
                theory, cell = told(phi, size, m), {"M": m, "panel": f"{phi}, {size}"}
                for way, name in zip(WAYS, NAMES, strict=True):
                    values = sample(kept, phi, size, m, way).tolist()
                    rows += [{**cell, "network": name, "measured": v} for v in values]
                rows += [{**cell, "network": name, "theory": theory[way]}
                         for way, name in (("before", NAMES[0]), ("edge", NAMES[1]))]  # fmt: skip
    y = alt.Scale(type="log", domain=[5, 2000])
    base = alt.Chart().encode(
        x=alt.X("M:Q", scale=alt.Scale(type="log", domain=[80, 2000]), title="width M"),
        color=alt.Color("network:N", sort=list(NAMES), title=None),
    )
    known = base.transform_filter("isValid(datum.measured)")
    points = known.mark_point(size=14, opacity=0.5).encode(
        y=alt.Y("measured:Q", scale=y, title="largest eigenvalue")
    )
    means = known.mark_line().encode(y=alt.Y("mean(measured):Q", scale=y))
    dashed = (
        base.transform_filter("isValid(datum.theory)")
        .mark_line(strokeDash=[4, 4])
        .encode(y=alt.Y("theory:Q", scale=y))
    )
    layers = alt.layer(means, points, dashed, data=alt.Data(values=rows))
    panels = [f"{phi}, {size}" for size in SIZES for phi in LAWS]
    by = alt.Facet("panel:N", sort=panels, title="dashed: theory, and the edge of the bulk")
    panel = layers.properties(width=190, height=190)
    panel.facet(by, columns=3).configure(aria=False).save(path)


if __name__ == "__main__":
    main()
