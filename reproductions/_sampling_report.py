"""Tables, verdicts and figure of ``sampling_detailed_balance.py``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from _sampling_machines import BIASES, KERNELS, SEEDS, TEMPERING, TIMES
from _sampling_sentences import checks
from _shared import charts, made_in
from _wide import Kept, table

BASE = "block Gibbs"


def report(kept: Kept) -> Iterator[str]:
    """All parts."""
    yield "# Sampling without detailed balance"
    yield ""
    yield from exact(kept)
    yield from biases(kept)
    yield from tempering(kept)
    yield from checks(kept)
    yield from on_digits(kept)
    yield made_in(sum(record["cpu"] for record in kept.records.values()))
    yield ""


def exact(kept: Kept) -> Iterator[str]:
    """Autocorrelation times by enumeration beside the reference values."""
    yield "## Autocorrelation times, exact"
    yield ""
    yield "Mean over all v_i p(h_j | v), in sweeps; 1 is independent. Machines with random weights:"
    yield "ours (reference). Bars and stripes: median, and least to largest, of our first draws"
    yield "(reference, of another one). Lifted: seen after each flip, in units of as many flips"
    yield "as there are units."
    yield ""
    rows, off = [], 0
    for name in KERNELS:
        cells = []
        for scale, wanted in zip(SEEDS, TIMES[name], strict=False):
            value = kept.records[f"exact|{scale:g}"]["times"][name][0]
            off += not agrees(value, wanted)
            cells.append(f"{value:.3g} ({wanted:g})")
        found = spread(kept, name)
        low, middle, high = found.min(), np.median(found), found.max()
        cells.append(f"{middle:.3g}, {low:.3g} to {high:.3g} ({TIMES[name][-1]:g})")
        rows.append([name, *cells])
    yield from table(("kernel", *(f"weights {s:g}" for s in SEEDS), "bars and stripes"), rows)
    yield ""
    count = len(KERNELS) * len(SEEDS)
    yield f"**Verdict**: {count - off} of {count} agree with the reference to its last digit. Bars"
    inside = sum(
        spread(kept, name).min() <= TIMES[name][-1] <= spread(kept, name).max() for name in KERNELS
    )
    yield f"and stripes: {inside} of {len(KERNELS)} references lie within the range of our draws."
    yield ""
    yield "Lifting, seen after each flip: the number of lit units, and the mean over all pairs,"
    yield "beside random flips (reference of the first: 0.36 against 0.99; 0.90 against 1.39)."
    yield ""
    rows = []
    for scale in SEEDS:
        t = kept.records[f"exact|{scale:g}"]["times"]
        pairs = [t[name] for name in ("lifted on the sum", "random flips, each step")]
        rows.append([f"weights {scale:g}", *(f"{p[i]:.3g}" for i in (1, 0) for p in pairs)])
    head = ("machine", "lit, lifted", "lit, flips", "pairs, lifted", "pairs, flips")
    yield from table(head, rows)
    yield ""


def spread(kept: Kept, name: str) -> np.ndarray:
    """Times on bars and stripes, one for each first draw."""
    records = [r for key, r in kept.records.items() if key.startswith("bars|")]
    return np.array([record["times"][name][0] for record in records])


def agrees(value: float, wanted: float) -> bool:
    """Whether it rounds to the reference, within half a unit more of its last digit."""
    last = 10.0 ** -len(f"{wanted:g}".partition(".")[2])
    return abs(value - wanted) <= last


def biases(kept: Kept) -> Iterator[str]:
    """Norms of CD-k's bias, by training."""
    yield "## Bias of contrastive divergence, exact"
    yield ""
    yield "Norm of what CD-k's mean direction of the weights lacks to the gradient; that one's norm"
    yield "is in the first row; machines after 200 and 1,500 steps of training on bars and stripes."
    yield "Median, and least to largest, of our first draws; reference from another one."
    yield ""
    rows, inside = [], 0
    records = [r["bias"] for key, r in kept.records.items() if key.startswith("bars|")]
    for (steps, name, k), wanted in BIASES.items():
        found = np.array([bias[f"{steps}|{name}|{k}"] for bias in records])
        inside += found.min() <= wanted <= found.max()
        label = "norm of the gradient" if name == "gradient" else f"{name}, k = {k}"
        text = f"{np.median(found):.3g}, {found.min():.3g} to {found.max():.3g}"
        rows.append([str(steps), label, text, f"{wanted:g}"])
    yield from table(("steps", "", "ours", "reference"), rows)
    yield ""
    more = sum(
        bias["200|Suwa-Todo pairs, given h|1"] > bias["200|block Gibbs|1"] for bias in records
    )
    late = sum(
        bias["1500|collapsed Suwa-Todo pairs|10"] < bias["1500|block Gibbs|10"] for bias in records
    )
    yield f"**Verdict**: {inside} of {len(BIASES)} references lie within the range of our draws."
    yield f"Early in training the bias of CD-1 is larger with Suwa-Todo pairs in {more} of"
    yield f"{len(records)} draws; late, that of CD-10 is smaller with collapsed pairs in {late}."
    yield ""


