"""Barycenters of histograms: blurred, debiased, and of the lambda-divergence.

Claims: the barycenter of the entropic cost is blurred, that of the lambda-divergence is not
(S. Amari, R. Karakida, M. Oizumi, M. Cuturi, Neural Computation 31, 827, 2019), nor is that of the
Sinkhorn divergence (H. Janati, M. Cuturi, A. Gramfort, ICML 2020).

Theirs: pictures; the settings of the 2019 paper could not be found. Ours, cost ``|x - y|^2`` with
the longest axis from 0 to 1, ``reg`` times the entropy, equal weights, float64:

* known answers: two Gaussians of sd 0.04 on 64 x 64 and on 32 x 64, two single pixels on 20 x 20
  (PythonOT/POT#458), twice the same input;
* pictures: shapes of 64 x 64 drawn here;
* which sharp one is nearer to the exact: pairs on 80 points, whose exact barycenter is the mean of
  the quantile functions, and Gaussians of two widths by formula;
* steps: exponentiated gradient with one step of Sinkhorn between two of its own (ours) and with
  twenty.

    python reproductions/transport_barycenters.py         all of it; goes on where it was stopped
    python reproductions/transport_barycenters.py --pot   beside POT, where that is installed

Estimate before the run, one thread: 3 minutes, with POT 4. Needs no data.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nakami import transport
from nakami.results import NotConvergedWarning

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
import _transport_cases as cases  # noqa: E402
from _shared import made_in  # noqa: E402
from _transport_picture import draw  # noqa: E402
from _transport_report import KINDS, page  # noqa: E402
from _wide import Kept, digits  # noqa: E402

NAME = "transport_barycenters"
SD, REGS = 0.04, (1e-3, 2e-3)
PIXEL_REGS = (5e-4, 1e-3, 2e-3, 4e-3, 1e-2)
LINE_REGS, POINTS, LINE_STEPS = (1e-3, 4e-3, 1.6e-2), 80, 4000
ON_THE_WAY = (30, 100, 300, 1000)
PICTURES = (("ring", "square"), ("ring", "cross"), ("square", "cross"), ("disc", "two discs"),
            ("ring", "square", "cross"))  # fmt: skip
PICTURE_REG, PICTURE_STEPS, SIZE = 2e-3, 1000, 64
WIDTHS = tuple(
    (a, b, reg) for a, b in ((0.03, 0.06), (0.02, 0.08)) for reg in (1e-3, 3e-3, 1e-2, 3e-2)
)
WAYS, HELD_SIZE, HELD_REG, HELD_STEPS = (1, 20), 24, 4e-3, 600
POT = ((1e-3, "sinkhorn"), (2e-3, "sinkhorn"), (2e-3, "sinkhorn_log"))
Record = dict[str, Any]


def main(argv: list[str] | None = None) -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--pot", action="store_true")
    with_pot = arguments.parse_args(argv).pot
    warnings.simplefilter("ignore", NotConvergedWarning)  # the residual stands in each record
    settings = {"sd": SD, "regs": REGS, "pixel_regs": PIXEL_REGS, "line_regs": LINE_REGS,
                "points": POINTS, "line_steps": [*ON_THE_WAY, LINE_STEPS], "pictures": PICTURES,
                "picture_reg": PICTURE_REG, "picture_steps": PICTURE_STEPS, "size": SIZE,
                "held": [HELD_SIZE, HELD_REG, HELD_STEPS]}  # fmt: skip
    kept = Kept(HERE / "results" / f"{NAME}.json", settings)
    for name, make in tasks(with_pot).items():
        if kept.missing([name]):
            began = time.process_time()
            record = make()
            spent = time.process_time() - began
            whole = kept.records.get("CPU", {"s": 0.0})["s"] + spent
            kept.records["CPU"] = {"s": digits(whole)}
            kept.add(name, record)
            print(f"{name}: {spent:.2f} s CPU", flush=True)
    widths = {key: cases.gaussian_widths(key[:2], key[2]) for key in WIDTHS}
    text = [*page(kept.records, widths), "", made_in(kept.records["CPU"]["s"]), ""]
    (HERE / "results" / f"{NAME}.md").write_text("\n".join(text), encoding="utf-8")
    shapes = cases.drawn(SIZE)
    rows = [[shapes[name] for name in names] + [picture(names, kind).mass for kind in KINDS]
            for names in PICTURES]  # fmt: skip
    draw(rows, KINDS, HERE / "results" / f"{NAME}.png")


def tasks(with_pot: bool) -> dict[str, Callable[[], Record]]:
    """What to measure, by name."""
    made: dict[str, Callable[[], Record]] = {}
    for kind in KINDS:
        for reg in REGS:
            made[f"64 x 64|{reg:g}|{kind}"] = lambda k=kind, r=reg: known((64, 64), r, k)
        made[f"32 x 64|0.002|{kind}"] = lambda k=kind: known((32, 64), 2e-3, k)
        made[f"same|{kind}"] = lambda k=kind: same(k)
    for reg, kind in product(PIXEL_REGS, KINDS):
        made[f"pixels|{reg:g}|{kind}"] = lambda r=reg, k=kind: pixels(r, k)
    for names, kind in product(PICTURES, KINDS):
        made[f"{', '.join(names)}|{kind}"] = lambda n=names, k=kind: timed(lambda: picture(n, k))
    for pair, reg, kind in product(cases.lines(POINTS), LINE_REGS, KINDS):
        made[f"{pair}|{reg:g}|{kind}"] = lambda p=pair, r=reg, k=kind: line(p, r, k)
    made |= {f"steps|{inner}": lambda i=inner: held(i) for inner in WAYS}
    if with_pot:
        made |= {f"POT|{reg:g}|{way}": lambda r=reg, w=way: pot(r, w) for reg, way in POT}
    return made


def solve(masses: list[Tensor], reg: float, kind: str, **options: Any) -> transport.Barycenter:
    grid = transport.Grid(masses[0].shape)
    return transport.barycenter(torch.stack(masses), grid, reg, kind=kind, **options)


def timed(run: Callable[[], transport.Barycenter]) -> Record:
    """Numbers of a barycenter, and its CPU seconds, the best of three."""
    seconds = []
    for _ in range(3):
        began = time.process_time()
        found = run()
        seconds.append(time.process_time() - began)
    return {
        "entropy": digits(float(found.entropy)),
        "inputs": digits(float(found.input_entropy)),
        "steps": found.steps,
        "residual": digits(float(found.residual), 2),
        "cpu": digits(min(seconds), 3),
    }


def apart(a: Tensor, b: Tensor) -> float:
    return digits(float((a - b).abs().sum()), 3)


def two_bells(shape: tuple[int, int]) -> tuple[list[Tensor], tuple[float, float]]:
    """Two Gaussians in a grid, and the middle between them."""
    middle = (0.5, 0.5) if shape[0] == shape[1] else (0.25, 0.5)
    shift = (0.2, 0.2) if shape[0] == shape[1] else (0.0, 0.2)
    ends = [[m + sign * s for m, s in zip(middle, shift, strict=True)] for sign in (-1, 1)]
    return [cases.gaussian(shape, end, SD) for end in ends], middle


def known(shape: tuple[int, int], reg: float, kind: str) -> Record:
    pair, middle = two_bells(shape)
    found = solve(pair, reg, kind)
    sd = (SD**2 + reg / 2) ** 0.5 if kind == "entropic" else SD
    step = 1 / (max(shape) - 1)
    return {
        **timed(lambda: solve(pair, reg, kind)),
        "l1": apart(found.mass, cases.gaussian(shape, middle, sd)),
        "sd": [digits(cases.spread(found.mass, axis) * step, 6) for axis in (0, 1)],
        "wanted": digits(sd, 6),
    }


def same(kind: str) -> Record:
    p = cases.unit(cases.gaussian((60,), (0.4,), 0.06) + cases.gaussian((60,), (0.65,), 0.05))
    found = solve([p, p], 5e-3, kind, max_steps=LINE_STEPS)
    blurred = transport.blur(p, transport.Grid(60), 5e-3)
    return {"from input": apart(found.mass, p), "from its blur": apart(found.mass, blurred),
            "residual": digits(float(found.residual), 2)}  # fmt: skip


def pixels(reg: float, kind: str) -> Record:
    pair = [torch.zeros(20, 20, dtype=torch.float64) for _ in range(2)]
    pair[0][5, 5] = pair[1][14, 14] = 1
    found = solve(pair, reg, kind)
    return {"sd": digits(cases.spread(found.mass), 4), "largest": digits(float(found.mass.max())),
            "residual": digits(float(found.residual), 2), "steps": found.steps}  # fmt: skip


def picture(names: tuple[str, ...], kind: str) -> transport.Barycenter:
    shapes = cases.drawn(SIZE)
    return solve([shapes[n] for n in names], PICTURE_REG, kind, max_steps=PICTURE_STEPS)


def line(name: str, reg: float, kind: str) -> Record:
    """After ``LINE_STEPS`` steps, and the nearest on the way."""
    pair = list(cases.lines(POINTS)[name])
    truth = cases.exact(pair)
    found = solve(pair, reg, kind, max_steps=LINE_STEPS)
    way = {LINE_STEPS: cases.wasserstein(found.mass, truth)}
    for steps in ON_THE_WAY if kind != "entropic" else ():
        mass = solve(pair, reg, kind, max_steps=steps).mass
        way[steps] = cases.wasserstein(mass, truth)
    best = min(way, key=way.__getitem__)
    return {"w2": digits(way[LINE_STEPS], 3), "best": digits(way[best], 3), "best at": best,
            "entropy": digits(float(found.entropy)),
            "exact": digits(cases.entropy(cases.binned(truth, POINTS))),
            "inputs": digits(float(found.input_entropy)),
            "residual": digits(float(found.residual), 2)}  # fmt: skip


def held(inner: int) -> Record:
    """Exponentiated gradient at half the rate, with ``inner`` steps of Sinkhorn between steps."""
    shapes = cases.drawn(HELD_SIZE)
    p = torch.stack([shapes["ring"], shapes["square"]])
    grid = transport.Grid(p.shape[1:])
    began = time.process_time()
    q, start = torch.full_like(p[0], 1 / p[0].numel()), None
    for _ in range(HELD_STEPS):
        q.requires_grad_(True)
        target = transport.blur(q, grid, HELD_REG)
        plan = transport.sinkhorn(p, target.detach(), grid, HELD_REG, max_steps=inner,
                                  tolerance=1e-9, start=start)  # fmt: skip
        start = plan
        slope = plan.g.mean(0) / HELD_REG + 1 + target.detach().log()
        (by_q,) = torch.autograd.grad(target, q, slope)
        q = q.detach() * torch.exp(-0.5 * (by_q - (by_q * q.detach()).sum()))
        q = q / q.sum()
    loss = transport.lambda_divergence(p, q.expand_as(p), grid, HELD_REG, max_steps=5000)
    best = solve(list(p), HELD_REG, "lambda", max_steps=HELD_STEPS)
    least = transport.lambda_divergence(p, best.mass.expand_as(p), grid, HELD_REG, max_steps=5000)
    return {"entropy": digits(cases.entropy(q)), "largest": digits(float(q.max()), 3),
            "loss": digits(float(loss.mean())), "ours": digits(float(least.mean())),
            "our entropy": digits(float(best.entropy)), "inputs": digits(float(best.input_entropy)),
            "cpu": digits(time.process_time() - began, 3)}  # fmt: skip


def pot(reg: float, method: str) -> Record:
    import ot

    pair, middle = two_bells((64, 64))
    began = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = ot.bregman.convolutional_barycenter2d_debiased(
            torch.stack(pair).numpy(), reg, method=method
        )
    seconds = time.process_time() - began
    found = torch.from_numpy(found)
    return {"l1": apart(found, cases.gaussian((64, 64), middle, SD)), "cpu": digits(seconds, 3),
            "mass": digits(float(found.sum()), 6), "version": ot.__version__}  # fmt: skip


if __name__ == "__main__":
    main()
