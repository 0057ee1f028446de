"""Identities of entropic transport and the lambda-divergence: what is left of each.

Claims: the geometry of the entropic cost and of the lambda-divergence (S. Amari, R. Karakida,
M. Oizumi, Information Geometry 1, 13, 2018; S. Amari, R. Karakida, M. Oizumi, M. Cuturi, Neural
Computation 31, 827, 2019): derivatives, minimisers, Pythagoras, limits.

Theirs: formulas. The column "reference" is what an independent program left of each identity, on
pairs of its own that were not kept. Ours: 8 points from 0 to 1, |x - y|^2, reg 0.05, random
histograms of seed 0, float64, marginals to 1e-13; plans and sums are made here from the potentials
by dense matrices. An identity holds where ours is at most ten times the reference: rounding
differs from pair to pair by about that.

    python reproductions/transport_identities.py      15 s; needs no data
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from nakami import transport
from nakami.results import NotConvergedWarning

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from _shared import made_in  # noqa: E402
from _transport_cases import gaussian  # noqa: E402
from _wide import Kept, digits, generator, table  # noqa: E402

NAME = "transport_identities"
N, REG, SOURCE = 8, 0.05, 0
SLOW: dict[str, Any] = {"tolerance": 1e-13, "max_steps": 20_000}
TIGHT: dict[str, Any] = {"tolerance": 1e-13, "max_steps": 50_000}
X = torch.linspace(0, 1, N, dtype=torch.float64)
COST = (X[:, None] - X) ** 2
K = torch.exp(-COST / REG)
BLUR = K / K.sum(1, keepdim=True)
GRID = transport.Grid(N)
Row = tuple[str, float, float, str]


def histograms(count: int, *seed: int, n: int = N) -> Tensor:
    """Random masses that sum to 1."""
    made = torch.rand(count, n, dtype=torch.float64, generator=generator(SOURCE, *seed)) + 0.02
    return made / made.sum(1, keepdim=True)


P, Q = histograms(1, 0)[0], histograms(1, 1)[0]


def cost(p: Tensor, q: Tensor, reg: float = REG, grid: Any = GRID) -> Tensor:
    return transport.entropic_cost(p, q, grid, reg, **TIGHT)


def divergence(p: Tensor, q: Tensor, reg: float = REG) -> Tensor:
    return transport.lambda_divergence(p, q, GRID, reg, **TIGHT)


def worst(a: Any, b: Any) -> float:
    return float((torch.as_tensor(a) - torch.as_tensor(b)).abs().max())


def entropy(plan: Tensor) -> Tensor:
    return torch.special.entr(plan).sum()


def slopes(function: Callable[[Tensor], Tensor], at: Tensor, step: float = 1e-5) -> Tensor:
    """Central differences along each axis, less their mean: masses stay 1."""
    made = []
    for axis in range(len(at)):
        towards = -torch.ones_like(at) / len(at)
        towards[axis] += 1
        made.append((function(at + step * towards) - function(at - step * towards)) / (2 * step))
    return torch.stack(made)


def gradient(function: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    given = at.clone().requires_grad_()
    (found,) = torch.autograd.grad(function(given), given)
    return found - found.mean()


def plans() -> Iterator[Row]:
    """What a plan must be, and derivatives of the cost."""
    found = transport.sinkhorn(P, Q, GRID, REG, **TIGHT)
    plan = found.plan()
    sides = max(worst(plan.sum(1), P), worst(plan.sum(0), Q))
    yield "marginals of the plan", sides, 3e-13, f"{found.steps} steps; reference: 105, plain"
    primal = (plan * COST).sum() - REG * entropy(plan)
    yield "primal = dual", worst(primal, found.value), 1.5e-13, ""
    by_p = lambda p: cost(p, Q)  # noqa: E731
    yield "dC/dp = f: central differences", worst(gradient(by_p, P), slopes(by_p, P)), 5e-8, ""
    by_reg = (cost(P, Q, REG + 1e-5) - cost(P, Q, REG - 1e-5)) / 2e-5
    yield "dC/dreg = -H", worst(by_reg, -entropy(plan)), 2e-9, ""

    def of_logits(logits: np.ndarray) -> tuple[float, np.ndarray]:
        given = torch.from_numpy(logits).requires_grad_()
        value = cost(P, given.softmax(0))
        value.backward()
        assert given.grad is not None
        return float(value.detach()), given.grad.numpy()

    ends = minimize(of_logits, np.zeros(N), jac=True, method="BFGS", options={"gtol": 1e-11})
    least = torch.from_numpy(ends.x).softmax(0)
    away = f"it is {worst(least, P):.2f} from p (reference: .07)"
    yield "argmin over q of C is K~ p: by BFGS", worst(least, P @ BLUR), 1.2e-8, away
    yield from _convexity()


def _convexity() -> Iterator[Row]:
    a, b, c, d = (histograms(100, 10 + k) for k in range(4))
    middle = cost((a + c) / 2, (b + d) / 2)
    excess = float((middle - (cost(a, b) + cost(c, d)) / 2).max())
    note = f"largest C(middle) - mean of ends over 100 pairs: {excess:.1e}, below 0"
    yield "joint convexity: amount above the chord", max(excess, 0.0), 0.0, note


def divergences() -> Iterator[Row]:
    """The lambda-divergence."""
    many = divergence(histograms(300, 20), histograms(300, 21))
    note = f"smallest of 300 random pairs: {float(many.min()):.1e} (reference: 2e-4)"
    yield "D[p : p] = 0", abs(float(divergence(P, P))), 0.0, note
    by_q = lambda q: divergence(P, q)  # noqa: E731
    ours, step = gradient(by_q, Q), slopes(by_q, Q, 1e-4)
    yield "dD/dq: central differences", worst(ours, step), 5e-8, ""
    g = transport.sinkhorn(P, Q @ BLUR, GRID, REG, **TIGHT)
    potential = g.g + REG * (Q @ BLUR).log()
    mine = BLUR @ potential
    yield "dD/dq = K~ g", worst(ours, mine - mine.mean()), 3e-11, ""
    first = g.plan()
    second = transport.sinkhorn(P, P @ BLUR, GRID, REG, **TIGHT).plan()
    kl = REG * (first * (first / second).log()).sum()
    yield "D = reg KL(P(p, K~ q) | P(p, K~ p))", worst(kl, divergence(P, Q)), 2e-14, ""
    blurred = P @ BLUR
    plan = transport.sinkhorn(P, Q, GRID, REG, **TIGHT).plan()
    kl = REG * (plan * (plan / second).log()).sum()
    yield "Pythagoras: C(p, q) - C(p, K~ p)", worst(kl, cost(P, Q) - cost(P, blurred)), 2e-14, ""
    p, q = P, Q
    away = (X - 0.5).pow(2).mean() * 2 * ((p * X).sum() - (q * X).sum()) ** 2
    error = float((1e4 * divergence(p, q, 1e4) / away - 1).abs())
    yield "reg D -> 2 Var(x) (difference of means)^2, reg 1e4: relative", error, 1e-4, ""
    exact = _wasserstein(p, q)
    values = [float(divergence(p, q, reg)) for reg in (1, 0.05, 0.01, 0.002, 0.0005)]
    note = (
        f"D at reg 1, .05, .01, .002, .0005: {', '.join(f'{v:.4f}' for v in values)}; W {exact:.4f}"
    )
    yield "D rises to W as reg falls: amount out of order", _order([*values, exact]), 0.0, note


def _wasserstein(p: Tensor, q: Tensor) -> float:
    """On a line, by the quantile functions."""
    ends = torch.cat([p.cumsum(0), q.cumsum(0)]).clamp(max=1).sort().values
    parts = torch.diff(ends, prepend=torch.zeros(1, dtype=torch.float64))
    middles = ends - parts / 2
    places = [X[torch.searchsorted(m.cumsum(0), middles).clamp(max=N - 1)] for m in (p, q)]
    return float((parts * (places[0] - places[1]) ** 2).sum())


def _order(values: list[float]) -> float:
    return max(0.0, *(a - b for a, b in pairwise(values)))


def closed_forms() -> Iterator[Row]:
    """Gaussians, moved shapes, the Sinkhorn divergence, unbalanced plans, barycenters."""
    n, reg = 400, 0.01
    x = torch.linspace(-1, 1, n, dtype=torch.float64)
    s, t = 0.08, 0.1
    p, q = (torch.softmax(-((x - m) ** 2) / (2 * d**2), 0) for m, d in ((-0.1, s), (0.1, t)))
    line = transport.Grid(n, spacing=2 / (n - 1))
    plan = transport.sinkhorn(p, q, line, reg, **TIGHT).plan()
    covariance = (plan * x[:, None] * x).sum() - (p * x).sum() * (q * x).sum()
    wanted = ((4 * s**2 * t**2 + reg**2 / 4) ** 0.5 - reg / 2) / 2
    yield "covariance of the plan of two Gaussians", abs(float(covariance) - wanted), 1e-10, ""
    y = X[:, None]
    means = [(mass @ y) for mass in (P, Q)]
    here = cost(P, Q, grid=transport.Points(y, y + 0.7))
    middle = cost(P, Q, grid=transport.Points(y - means[0], y - means[1]))
    apart = float((means[0] - means[1] - 0.7).pow(2).sum())
    yield "shape and location separate", worst(here, apart + middle), 3e-14, ""
    sinkhorns = transport.sinkhorn_divergence(
        histograms(100, 30), histograms(100, 31), GRID, REG, **TIGHT
    )
    far = transport.sinkhorn_divergence(P, Q, GRID, 1e4, **TIGHT)
    limit = -(P - Q) @ COST @ (P - Q) / 2
    note = f"smallest of 100 pairs at reg 0.05: {float(sinkhorns.min()):.1e}, above 0"
    yield "Sinkhorn divergence at reg 1e4 and its limit", worst(far, limit), 2.5e-8, note
    price = 0.3
    lossy = transport.unbalanced(P, 1.5 * Q, GRID, REG, price, **TIGHT)
    plan = lossy.plan()
    rows = worst(plan.sum(1), P * (-lossy.f / price).exp())
    yield "unbalanced: marginal p exp(-f / penalty)", rows, 1e-15, ""
    product = torch.outer(P, 1.5 * Q)
    terms = [(plan * COST).sum(), REG * _kl(plan, product), price * _kl(plan.sum(1), P),
             price * _kl(plan.sum(0), 1.5 * Q)]  # fmt: skip
    yield "unbalanced: primal = dual", worst(sum(terms), lossy.value), 1e-15, ""
    yield from _barycenters()


def _kl(a: Tensor, b: Tensor) -> Tensor:
    return (a * (a / b).log() - a + b).sum()


def _barycenters() -> Iterator[Row]:
    twice = torch.stack([P, P])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConvergedWarning)  # the row says what is left
        found = {
            kind: transport.barycenter(twice, GRID, REG, kind=kind, **SLOW)
            for kind in ("entropic", "lambda")
        }
    blurred, sharp = found["entropic"].mass, found["lambda"].mass
    yield "barycenter of p and p: entropic is K~ p", worst(blurred, P @ BLUR), 8e-17, ""
    away = float((blurred - P).abs().sum())
    theirs = float((_gradient_steps(2000) - P).abs().sum())
    note = (
        f"entropic is {away:.2f} from p (reference: .45); 2,000 steps of exponentiated gradient, "
        f"as there, end at {theirs:.2f} here; D of ours is {float(divergence(P, sharp)):.0e}: "
        "through this blur single points of random masses are hardly seen"
    )
    yield "barycenter of p and p: lambda is p, L1", float((sharp - P).abs().sum()), 1.7e-4, note
    x = torch.linspace(0, 1, 60, dtype=torch.float64)
    bells = torch.stack([gaussian((60,), (m,), 0.04) for m in (0.3, 0.7)])
    for kind, wanted in (("entropic", 0.06403), ("lambda", 0.04)):
        mass = transport.barycenter(bells, transport.Grid(60), 0.005, kind=kind).mass
        sd = float(((mass * x**2).sum() - (mass * x).sum() ** 2).sqrt())
        yield f"sd of the {kind} barycenter of two Gaussians", abs(sd - wanted), 5e-6, f"{sd:.5f}"


def _gradient_steps(count: int) -> Tensor:
    """The minimum of D over q by exponentiated gradient, plans warm from step to step."""
    q, g = torch.full_like(P, 1 / N), torch.zeros_like(P)
    for _ in range(count):
        r = q @ BLUR
        for _ in range(20):
            f = REG * (P.log() - torch.logsumexp((g - COST) / REG, 1))
            g = REG * (r.log() - torch.logsumexp((f[:, None] - COST) / REG, 0))
        slope = BLUR @ g
        q = q * torch.exp(-0.5 / REG * (slope - q @ slope))
        q = q / q.sum()
    return q


def kernels() -> Iterator[Row]:
    """Sums axis by axis, and what an iteration that stops early does to the gradient."""
    grid = transport.Grid((6, 7))
    p, q = (histograms(1, seed, n=42)[0].view(6, 7) for seed in (40, 41))
    places = torch.cartesian_prod(*(torch.arange(k, dtype=torch.float64) / 6 for k in (6, 7)))
    dense = (places[:, None] - places).pow(2).sum(-1)
    one = cost(p, q, 0.05, grid)
    two = cost(p.flatten(), q.flatten(), 0.05, dense)
    yield "axis by axis = dense, the whole cost", worst(one, two), 3e-14, ""
    exact = gradient(lambda p: cost(p, Q), P)
    for steps, told in ((5, 4e-3), (20, 3e-4), (100, 1e-10)):
        held, recorded = _plain(steps)
        note = f"error of autograd through {steps} plain steps: {worst(recorded, exact):.0e}"
        yield f"envelope gradient after {steps} plain steps", worst(held, exact), told, note


def _plain(steps: int) -> tuple[Tensor, Tensor]:
    """Gradients by p after so many plain steps: the potential, and the recorded iteration's."""
    p = P.clone().requires_grad_()
    g = torch.zeros(N, dtype=torch.float64)
    for _ in range(steps):
        f = REG * (p.log() - torch.logsumexp((g - COST) / REG, 1))
        g = REG * (Q.log() - torch.logsumexp((f[:, None] - COST) / REG, 0))
    (recorded,) = torch.autograd.grad(f @ p + g @ Q, p)
    held = f.detach()
    return held - held.mean(), recorded - recorded.mean()


