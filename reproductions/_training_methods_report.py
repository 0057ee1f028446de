"""The page of ``training_methods.py``, from its records."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise, permutations
from pathlib import Path
from typing import Any

import numpy as np
from _shared import charts, made_in
from _training_methods_nets import LEARNED, METHODS, Plan
from _wide import mean_error, table
from scipy.stats import rankdata

Record = dict[str, Any]
STUDENT = 4.303  # of 2 degrees of freedom, 95 %
TIMES = ("before", "after")
Steep = tuple[str, str, str, float, float]


def report(plan: Plan, records: list[Record]) -> Iterator[str]:
    """The page, line by line."""
    cpu = sum(r["training_cpu"] + r["reading_cpu"] for r in records)
    stages = [f"hidden{i + 1}" for i in range(len(plan.hidden))]
    yield "# What each training method does to the inside"
    yield ""
    yield (
        "Made by `reproductions/training_methods.py`, whose docstring is the protocol. "
        + made_in(cpu)
    )
    yield ""
    widths = "-".join(map(str, plan.hidden))
    yield (
        f"{784}-{widths}-10 sigmoid units, the first {plan.train:,} training digits of MNIST, "
        f"{len(plan.seeds)} seeds. *Before*: as the layers were learned, or drawn at random, with "
        f"an output layer at random. *After*: {plan.tune_epochs} epochs of gradient descent with "
        "labels. Numbers are means over seeds ± their standard errors, unless said otherwise."
    )
    yield ""
    yield from _outcome(records, stages)
    yield from _networks(records, stages)
    yield from _steep(records, stages)
    yield from _unfolding(records, stages)
    yield from _mixed(records, stages)
    yield from _published()


def _of(
    records: list[Record], method: str, when: str, get: Callable[[Record], float]
) -> list[float]:
    return [get(r[when]) for r in records if r["method"] == method]


def _text(values: list[float], digits: int = 2) -> str:
    mean, error = mean_error(values)
    return f"{mean:.{digits}f} ± {error:.{digits}f}"


def _spectrum(stage: str, name: str) -> Callable[[Record], float]:
    return lambda read: float(read["spectra"][stage][name])


def _error(read: Record) -> float:
    return float(read["error"])


def _networks(records: list[Record], stages: list[str]) -> Iterator[str]:
    yield "## Each method"
    yield ""
    yield "Errors in %. Largest eigenvalue and trace of the Fisher matrix of the mean"
    yield "cross-entropy at test digits, after. Saturated: share of units of hidden1 below 0.05 or"
    yield "above 0.95, before."
    yield ""
    head = [
        "method",
        "test error",
        "training error",
        "Fisher, largest",
        "Fisher, trace",
        "saturated",
    ]
    rows = []
    for m in METHODS:
        after: list[Callable[[Record], float]] = [
            _error, lambda r: r["train_error"], lambda r: r["fisher"]["largest"],
            lambda r: r["fisher"]["trace"],
        ]  # fmt: skip
        numbers = [_text(_of(records, m, "after", get)) for get in after]
        share = _of(records, m, "before", lambda r: 100 * r["saturated"][stages[0]])
        rows.append([m, *numbers, _text(share, 1)])
    yield from table(head, rows)
    yield ""
    for when in TIMES:
        yield f"## Jacobian from the input, {when}"
        yield ""
        yield "Values above 1 / effective rank / norm / share of the squared norm in ten values."
        yield ""
        names = ("above_one", "effective_rank", "norm", "steepness")
        yield from table(
            ["method", *stages, "output"],
            [
                [m, *(
                    " / ".join(
                        f"{mean_error(_of(records, m, when, _spectrum(stage, n)))[0]:.3g}"
                        for n in names
                    )
                    for stage in (*stages, "output")
                )]
                for m in METHODS
            ],
        )  # fmt: skip
        yield ""


def spearman(x: list[float], y: list[float]) -> tuple[float, float]:
    """Rank correlation, and the share of all permutations at least as far from 0."""
    a, b = (rankdata(v) - (len(v) + 1) / 2 for v in (x, y))
    scale = float(np.sqrt((a @ a) * (b @ b)))
    found = float(a @ b) / scale
    every = np.array(list(permutations(b))) @ a / scale
    return found, float((np.abs(every) >= abs(found) - 1e-12).mean())


def _rows_of_steepness(
    records: list[Record], stages: list[str], methods: tuple[str, ...] = METHODS
) -> list[Steep]:
    def mean(method: str, when: str, get: Callable[[Record], float]) -> float:
        return mean_error(_of(records, method, when, get))[0]

    errors = [mean(m, "after", _error) for m in methods]
    rows = []
    for when in TIMES:
        for stage in stages:
            for name in ("effective_rank", "norm"):
                found = [mean(m, when, _spectrum(stage, name)) for m in methods]
                rows.append((when, stage, name, *spearman(found, errors)))
    return rows


def _steep(records: list[Record], stages: list[str]) -> Iterator[str]:
    yield "## Do steep spectra go with better accuracy?"
    yield ""
    yield "Spearman's rank correlation over the seven methods, of a reading with the test error"
    yield "after fine-tuning; p by all 5,040 permutations. The claim wants it positive."
    yield ""
    every = _rows_of_steepness(records, stages)
    five = _rows_of_steepness(records, stages, LEARNED)
    yield from table(
        ["Jacobian", "layer", "reading", "correlation", "p", "of five"],
        [
            [when, stage, name.replace("_", " "), f"{rho:+.2f}", f"{p:.3f}", f"{alone[3]:+.2f}"]
            for (when, stage, name, rho, p), alone in zip(every, five, strict=True)
        ],
    )
    yield ""
    yield "Seven points are few, and two of them, plain and dropout, begin at the same random"
    yield "weights. *Of five*: among the methods that learn layers without labels alone; added"
    yield "after the results were seen, so it judges nothing."
    yield ""


def change(values: list[list[float]]) -> tuple[float, float]:
    """Mean over seeds of second minus first, and half of Student's 95 % interval."""
    steps = [b - a for a, b in zip(*values, strict=True)]
    mean, error = mean_error(steps)
    return mean, STUDENT * error


