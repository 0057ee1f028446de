"""One exact natural-gradient step fits a wide network; layer by layer it needs 1 / L of it.

Claim: with the whole Fisher matrix a step of rate 1 takes a wide network to its targets, for near
its first weights it is linear in them; with the blocks of the L layers alone each block fits the
residual by itself, so that rate 1 overshoots L - 1 times and rate 1 / L is right (R. Karakida,
K. Osawa, NeurIPS 2020, treat such approximations).

Theirs: no number was confirmed at the source. Ours: L = 3, T = 20 inputs N(0, 1), 3 outputs,
targets = outputs + 0.1 N(0, 1), float64, damping 1e-8 of the trace, 5 seeds, tanh, ReLU, linear;
as many inputs as hidden units, M = 50 to 800. The step is ``-rate A^T (A A^T + damping)^-1 r /
sqrt(T)``, ``A = op.root`` of ``nakami.fisher``, ``A A^T = op.kernel``, ``r`` the residual; by
layers, the same with ``op.layer(pattern)``.

    python reproductions/karakida_2020_natural_step.py     all of it; goes on where it was stopped

Estimate before the run, one thread: 2 minutes.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import nakami
from nakami.operators import CurvatureOperator

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from _shared import charts, made_in  # noqa: E402
from _wide import LAWS, Kept, digits, generator, log_slope, mean_error, network, table  # noqa: E402

NAME = "karakida_2020_natural_step"
WIDTHS, SEEDS = (50, 100, 200, 400, 800), 5
DEPTH, SAMPLES, OUTPUTS, RESIDUAL, DAMPING = 3, 20, 3, 0.1, 1e-8
RATES = (0.1, 0.2, 0.3, 1 / 3, 0.4, 0.5, 0.6, 2 / 3, 0.8, 1.0, 1.2)
WAYS = {"whole": ("*",), "by layers": tuple(f"{2 * i}.*" for i in range(DEPTH))}


def main() -> None:
    settings = {"depth": DEPTH, "samples": SAMPLES, "outputs": OUTPUTS, "residual": RESIDUAL,
                "damping": DAMPING, "rates": RATES, "laws": LAWS}  # fmt: skip
    kept = Kept(HERE / "results" / f"{NAME}.json", settings)
    cells = [(phi, m, seed) for m in WIDTHS for phi in LAWS for seed in range(SEEDS)]
    for cell in cells:
        name = "|".join(map(str, cell))
        if kept.missing([name]):
            kept.add(name, measure(*cell))
            print(f"{name}: {kept.records[name]['cpu']:.2f} s CPU", flush=True)
    (HERE / "results" / f"{NAME}.md").write_text("\n".join(report(kept)), encoding="utf-8")
    draw(kept, HERE / "results" / f"{NAME}.svg")


def measure(phi: str, width: int, seed: int) -> dict[str, Any]:
    """Share of the residual left after one step, by way and rate."""
    began = time.process_time()
    source = generator(list(LAWS).index(phi), width, seed)
    model = network((*[width] * DEPTH, OUTPUTS), phi, source, torch.float64)
    x = torch.randn(SAMPLES, width, generator=source, dtype=torch.float64)
    noise = torch.randn(SAMPLES, OUTPUTS, generator=source, dtype=torch.float64)
    y = model(x).detach() + RESIDUAL * noise
    op = nakami.fisher(model, (x, y), nn.MSELoss())
    found: dict[str, Any] = {}
    for way, patterns in WAYS.items():
        step = natural_step(op, (model(x) - y).detach(), patterns)
        found[way] = [digits(left(op, step * rate, x, y, model)) for rate in RATES]
    return {**found, "cpu": digits(time.process_time() - began, 3)}


def natural_step(op: CurvatureOperator, residual: Tensor, patterns: Sequence[str]) -> Tensor:
    """``-(F + damping)^-1 gradient`` of half the squared error, ``(P,)``; a block per pattern.

    By the dual: ``(A^T A + d)^-1 A^T r = A^T (A A^T + d)^-1 r``.
    """
    step = torch.zeros(op.shape[0], dtype=op.dtype)
    places = op.split(torch.arange(op.shape[0]))
    for pattern in patterns:
        block = op.layer(pattern)
        assert block.root is not None
        assert block.kernel is not None
        dual = block.kernel.dense()
        dual.diagonal().add_(DAMPING * dual.trace())
        solved = torch.linalg.solve(dual, residual.flatten())
        here = torch.cat([places[name].flatten() for name in block.names])
        step[here] = -(block.root.T @ solved) / len(residual) ** 0.5
    return step


def left(op: CurvatureOperator, step: Tensor, x: Tensor, y: Tensor, model: nn.Module) -> float:
    """Length of the residual after a step over that before."""
    weights = dict(model.named_parameters())
    moved = {name: weights[name] + change for name, change in op.split(step).items()}
    with torch.no_grad():
        after = torch.func.functional_call(model, moved, (x,)) - y
        return float(after.norm() / (model(x) - y).norm())


def sample(kept: Kept, phi: str, width: int, way: str) -> np.ndarray:
    """Share left, ``(seeds, rates)``."""
    start = f"{phi}|{width}|"
    return np.array([r[way] for name, r in kept.records.items() if name.startswith(start)])


def report(kept: Kept) -> Iterator[str]:
    """Share of the residual left by width, whole and by layers."""
    yield "# One exact natural-gradient step"
    yield ""
    yield f"Length of the residual after one step over that before; L = {DEPTH}, T = {SAMPLES},"
    yield f"C = {OUTPUTS}, mean ± standard error of {SEEDS} seeds. A network linear in its weights"
    yield "would leave |1 - rate| with the whole matrix and |1 - L rate| by layers, where each"
    yield "layer alone can fit the residual."
    yield ""
    shown = [("whole", 1.0), ("whole", 0.5), ("by layers", 1 / 3), ("by layers", 0.5),
             ("by layers", 1.0)]  # fmt: skip
    rows = []
    for phi in LAWS:
        for m in WIDTHS:
            cells = [_at(kept, phi, m, way, rate) for way, rate in shown]
            rows.append([phi, str(m), *("{:#.3g} ± {:.1g}".format(*mean_error(c)) for c in cells)])
    head = ("activation", "M", *(f"{way}, rate {rate:.3g}" for way, rate in shown))
    yield from table(head, rows)
    yield ""
    yield "Slope of log share left (mean over seeds) over log M ± standard error of the fit:"
    yield ""
    slopes = [
        [phi, *("{:.2f} ± {:.2f}".format(*_slope(kept, phi, *one)) for one in (shown[0], shown[2]))]
        for phi in LAWS
    ]
    yield from table(("activation", "whole, rate 1", "by layers, rate 1/3"), slopes)
    yield ""
    yield "Theirs: no number that could be confirmed at the source."
    yield ""
    cpu = sum(record["cpu"] for record in kept.records.values())
    yield made_in(cpu)
    yield ""


def _at(kept: Kept, phi: str, width: int, way: str, rate: float) -> np.ndarray:
    return sample(kept, phi, width, way)[:, RATES.index(rate)]


def _slope(kept: Kept, phi: str, way: str, rate: float) -> tuple[float, float]:
    return log_slope(WIDTHS, [float(_at(kept, phi, m, way, rate).mean()) for m in WIDTHS])


def draw(kept: Kept, path: Path) -> None:
    """Share left by rate at each width, the linear network's dashed; SVG."""
    alt = charts()
    if alt is None:
        return
    rows: list[dict[str, Any]] = []
    for phi in LAWS:
        for way, layers in WAYS.items():
            cell = {"panel": f"{phi}, {way}"}
            fine = np.linspace(0.1, 1.2, 111)
            rows += [{**cell, "rate": float(t), "linear": max(abs(1 - len(layers) * t), 1e-4)}
                     for t in fine]  # fmt: skip
            for m in WIDTHS:
                means = sample(kept, phi, m, way).mean(0).tolist()
                rows += [{**cell, "rate": t, "width": str(m), "left": v}
                         for t, v in zip(RATES, means, strict=True)]  # fmt: skip
    y = alt.Scale(type="log", domain=[1e-4, 5], clamp=True)
    x = alt.X("rate:Q", title="rate of the step")
    colour = alt.Color("width:O", sort=[str(m) for m in WIDTHS], title="width M")
    found = alt.Chart().transform_filter("isValid(datum.left)").encode(x=x, color=colour)
    value = alt.Y("left:Q", scale=y, title="share of the residual left")
    lines = found.mark_line(point=True).encode(y=value)
    line = alt.Chart().transform_filter("isValid(datum.linear)").mark_line(
        strokeDash=[4, 4], color="grey", strokeWidth=1
    ).encode(x=x, y=alt.Y("linear:Q", scale=y))  # fmt: skip
    panels = [f"{phi}, {way}" for way in WAYS for phi in LAWS]
    panel = alt.layer(line, lines, data=alt.Data(values=rows)).properties(width=190, height=190)
    by = alt.Facet("panel:N", sort=panels, title="dashed: linear in its weights")
    panel.facet(by, columns=3).configure(aria=False).save(path)


if __name__ == "__main__":
    main()