def report(rows: dict[str, Any]) -> Iterator[str]:
    """The page."""
    yield from ("# Identities of entropic transport", "")
    yield "What is left of each identity: the largest difference, absolute where not said."
    yield "Reference: what an independent program left, on pairs of its own. Holds: ours is at most"
    yield "ten times that."
    yield ""
    made = [
        [name.replace("|", "\\|"), f"{r['ours']:.1e}", f"{r['reference']:.1e}",
         "holds" if r["ours"] <= max(10 * r["reference"], 1e-15) else "NOT within", r["note"]]
        for name, r in rows.items() if name != "CPU"
    ]  # fmt: skip
    yield from table(("identity", "ours", "reference", "verdict", ""), made)
    yield from ("", made_in(rows["CPU"]["s"]), "")


def main() -> None:
    torch.set_num_threads(1)
    kept = Kept(HERE / "results" / f"{NAME}.json", {"n": N, "reg": REG, "seed": SOURCE})
    began = time.process_time()
    kept.records.clear()
    for part in (plans, divergences, closed_forms, kernels):
        for name, ours, reference, note in part():
            kept.add(name, {"ours": digits(ours, 2), "reference": reference, "note": note})
    kept.add("CPU", {"s": digits(time.process_time() - began)})
    text = "\n".join(report(kept.records))
    (HERE / "results" / f"{NAME}.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
