"""Mean, second moment and largest eigenvalue of the Fisher matrix against theory.

Claim (R. Karakida, S. Akaho, S. Amari, AISTATS 2019, PMLR 89:1032-1041, arXiv 1806.01316): in wide
random networks, whatever the activation, the mean of the eigenvalues is ``kappa_1 C / M``, the
second moment ``alpha (kappa_2^2 (T-1)/T + kappa_1^2 / T) C``, the largest ``alpha (kappa_2
(T-1)/T + kappa_1 / T) M``: nearly all are close to zero, a few are huge.

Theirs: statements confirmed at the abstract; the figure's settings and numbers could not be
confirmed, so none are given. Ours: three activations, L = 3, as many inputs as hidden units,
inputs N(0, 1), T = 100, C = 1 and 10, 15 seeds, M = 100 to 2000. Everything comes from the dual,
``J J^T / T``, exactly: largest eigenvalues, trace and second moment. The mean is over all
parameters, output layer and biases included, which theory leaves out (a share of order C / M).

    python reproductions/karakida_2019_statistics.py     all of it; goes on where it was stopped

Estimate before the run, one thread: 450 networks, 3 minutes.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import nakami
from nakami.theory import meanfield

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from _shared import charts, made_in  # noqa: E402
from _wide import LAWS, Kept, digits, generator, log_slope, mean_error, network, order, table  # noqa: E402

NAME = "karakida_2019_statistics"
WIDTHS, OUTPUTS, SEEDS = (100, 200, 500, 1000, 2000), (1, 10), 15
SAMPLES, DEPTH = 100, 3
KINDS = {
    "m": "mean",
    "s": "second moment",
    "max": "largest",
    "top": "mean of the C largest",
    "bulk": "bulk",
    "edge": "largest over `largest_edge`",
}


def main() -> None:
    kept = Kept(
        HERE / "results" / f"{NAME}.json", {"samples": SAMPLES, "depth": DEPTH, "laws": LAWS}
    )
    names = [
        f"{phi}/{c}/{m}/{seed}"
        for m in WIDTHS
        for c in OUTPUTS
        for phi in LAWS
        for seed in range(SEEDS)
    ]
    for name in kept.missing(names):
        phi, c, m, seed = name.split("/")
        kept.add(name, measure(phi, int(c), int(m), int(seed)))
        print(f"{name}: {kept.records[name]['cpu']:.2f} s CPU", flush=True)
    (HERE / "results" / f"{NAME}.md").write_text("\n".join(report(kept)), encoding="utf-8")
    draw(kept, HERE / "results" / f"{NAME}.svg")


def measure(phi: str, outputs: int, width: int, seed: int) -> dict[str, float]:
    """Trace, trace of the square and largest eigenvalues of one network's Fisher matrix."""
    began = time.process_time()
    source = generator(list(LAWS).index(phi), outputs, width, seed)
    model = network((*[width] * DEPTH, outputs), phi, source)
    x = torch.randn(SAMPLES, width, generator=source)
    op = nakami.fisher(model, (x, torch.zeros(SAMPLES, outputs)), nn.MSELoss())
    assert op.kernel is not None
    top = nakami.eigh(op.kernel.dense(), outputs).values
    return {
        "parameters": op.shape[0],
        "trace": digits(nakami.trace(op).value, 6),
        "square": digits(op.second_moment().value, 6),
        "largest": digits(float(top[0]), 6),
        "top": digits(float(top.mean()), 6),
        "cpu": digits(time.process_time() - began, 3),
    }


def ratios(record: dict[str, float], phi: str, outputs: int, width: int) -> dict[str, float]:
    """Measured over theory, by the keys of ``KINDS``."""
    told = meanfield.fisher_statistics(order((*[width] * DEPTH, outputs), phi), SAMPLES)
    bulk = (record["trace"] - outputs * record["top"]) / told.n_bulk
    return {
        "m": record["trace"] / record["parameters"] / told.mean,
        "s": record["square"] / record["parameters"] / told.second_moment,
        "max": record["largest"] / told.largest,
        "top": record["top"] / told.largest,
        "bulk": bulk / told.bulk,
        "edge": record["largest"] / told.largest_edge,
    }


def sample(kept: Kept, phi: str, outputs: int, width: int) -> dict[str, np.ndarray]:
    """The ratios of all seeds."""
    found = [
        ratios(record, phi, outputs, width)
        for name, record in kept.records.items()
        if name.startswith(f"{phi}/{outputs}/{width}/")
    ]
    return {kind: np.array([one[kind] for one in found]) for kind in KINDS}