def verdict(mean: float, half: float) -> str:
    """Of the claim that it falls."""
    if abs(mean) <= half:
        return "not decided"
    return "holds" if mean < 0 else "contradicted"


def _depths(
    records: list[Record], stages: list[str], get: Callable[[str], Callable[[Record], float]]
) -> Iterator[Steep]:
    """(method, when, step, change, half interval)."""
    for when in TIMES:
        for m in METHODS:
            for below, above in pairwise(["input", *stages]):
                values = [_of(records, m, when, get(stage)) for stage in (below, above)]
                yield (m, when, f"{below} to {above}", *change(values))


def _turning(kind: str) -> Callable[[str], Callable[[Record], float]]:
    return lambda stage: lambda read: float(read["curves"][kind][stage])


READINGS: dict[str, Callable[[str], Callable[[Record], float]]] = {
    "error of a linear classifier, %": lambda stage: lambda r: float(r["probe"][stage]),
    "angle between steps of turned digits, degrees": _turning("turned"),
    "angle between steps of shifted digits, degrees": _turning("shifted"),
}


def _unfolding(records: list[Record], stages: list[str]) -> Iterator[str]:
    yield "## Do layers unfold what digits lie on?"
    yield ""
    for title, get in READINGS.items():
        yield f"### By depth: {title}"
        yield ""
        verdicts = {
            (m, when, step): verdict(mean, half)
            for m, when, step, mean, half in _depths(records, stages, get)
        }
        marks = {"holds": "↓", "contradicted": "↑", "not decided": "·"}
        rows = []
        for when in TIMES:
            for m in METHODS:
                cells = []
                for below, stage in pairwise([None, "input", *stages]):
                    text = f"{mean_error(_of(records, m, when, get(str(stage))))[0]:.1f}"
                    mark = marks[verdicts[m, when, f"{below} to {stage}"]] + " " if below else ""
                    cells.append(mark + text)
                rows.append([m, when, *cells])
        yield from table(["method", "", "input", *stages], rows)
        yield ""
    yield "↓ falls from the layer before (Student's 95 % interval over seeds without 0), ↑ rises, ·"
    yield "not decided."
    yield ""


def _away(stage: str) -> Callable[[Record], float]:
    return lambda read: float(read["mixtures"][stage]["away"])


def _right(stage: str) -> Callable[[Record], float]:
    return lambda read: float(read["mixtures"][stage]["right"])


