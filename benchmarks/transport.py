"""Entropic transport beside POT, geomloss, OTT and plain loops: CPU seconds at one marginal error.

    pip install POT==0.9.7.post1 geomloss==0.3.1 ott-jax==0.6.0
    OMP_NUM_THREADS=1 python benchmarks/transport.py

Each case of each library runs in a process of its own, three times; the middle one counts. All
stop by their own test at 1e-6 (1e-4 in float32) of the L1 error of the marginals where they have
one; the error that was reached is measured afterwards in float64, from the potentials that came
back. A first run, which compiles and loads, is outside the clock. A library that is not installed
is left out.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
from _side_by_side import apart, cpu_seconds, keep, median, table

Potentials = tuple[np.ndarray, np.ndarray]
REPEATS, LONG = 3, 20  # runs, but one alone where it takes so many seconds
TARGET = {"float64": 1e-6, "float32": 1e-4}
CASES: dict[str, dict[str, Any]] = {
    "1000 histogram": {"shape": (1000,), "reg": 1e-3, "batch": 1},
    "64 x 1000 histograms": {"shape": (1000,), "reg": 1e-3, "batch": 64},
    "64x64 grid": {"shape": (64, 64), "reg": 2e-3, "batch": 1},
    "64x64 grid, reg 2e-4": {"shape": (64, 64), "reg": 2e-4, "batch": 1},
    "128x128 grid": {"shape": (128, 128), "reg": 2e-3, "batch": 1},
    "64 x 64x64 grids": {"shape": (64, 64), "reg": 2e-3, "batch": 64},
    "5000 points": {"points": 5000, "reg": 1e-2, "batch": 1},
}
METHODS = ("nakami", "loop", "pot", "pot_log", "geomloss", "ott", "ott_log")
NEEDS = {"pot": "ot", "pot_log": "ot", "geomloss": "geomloss", "ott": "ott", "ott_log": "ott"}
DENSE = 5000  # points up to which dense methods run


def problem(name: str) -> dict[str, Any]:
    """Masses ``(B, *shape)`` in float64 and coordinates: smooth blobs with a floor, or a cloud."""
    case, rng = CASES[name], np.random.default_rng(0)
    if "points" in case:
        n = case["points"]
        x = rng.random((n, 3))
        y = 0.3 + 0.8 * rng.random((n, 3)) ** 2
        return {**case, "p": np.full((1, n), 1 / n), "q": np.full((1, n), 1 / n), "x": x, "y": y}
    axes = [np.linspace(0, 1, n) for n in case["shape"]]
    grid = np.meshgrid(*axes, indexing="ij")

    def blobs() -> np.ndarray:
        made = 1e-4 * rng.random(case["shape"]) + 1e-6
        for _ in range(3):
            place, width = 0.2 + 0.6 * rng.random(len(axes)), 0.05 + 0.06 * rng.random()
            away = sum((g - c) ** 2 for g, c in zip(grid, place, strict=True))
            made += rng.random() * np.exp(-away / (2 * width**2))
        return made / made.sum()

    p, q = (np.stack([blobs() for _ in range(case["batch"])]) for _ in "pq")
    return {**case, "p": p, "q": q, "axis": axes[0]}


def cost_of(given: dict[str, Any]) -> np.ndarray:
    """The dense matrix."""
    if "x" in given:
        x, y = given["x"], given["y"]
        return (x**2).sum(1)[:, None] + (y**2).sum(1) - 2 * x @ y.T
    one = (given["axis"][:, None] - given["axis"]) ** 2
    if len(given["shape"]) == 1:
        return one
    n = len(one) ** 2
    return (one[:, None, :, None] + one[None, :, None, :]).reshape(n, n)


def error(given: dict[str, Any], f: np.ndarray, g: np.ndarray) -> float:
    """Largest L1 error of both marginals of ``p q exp((f + g - c) / reg)``, in float64."""
    import torch

    from nakami.transport import Points
    from nakami.transport._costs import Grid, kernel_of

    p, q = (torch.from_numpy(given[name]) for name in "pq")
    f, g = (torch.from_numpy(np.asarray(part, dtype=np.float64)).reshape(mass.shape) / given["reg"]
            for part, mass in ((f, p), (g, q)))  # fmt: skip
    if "x" in given:
        geometry: Any = Points(torch.from_numpy(given["x"]), torch.from_numpy(given["y"]))
    else:
        geometry = Grid(given["shape"])
    kernel = kernel_of(geometry, given["reg"], p, 2**31)
    rows = p * (f + kernel.sum(q.log() + g)).exp()
    columns = q * (g + kernel.back(p.log() + f)).exp()
    each = (rows - p).abs().flatten(1).sum(1) + (columns - q).abs().flatten(1).sum(1)
    return float(each.max())


Task = tuple[Callable[[], Any], Callable[[Any], Potentials]]


def nakami(given: dict[str, Any], kind: str) -> Task:
    import torch

    from nakami import transport

    dtype = getattr(torch, kind)
    p, q = (torch.from_numpy(given[name]).to(dtype) for name in "pq")
    if "x" in given:
        cost: Any = transport.Points(*(torch.from_numpy(given[name]).to(dtype) for name in "xy"))
    else:
        cost = transport.Grid(given["shape"])
    return (
        lambda: transport.sinkhorn(p, q, cost, given["reg"], tolerance=TARGET[kind]),
        lambda found: tuple(given["reg"] * part.numpy() for part in found._potentials),
    )


def loop(given: dict[str, Any], kind: str) -> Task:
    """Cuturi's scalings in NumPy, pair by pair; separable on grids. It looks every 10 steps."""
    p, q = (given[name].astype(kind) for name in "pq")
    reg, target = given["reg"], TARGET[kind]
    flat = "x" in given or len(given["shape"]) == 1
    matrix = cost_of(given) if flat else (given["axis"][:, None] - given["axis"]) ** 2
    k = np.exp(-matrix / reg).astype(kind)
    forward = (lambda v: k @ v) if flat else (lambda v: k @ v @ k)
    back = (lambda u: u @ k) if flat else (lambda u: k @ u @ k)

    def one(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        v = np.ones_like(b)
        for step in range(1, 10_001):
            u = a / forward(v)
            sums = back(u)
            if step % 10 == 0 and np.abs(v * sums - b).sum() < target:
                break
            v = b / sums
        return u, v

    def read(found: Any) -> Potentials:
        f = np.stack([reg * np.log(u / a) for (u, _), a in zip(found, p, strict=True)])
        g = np.stack([reg * np.log(v / b) for (_, v), b in zip(found, q, strict=True)])
        return f, g

    return (lambda: [one(a, b) for a, b in zip(p, q, strict=True)], read)


def pot(given: dict[str, Any], kind: str, method: str = "sinkhorn") -> Any:
    import ot

    cost, reg = cost_of(given).astype(kind), given["reg"]
    p, q = (given[name].reshape(len(given[name]), -1).astype(kind) for name in "pq")
    stop = TARGET[kind] / p.shape[1] ** 0.5  # POT's is a Euclidean norm

    def run() -> Any:
        return [
            ot.sinkhorn(a, b, cost, reg, method=method, stopThr=stop, numItermax=10_000, log=True)[
                1
            ]
            for a, b in zip(p, q, strict=True)
        ]

    def read(found: Any) -> Potentials:
        logs = "log_u" in found[0]
        u, v = ([log["log_" + s] if logs else np.log(log[s]) for log in found] for s in "uv")
        return (reg * (np.stack(u) - np.log(p)), reg * (np.stack(v) - np.log(q)))

    return run, read


def geomloss(given: dict[str, Any], kind: str) -> Any:
    import torch
    from geomloss import SamplesLoss

    dtype = getattr(torch, kind)
    if "x" in given:
        x, y = (torch.from_numpy(given[name]).to(dtype) for name in "xy")
    else:
        axes = [torch.from_numpy(given["axis"]).to(dtype)] * len(given["shape"])
        x = y = torch.cartesian_prod(*axes).reshape(-1, len(axes))
    p, q = (torch.from_numpy(given[name]).to(dtype).flatten(1) for name in "pq")
    loss = SamplesLoss("sinkhorn", p=2, blur=(given["reg"] / 2) ** 0.5, scaling=0.9, debias=False,
                       potentials=True, backend="tensorized")  # fmt: skip
    return (
        lambda: [loss(a, x, b, y) for a, b in zip(p, q, strict=True)],
        lambda found: tuple(
            2 * np.stack([one[i].numpy().ravel() for one in found]) for i in (0, 1)
        ),
    )


def ott(given: dict[str, Any], kind: str, logs: bool = False) -> Any:
    import jax

    jax.config.update("jax_enable_x64", kind == "float64")
    import jax.numpy as jnp
    from ott.geometry import geometry, grid, pointcloud
    from ott.problems.linear import linear_problem
    from ott.solvers.linear import sinkhorn

    reg = given["reg"]
    if "x" in given:
        made: Any = pointcloud.PointCloud(*(jnp.asarray(given[n], kind) for n in "xy"), epsilon=reg)
    elif len(given["shape"]) > 1:
        made = grid.Grid(x=[jnp.asarray(given["axis"], kind)] * 2, epsilon=reg)
    else:
        made = geometry.Geometry(cost_matrix=jnp.asarray(cost_of(given), kind), epsilon=reg)
    p, q = (jnp.asarray(given[n].reshape(len(given[n]), -1), kind) for n in "pq")
    solver = sinkhorn.Sinkhorn(lse_mode=logs, threshold=TARGET[kind], max_iterations=10_000)

    def one(a: Any, b: Any) -> Any:
        return solver(linear_problem.LinearProblem(made, a, b))

    alone = len(p) == 1  # a batch of one is slower through vmap
    p, q = (p[0], q[0]) if alone else (p, q)
    solve = jax.jit(one if alone else jax.vmap(one))
    jax.block_until_ready(solve(p, q))

    def read(found: Any) -> Potentials:
        f, g = (np.asarray(part, dtype=np.float64) for part in (found.f, found.g))
        return f - reg * np.log(np.asarray(p, float)), g - reg * np.log(np.asarray(q, float))

    return lambda: jax.block_until_ready(solve(p, q)), read


MAKE: dict[str, Callable[[dict[str, Any], str], Any]] = {
    "nakami": nakami, "loop": loop, "pot": pot, "geomloss": geomloss, "ott": ott,
    "pot_log": lambda given, kind: pot(given, kind, "sinkhorn_log"),
    "ott_log": lambda given, kind: ott(given, kind, True),
}  # fmt: skip


def child(task: dict[str, Any]) -> None:
    """One library on one case; a JSON line."""
    given = problem(task["case"])
    small = {**given, **{name: given[name][:1] for name in "pq"}}
    if task["method"] in ("nakami", "loop") and "x" not in given:
        MAKE[task["method"]](small, task["kind"])[0]()  # loads what a first call loads
    run, read = MAKE[task["method"]](given, task["kind"])
    seconds, found = cpu_seconds(run)
    f, g = read(found)
    reached = error(given, f, g) if np.isfinite(f).all() and np.isfinite(g).all() else float("nan")
    print(json.dumps({"cpu_s": round(seconds, 4), "error": reached}))


def skipped(case: str, method: str) -> bool:
    """What takes minutes or more memory than there is."""
    given = CASES[case]
    size = given.get("points") or int(np.prod(given["shape"]))
    dense = method in ("pot", "pot_log", "geomloss")
    if dense and (size > DENSE or (given["batch"] > 1 and size > 2000)):
        return True
    if method == "pot_log":
        return size > 2000 or given["batch"] > 1
    batches = given["batch"] > 1 and (size == 1000 or method == "ott_log")
    slow = batches or size == DENSE
    return (method == "geomloss" and given["batch"] > 1) or (method[:3] == "ott" and slow)


def main() -> None:
    there = [m for m in METHODS if m not in NEEDS or find_spec(NEEDS[m])]
    asked = sys.argv[1:] or list(CASES)
    rows = []
    for case in asked:
        for kind in TARGET:
            for method in there:
                if skipped(case, method):
                    continue
                runs = [apart(__file__, case=case, method=method, kind=kind)]
                while len(runs) < REPEATS and runs[0]["cpu_s"] < LONG:
                    runs.append(apart(__file__, case=case, method=method, kind=kind))
                middle = median([run["cpu_s"] for run in runs])
                rows.append({**next(r for r in runs if r["cpu_s"] == middle),
                             "all_cpu_s": [run["cpu_s"] for run in runs]})  # fmt: skip
    if not sys.argv[1:]:
        keep("transport", rows, shown(rows, there))


def shown(rows: list[dict[str, Any]], there: list[str]) -> str:
    """A line for each case and type; with the error that was reached where it is too large."""
    lines = []
    for case in CASES:
        for kind in TARGET:
            cells = {r["method"]: r for r in rows if (r["case"], r["kind"]) == (case, kind)}
            texts = []
            for method in there:
                row = cells.get(method)
                good = row is not None and row["error"] <= 2 * TARGET[kind]
                text = "" if row is None else f"{row['cpu_s']:.3g}"
                texts.append(text if row is None or good else f"{text} (error {row['error']:.0e})")
            if any(texts):
                lines.append([f"{case}, {kind}", *texts])
    return table(["CPU s", *there], lines)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(json.loads(sys.argv[2]))
    else:
        main()