def tempering(kept: Kept) -> Iterator[str]:
    """Parallel tempering beside block Gibbs."""
    yield "## Parallel tempering"
    yield ""
    yield "One chain of 20,000 sweeps, 8 evenly spaced replicas; leading principal component of the"
    yield "machine, and total variation of the histogram from the law; mean of 10 runs."
    yield ""
    rows = []
    for name, wanted in TEMPERING.items():
        record = kept.records[f"tempering|{name}"]
        for place, way in enumerate((BASE, "parallel tempering")):
            r = record["runs"][way]
            truth = f"{record['exact']:.4g}" if way == BASE else ""
            rows.append([
                name, way, f"{r['time']:.3g} ± {r['error']:.2g}", truth, f"{wanted[place]:g}",
                f"{r['distance']:.3f} ± {r['distance_error']:.3f}", f"{wanted[2 + place]:g}",
            ])  # fmt: skip
    head = ("machine", "", "time, sweeps", "exact", "reference", "distance", "reference")
    yield from table(head, rows)
    yield ""
    yield "A sweep of 8 replicas costs 8 sweeps of one chain and the exchanges."
    yield ""


def on_digits(kept: Kept) -> Iterator[str]:
    """The trained machine: per sweep and per second."""
    yield "## 784 x 500, trained on digits"
    yield ""
    records = {k.partition("|")[2]: r for k, r in kept.records.items() if k.startswith("digits|")}
    if not records:
        yield "Not measured: MNIST's files were not there."
        yield ""
        return
    yield from trainings(kept)
    yield "mean autocorrelation time of 10 principal components and of the number of lit pixels, 20"
    yield "chains from training digits. The last columns say how far to trust it: R-hat should be"
    yield "below 1.01, and each chain at least 50 times longer than the slowest statistic's time;"
    yield "times of shorter chains are too small."
    yield ""
    rows = []
    for name, r in records.items():
        cost = f"{1e3 * r['seconds'] * r['time']:.3g}"
        rows.append([
            name, f"{r['time']:.3g} ± {r['error']:.2g}", f"{r['longest']:.3g}",
            f"{1e3 * r['seconds']:.3g}", cost, f"{r['rhat']:.3f}",
            "yes" if r["sweeps"] >= 50 * r["longest"] else "no",
        ])  # fmt: skip
    head = ("kernel", "time, sweeps", "slowest", "CPU ms a sweep and chain",
            "CPU ms an independent sample", "R-hat", "long enough")  # fmt: skip
    yield from table(head, rows)
    yield ""


def trainings(kept: Kept) -> Iterator[str]:
    """What two trainings of equal length lead to."""
    yield "Mean log p of 10,000 test digits by annealed importance sampling, 100 runs over 1,000"
    yield "temperatures; and 100 chains of block Gibbs sampling, 1,000 sweeps from digits."
    yield ""
    rows = []
    for key, r in kept.records.items():
        if key.startswith("training|"):
            rows.append([
                key.partition("|")[2], f"{r['test']:.1f} ± {r['error']:.1g}",
                f"{r['effective']:.0f}", f"{r['blank']} of {r['chains']}", f"{r['lit']:.1f}",
            ])  # fmt: skip
            digits = r["lit_digits"]
    head = ("training", "nats a test digit", "effective runs", "chains with under 10 lit pixels",
            f"mean of lit pixels (digits: {digits:.1f})")  # fmt: skip
    yield from table(head, rows)
    yield ""
    yield "Chains of the machine that was trained with persistent chains:"
    yield ""


def draw(kept: Kept, path: Path) -> None:
    """Times over that of block Gibbs, by kernel and machine; SVG."""
    alt = charts()
    if alt is None:
        return
    rows: list[dict[str, Any]] = []
    for name in KERNELS:
        for scale in SEEDS:
            t = kept.records[f"exact|{scale:g}"]["times"]
            rows.append({"kernel": name, "machine": f"weights {scale:g}",
                         "ratio": t[name][0] / t[BASE][0]})  # fmt: skip
        ratio = float(np.median(spread(kept, name) / spread(kept, BASE)))
        rows.append({"kernel": name, "machine": "bars and stripes", "ratio": ratio})
        digits = kept.records.get(f"digits|{name}")
        if digits:
            over = digits["time"] / kept.records[f"digits|{BASE}"]["time"]
            rows.append({"kernel": name, "machine": "digits", "ratio": over})
    base = alt.Chart(alt.Data(values=rows))
    points = base.mark_point(filled=True, size=60).encode(
        x=alt.X("ratio:Q", scale=alt.Scale(type="log", domain=[0.04, 2.5], nice=False),
                title="autocorrelation time a sweep, over that of block Gibbs"),
        y=alt.Y("kernel:N", sort=list(KERNELS), title=None, axis=alt.Axis(labelLimit=220)),
        color=alt.Color("machine:N", title=None), shape=alt.Shape("machine:N", title=None),
    )  # fmt: skip
    one = (
        alt.Chart(alt.Data(values=[{"ratio": 1}])).mark_rule(strokeDash=[4, 4]).encode(x="ratio:Q")
    )
    alt.layer(points, one).properties(width=420, height=240).configure(aria=False).save(path)