def _nearer(records: list[Record], method: str, stage: str) -> str:
    """Whether a mean taken at this stage is nearer to a digit than one of pixels."""
    pair = [_of(records, method, "before", _away(each)) for each in ("input", stage)]
    return verdict(*change(pair))


def _mixed(records: list[Record], stages: list[str]) -> Iterator[str]:
    yield "## Is a mean of two digits, taken in a deep layer, a digit?"
    yield ""
    yield "Distance of what is carried down to its nearest training digit, over that of its two"
    yield "ends carried down alike / share of these nearest digits that are of the pair's class. 1"
    yield "says as near as the ends are; the ends themselves are blurred the more the deeper."
    yield ""
    rows = []
    for m in LEARNED:
        cells = []
        for stage in ("input", *stages):
            away = _of(records, m, "before", _away(stage))
            right = _of(records, m, "before", _right(stage))
            cells.append(f"{mean_error(away)[0]:.3f} / {mean_error(right)[0]:.3f}")
        rows.append([m, *cells])
    yield from table(["method", "input", *stages], rows)
    yield ""


def _outcome(records: list[Record], stages: list[str]) -> Iterator[str]:
    yield "## Outcome"
    yield ""
    rows = _rows_of_steepness(records, stages)
    for when in TIMES:
        some = [row for row in rows if row[0] == when]
        positive = sum(row[3] > 0 for row in some)
        sure = sum(row[3] > 0 and row[4] < 0.05 for row in some)
        against = sum(row[3] < 0 and row[4] < 0.05 for row in some)
        yield (
            f"* Steep spectra {when} fine-tuning go with fewer errors: the correlation is positive "
            f"in {positive} of {len(some)} rows, in {sure} with p below 0.05; negative with p "
            f"below 0.05 in {against}."
        )
    for title, get in READINGS.items():
        for when in TIMES:
            found = [
                verdict(mean, half)
                for _, w, _, mean, half in _depths(records, stages, get) if w == when
            ]  # fmt: skip
            counts = {v: found.count(v) for v in ("holds", "not decided", "contradicted")}
            told = ", ".join(f"{n} {v}" for v, n in counts.items())
            name = title.split(",")[0]
            yield f"* It falls with each layer, {name}, {when}: {told}, of {len(found)} steps."
    for stage in stages:
        found = [_nearer(records, m, stage) for m in LEARNED]
        told = ", ".join(f"{m} {v}" for m, v in zip(LEARNED, found, strict=True))
        yield f"* Means taken in {stage} are nearer to digits than means of pixels: {told}."
    yield ""


def _published() -> Iterator[str]:
    yield "## Beside the literature"
    yield ""
    yield "Rifai et al. (ICML 2011), one hidden layer of 1,000 units on all 60,000 digits; quoted"
    yield "by others, not read at the source: test errors 1.14 (CAE), 1.30 (RBM), 1.57 (denoising,"
    yield "masked) and 1.78 % (plain autoencoder), in the order of their Jacobians' norms. Ours:"
    yield "three layers, a sixth of the digits, no search for settings. So errors are no"
    yield "comparison; the order of methods is what was asked."
    yield ""


def draw(records: list[Record], path: Path) -> None:
    """Mean spectra of each layer before and after; SVG."""
    alt = charts()
    if alt is None:
        return
    rows = [
        {"method": m, "when": when, "stage": stage, "index": index, "value": float(value)}
        for m in METHODS
        for when in TIMES
        for stage in records[0][when]["spectra"]
        for index, value in enumerate(_mean_spectrum(records, m, when, stage), 1)
        if value > 1e-4
    ]
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_line()
        .encode(
            x=alt.X("index:Q", title="index"),
            y=alt.Y("value:Q", scale=alt.Scale(type="log"), title="singular value, mean"),
            color=alt.Color("method:N", sort=list(METHODS), title=None),
        )
        .properties(width=170, height=150)
        .facet(
            column=alt.Column("stage:N", title=None),
            row=alt.Row("when:N", sort=list(TIMES), title=None),
        )
    )
    chart.save(path)


def _mean_spectrum(records: list[Record], method: str, when: str, stage: str) -> Any:
    own = [r[when]["spectra"][stage] for r in records if r["method"] == method]
    return np.mean([each["mean_spectrum"] for each in own], axis=0)[:60]