def trend(kept: Kept, phi: str, outputs: int, kind: str) -> tuple[float, float]:
    """Slope of the error over the width, both in logarithms, with its standard error.

    The error is the root of the mean over seeds of ``(ratio - 1)^2``.
    """
    errors = [float(((sample(kept, phi, outputs, m)[kind] - 1) ** 2).mean() ** 0.5) for m in WIDTHS]
    return log_slope(WIDTHS, errors)


def bias_trend(kept: Kept, phi: str, outputs: int, kind: str) -> str:
    """The same of the mean over seeds, where that is beyond twice its error at every width."""
    found = [mean_error(sample(kept, phi, outputs, m)[kind] - 1) for m in WIDTHS]
    if any(abs(mean) < 2 * error for mean, error in found):
        return "within the scatter"
    return "{:.2f} ± {:.2f}".format(*log_slope(WIDTHS, [abs(mean) for mean, _ in found]))


def report(kept: Kept) -> Iterator[str]:
    """Ratios by width, and how fast the error falls."""
    yield "# Statistics of the Fisher matrix' eigenvalues, measured over theory"
    yield ""
    laws = ", ".join(f"{phi} {law[0]:g}, {law[1]:g}" for phi, law in LAWS.items())
    yield f"L = {DEPTH}, T = {SAMPLES}, inputs N(0, 1) of M dimensions, {SEEDS} seeds; measured"
    yield "over theory, mean ± standard error. Laws (variance of a weight times fan-in, of a bias):"
    yield f"{laws}."
    for c in OUTPUTS:
        yield ""
        yield f"## C = {c}"
        yield ""
        rows = []
        for phi in LAWS:
            for m in WIDTHS:
                found = sample(kept, phi, c, m)
                rows.append([phi, str(m), *(_ratio(found[kind]) for kind in KINDS)])
        yield from table(("activation", "M", *KINDS.values()), rows)
    yield ""
    yield "## Trend of the error"
    yield ""
    yield "Slope of log error over log M, five widths, ± standard error of the fit; the error is"
    yield "the root of the mean square of ratio - 1 over seeds."
    yield ""
    shown = {k: v for k, v in KINDS.items() if k != "edge"}
    rows = [
        [str(c), phi, *("{:.2f} ± {:.2f}".format(*trend(kept, phi, c, kind)) for kind in shown)]
        for c in OUTPUTS
        for phi in LAWS
    ]
    yield from table(("C", "activation", *shown.values()), rows)
    yield ""
    yield "The same of the mean over seeds alone (the bias), where it exceeds twice its standard"
    yield "error at all widths:"
    yield ""
    rows = [[str(c), phi, *(bias_trend(kept, phi, c, kind) for kind in shown)]
            for c in OUTPUTS for phi in LAWS]  # fmt: skip
    yield from table(("C", "activation", *shown.values()), rows)
    yield ""
    yield "Theirs: statements, no numbers that could be confirmed at the source."
    yield ""
    cpu = sum(record["cpu"] for record in kept.records.values())
    yield made_in(cpu)
    yield ""


def _ratio(values: Sequence[float] | np.ndarray) -> str:
    return "{:.3f} ± {:.3f}".format(*mean_error(values))


def draw(kept: Kept, path: Path) -> None:
    """Ratios by width, a point for each seed, a line for their mean; SVG."""
    alt = charts()
    if alt is None:
        return
    rows: list[dict[str, Any]] = []
    for c in OUTPUTS:
        for phi in LAWS:
            for m in WIDTHS:
                found = sample(kept, phi, c, m)
                for kind in ("m", "s", "max"):
                    mean, error = mean_error(found[kind])
                    place = {"C": f"C = {c}", "activation": phi, "M": m, "what": KINDS[kind]}
                    bar = {"ratio": mean, "low": mean - error, "high": mean + error}
                    rows.append({**place, **bar})
    base = alt.Chart().encode(
        x=alt.X("M:Q", scale=alt.Scale(type="log", domain=[80, 2500]), title="width M"),
        color=alt.Color("activation:N", title=None),
    )
    scale = alt.Scale(type="log", domain=[0.85, 2.1])
    means = base.mark_line(point=alt.OverlayMarkDef(size=18)).encode(
        y=alt.Y("ratio:Q", scale=scale, title="measured over theory")
    )
    errors = base.mark_rule().encode(y=alt.Y("low:Q", scale=scale), y2="high:Q")
    one = alt.Chart().mark_rule(strokeDash=[4, 4]).encode(y=alt.datum(1, scale=scale))
    layers = alt.layer(one, means, errors, data=alt.Data(values=rows))
    column = alt.Column("what:N", sort=[KINDS[k] for k in ("m", "s", "max")], title=None)
    panels = layers.properties(width=190, height=190)
    chart = panels.facet(column=column, row=alt.Row("C:N", title=None, sort=["C = 1", "C = 10"]))
    chart.configure(aria=False).save(path)


if __name__ == "__main__":
    main()
