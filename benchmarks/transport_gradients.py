"""What a gradient of the entropic cost takes beside its value, here and in POT, geomloss and OTT.

    pip install POT==0.9.7.post1 geomloss==0.3.1 ott-jax==0.6.0
    OMP_NUM_THREADS=1 python benchmarks/transport_gradients.py

CPU seconds of the value alone, and of value and gradient, on the problems of ``transport.py``; by
the first masses. float64, each library at its own test of 1e-6, each in a process of its own, the
median of three. ``differs`` is the relative difference, in the norm, of the gradient from that of a
run of ours to 1e-12, the mean over masses taken away.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
from _side_by_side import apart, cpu_seconds, keep, median, table

from transport import NEEDS, cost_of, problem

CASES = ("1000 histogram", "64x64 grid")  # on the grid nothing dense: it takes minutes
METHODS = ("nakami", "pot", "geomloss", "ott")
RELATIVE = ("geomloss", "ott")  # their cost is relative to the product of the masses
TOLERANCE = 1e-6
Work = Callable[[bool], np.ndarray]  # with a gradient or without


def nakami(given: dict[str, Any], tolerance: float = TOLERANCE) -> Work:
    import torch

    from nakami import transport

    p, q = (torch.from_numpy(given[name]) for name in "pq")
    cloud = "x" in given
    x, y = (torch.from_numpy(given[name]) for name in "xy") if cloud else (p, p)

    def work(slope: bool) -> np.ndarray:
        leaf = (x if cloud else p).clone().requires_grad_(slope)
        cost: Any = transport.Points(leaf, y) if cloud else transport.Grid(given["shape"])
        masses = p if cloud else leaf
        found = transport.entropic_cost(masses, q, cost, given["reg"], tolerance=tolerance).sum()
        if slope:
            found.backward()
        return leaf.grad.numpy() if slope else found.numpy()

    return work


def pot(given: dict[str, Any]) -> Work:
    import ot
    import torch

    p, q = (torch.from_numpy(given[name][0].ravel()) for name in "pq")
    cloud = "x" in given
    matrix = None if cloud else torch.from_numpy(cost_of(given))
    x, y = (torch.from_numpy(given[name]) for name in "xy") if cloud else (p, p)

    def work(slope: bool) -> np.ndarray:
        leaf = (x if cloud else p).clone().requires_grad_(slope)
        costs = ot.dist(leaf, y) if cloud else matrix
        found = ot.solve(
            costs, p if cloud else leaf, q, reg=given["reg"], reg_type="entropy",
            tol=TOLERANCE / len(p) ** 0.5, max_iter=10_000, grad="envelope",
        )  # fmt: skip
        if slope:
            found.value.backward()
        return leaf.grad.numpy() if slope else found.value.detach().numpy()

    return work


def geomloss(given: dict[str, Any]) -> Work:
    import torch
    from geomloss import SamplesLoss

    p, q = (torch.from_numpy(given[name][0].ravel()) for name in "pq")
    cloud = "x" in given
    if cloud:
        x, y = (torch.from_numpy(given[name]) for name in "xy")
    else:
        axes = [torch.from_numpy(given["axis"])] * len(given["shape"])
        x = y = torch.cartesian_prod(*axes).reshape(-1, len(axes))
    loss = SamplesLoss("sinkhorn", p=2, blur=(given["reg"] / 2) ** 0.5, scaling=0.9, debias=False,
                       backend="tensorized")  # fmt: skip

    def work(slope: bool) -> np.ndarray:
        leaf = (x if cloud else p).clone().requires_grad_(slope)
        found = 2 * (loss(p, leaf, q, y) if cloud else loss(leaf, x, q, y))
        if slope:
            found.backward()
        return leaf.grad.numpy() if slope else found.detach().numpy()

    return work


def ott(given: dict[str, Any]) -> Work:
    import jax

    jax.config.update("jax_enable_x64", True)
    import jax.numpy as jnp
    from ott.geometry import geometry, grid, pointcloud
    from ott.problems.linear import linear_problem
    from ott.solvers.linear import sinkhorn

    reg = given["reg"]
    p, q = (jnp.asarray(given[name][0].ravel()) for name in "pq")
    cloud = "x" in given
    solver = sinkhorn.Sinkhorn(lse_mode=cloud, threshold=TOLERANCE, max_iterations=10_000)
    if not cloud and len(given["shape"]) > 1:
        made: Any = grid.Grid(x=[jnp.asarray(given["axis"])] * 2, epsilon=reg)
    elif not cloud:
        made = geometry.Geometry(cost_matrix=jnp.asarray(cost_of(given)), epsilon=reg)

    def value(leaf: Any) -> Any:
        if cloud:
            here = pointcloud.PointCloud(leaf, jnp.asarray(given["y"]), epsilon=reg)
            return solver(linear_problem.LinearProblem(here, p, q)).reg_ot_cost
        return solver(linear_problem.LinearProblem(made, leaf, q)).reg_ot_cost

    leaf = jnp.asarray(given["x"]) if cloud else p
    alone, both = jax.jit(value), jax.jit(jax.value_and_grad(value))

    def work(slope: bool) -> np.ndarray:
        found = both(leaf)[1] if slope else alone(leaf)
        return np.asarray(jax.block_until_ready(found))

    return work


MAKE: dict[str, Callable[[dict[str, Any]], Work]] = {
    "nakami": nakami, "pot": pot, "geomloss": geomloss, "ott": ott,
}  # fmt: skip


def child(task: dict[str, Any]) -> dict[str, float]:
    given = problem(task["case"])
    work = MAKE[task["method"]](given)
    if task["method"] in ("nakami", "ott"):
        for slope in (False, True):
            work(slope)  # loads and compiles outside the clock
    alone, _ = cpu_seconds(lambda: work(False))
    both, gradient = cpu_seconds(lambda: work(True))
    exact = nakami(given, 1e-12)(True)
    if "x" not in given and task["method"] in RELATIVE:
        exact = exact - given["reg"] * np.log(given["p"])
    exact = _centred(exact, given)
    found = _centred(gradient, given)
    away = float(np.linalg.norm(found - exact) / np.linalg.norm(exact))
    return {"value_s": round(alone, 3), "both_s": round(both, 3), "differs": float(f"{away:.1e}")}


def _centred(gradient: np.ndarray, given: dict[str, Any]) -> np.ndarray:
    if "x" in given:
        return gradient
    flat = gradient.ravel()
    return flat - flat.mean()


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(child(json.loads(sys.argv[2]))))
        return
    rows = []
    for case in CASES:
        for method in METHODS:
            if method in NEEDS and not find_spec(NEEDS[method]):
                continue
            if method in ("pot", "geomloss") and case != CASES[0]:
                continue
            runs = [apart(__file__, case=case, method=method) for _ in range(3)]
            middle = {key: median([run[key] for run in runs]) for key in ("value_s", "both_s")}
            rows.append({**runs[0], **middle})
    shown = [
        [f"{r['case']}, {r['method']}", f"{r['value_s']:.3g}", f"{r['both_s']:.3g}",
         f"{r['both_s'] / r['value_s']:.2f}", f"{r['differs']:.0e}"]
        for r in rows
    ]  # fmt: skip
    head = ["case", "value, CPU s", "value and gradient", "ratio", "differs"]
    keep("transport_gradients", rows, table(head, shown))


if __name__ == "__main__":
    main()
