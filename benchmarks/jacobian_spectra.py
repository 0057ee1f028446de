"""The largest singular values of two trained networks' Jacobians: nakami, its peers, the limit.

Every way computes the top k values of the same map at the same picture, to a relative error of at
most 1e-5 of each value; those that cannot say so in their row. The truth: ARPACK in float64 to
1e-10, or all of a dense Jacobian in float64. ``svds`` gets the loosest tolerance of ``TOLERANCES``
that is right to 1e-5. The limit is k forward and k reverse products at the cost of a block of 8,
measured in nakami's process right after its values: nothing that multiplies can be cheaper. The
peers return values alone, so nakami's first row has no vectors either; the second has them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from typing import Any

import _side_by_side as side

ACCURACY = 1e-5
TOLERANCES = (0.1, 0.03, 0.01, 0.003, 0.001)  # svds squares them for ARPACK
SMALL = 1000  # sides up to this have a dense row
MOST = 200  # values of the reference
BUDGETS = (1 << 30, 1 << 28)  # bytes
THREADS = 2  # of the last table
PATIENCE = 2  # times nakami's CPU seconds that subspace iteration may take


def reference(task: dict[str, Any]) -> dict[str, Any]:
    """The values to 1e-8, kept in the cache, and how they were found.

    Where float32 lands on the other side of a kink (an activation at 0, two equal maxima), float64
    belongs to another Jacobian; then the float32 rows count, with their Gram matrix in float64.
    """
    import _peers as peers
    import numpy as np
    import torch

    case = side.build(task["case"])
    file = side.CACHE / f"{task['case']}-{case.key}.npy"
    if file.exists():
        return {"file": str(file.relative_to(side.ROOT))}
    f, x = flat(case)
    probe = torch.randn(x.numel(), generator=torch.Generator().manual_seed(0))
    single = peers.Products(f, x)
    approximate = single.push(probe)
    if min(single.shape) <= SMALL:
        values = peers.dense_gram(f, x, MOST, torch.float64)
    case.plain.double()
    double = peers.Products(f, x.double())
    exact = double.push(probe.double())
    gap = float((approximate - exact).norm() / exact.norm())
    if min(single.shape) > SMALL:
        if gap > ACCURACY:
            raise RuntimeError(f"float32 and float64 products differ by {gap:.1e}: another picture")
        values = peers.svds(double, MOST, 1e-5)
    side.CACHE.mkdir(parents=True, exist_ok=True)
    np.save(file, values)
    return {"file": str(file.relative_to(side.ROOT)), "float32_gap": gap}


def flat(case: side.Case) -> tuple[Callable[[Any], Any], Any]:
    """The peers' map ``(n,) -> (m,)`` and its point."""
    shape = case.x.shape
    return lambda v: case.plain(v.reshape(shape)).reshape(-1), case.x.reshape(-1)


def child(task: dict[str, Any]) -> dict[str, Any]:
    """One method in this process: CPU seconds, error, products, memory."""
    import numpy as np
    import torch

    if task["method"] == "reference":
        return reference(task)
    truth = np.load(side.ROOT / task["file"])[: task["k"]]
    side.warm_up()
    case = side.build(task["case"])
    torch.set_num_threads(task.get("threads", 1))
    run = nakami_child if task["method"] == "nakami" else peer_child
    out = run(task, case, truth)
    values = out.pop("values")
    error = np.abs(values - truth) / truth
    return {**out, "error": float(error.max()), "s_1": float(truth[0]), "s_k": float(truth[-1])}


def nakami_child(task: dict[str, Any], case: side.Case, truth: Any) -> dict[str, Any]:
    import torch

    import nakami

    budget, threads = task.get("budget"), task.get("threads", 1)
    built, op = side.cpu_seconds(
        lambda: nakami.jacobian(case.model, case.x, to=case.to, memory_budget=budget), threads
    )
    before = side.memory()
    spent, found = side.cpu_seconds(
        lambda: nakami.svd(op, task["k"], ACCURACY, task["vectors"], memory_budget=budget), threads
    )
    extra = side.peak_memory() - before
    columns = found.settings.get("columns", 0)
    return {
        "values": found.values.numpy(),
        "build_s": built,
        "cpu_s": spent,
        "products": found.n_products,
        "extra": extra,
        "basis": 4 * sum(op.shape) * columns,
        "how": found.method,
        "converged": found.converged,
        "limit_s": task["k"] * column_cost(op, torch.Generator().manual_seed(0)),
    }


def column_cost(op: Any, generator: Any) -> float:
    """CPU seconds of one forward and one reverse product in blocks of 8; median of 7."""
    import torch

    total = 0.0
    for matrix in (op, op.T):
        block = torch.randn(matrix.shape[1], 8, generator=generator)
        total += side.median([side.cpu_seconds(lambda: matrix @ block)[0] for _ in range(7)]) / 8  # noqa: B023
    return total


def peer_child(task: dict[str, Any], case: side.Case, truth: Any) -> dict[str, Any]:
    import _peers as peers
    import numpy as np

    f, x = flat(case)
    method, k, threads = task["method"], task["k"], task.get("threads", 1)
    built, products = 0.0, None
    if method != "dense":
        made_of = (f, x, method != "svds-jvp")
        built, products = side.cpu_seconds(lambda: peers.Products(*made_of), threads)

    def enough(values: Any) -> bool:
        return bool((np.abs(values - truth) <= ACCURACY * truth).all())

    before = side.memory()
    if products is None:
        spent, values = side.cpu_seconds(lambda: peers.dense_gram(f, x, k))
        made, more = min(len(f(x)), len(x)), {}
    elif method == "lowrank":
        stop = enough if task["rounds"] > 2 else lambda values: False
        spent, (values, done) = side.cpu_seconds(
            lambda: peers.lowrank(products, k, task["rounds"], stop, task["seconds"])
        )
        made, more = products.forward + products.reverse, {"niter": done}
    else:
        solver = "propack" if method == "svds-propack" else "arpack"
        spent, values = side.cpu_seconds(
            lambda: peers.svds(products, k, task["tol"], solver), threads
        )
        made, more = products.forward + products.reverse, {}
    extra = side.peak_memory() - before
    return {
        "values": values,
        "build_s": built,
        "cpu_s": spent,
        "products": made,
        "extra": extra,
        **more,
    }


def measured(case: str, k: int, repeats: int, anew: bool) -> Iterator[dict[str, Any]]:
    """All rows of one network and one k; ``anew``: also ``svds`` that runs jvp anew."""
    file = side.apart(__file__, case=case, method="reference")["file"]

    def run(method: str, **more: Any) -> dict[str, Any]:
        return side.apart(__file__, case=case, k=k, method=method, file=file, **more)

    def loosest(method: str) -> dict[str, Any]:
        for tol in TOLERANCES:
            row = run(method, tol=tol)
            if row["error"] <= ACCURACY:
                break
        return row

    peers = [loosest("svds"), loosest("svds-propack")]
    if case == "squeezenet":
        peers.append(run("dense"))
    alone, whole = [run("nakami", vectors=False)], [run("nakami", vectors=True)]
    best = min(peers, key=total)
    again = [best]
    for _ in range(repeats - 1):  # taking turns
        again.append(run(**asked(best)))
        alone.append(run("nakami", vectors=False))
        whole.append(run("nakami", vectors=True))
    mine = side.middle(alone, "cpu_s")
    yield mine
    yield side.middle(whole, "cpu_s")
    yield from (side.middle(again, "cpu_s") if row is best else row for row in peers)
    if anew:
        yield run("svds-jvp", tol=peers[0]["tol"])
    yield run("lowrank", rounds=2, seconds=1e9)
    yield run("lowrank", rounds=1000, seconds=PATIENCE * mine["cpu_s"])


def asked(row: dict[str, Any]) -> dict[str, Any]:
    """What to ask for to measure a peer's row again."""
    return {key: row[key] for key in ("method", "tol") if key in row}


def total(row: dict[str, Any]) -> float:
    """CPU seconds with those that build what is multiplied."""
    return row["build_s"] + row["cpu_s"]


def budgeted(case: str, k: int) -> Iterator[dict[str, Any]]:
    """Memory of nakami alone, under budgets."""
    file = side.apart(__file__, case=case, method="reference")["file"]
    for budget in BUDGETS:
        task = {"case": case, "k": k, "method": "nakami", "vectors": True, "file": file}
        yield side.apart(__file__, **task, budget=budget)


def threaded(rows: list[dict[str, Any]], repeats: int) -> Iterator[dict[str, Any]]:
    """Values of nakami and of both solvers of SciPy on two threads each, taking turns."""
    for case, k in dict.fromkeys((row["case"], row["k"]) for row in rows):
        group = [row for row in rows if (row["case"], row["k"]) == (case, k)]
        peers = [row for row in group if row["method"] in ("svds", "svds-propack")]
        tasks = [{"method": "nakami", "vectors": False}, *(asked(row) for row in peers)]
        common = {"case": case, "k": k, "file": group[0]["file"], "threads": THREADS}
        runs = [[side.apart(__file__, **common, **task) for task in tasks] for _ in range(repeats)]
        yield from (side.middle(list(turns), "cpu_s") for turns in zip(*runs, strict=True))


def shown_threads(rows: list[dict[str, Any]]) -> str:
    """Wall seconds on two threads."""
    heads = ["network and k", "way", "wall s, with building", "largest error", "time / nakami's"]
    body, own = [], rows[0]
    for row in rows:
        own = row if row["method"] == "nakami" else own
        cells = [f"{total(row):.2f}", f"{row['error']:.0e}", f"{total(row) / total(own):.2f}"]
        body.append([f"{side.TITLES[row['case']]}, {row['k']}", name(row), *cells])
    title = f"**On {THREADS} threads each, wall time.**"
    return f"{title}\n\n{side.table(heads, body)}"


def shown(rows: list[dict[str, Any]]) -> str:
    """The table: one row for each way, ratios beside nakami's own row of that network and k."""
    heads = [
        "way",
        "CPU s, with building",
        "largest error",
        "products",
        "extra MB",
        "time / nakami's",
        "time / limit",
    ]
    parts = []
    for case, k in dict.fromkeys((row["case"], row["k"]) for row in rows):
        group = [r for r in rows if (r["case"], r["k"]) == (case, k) and "budget" not in r]
        own = group[0]
        body = [
            [
                name(row),
                f"{total(row):.1f}",
                f"{row['error']:.0e}" + ("" if row["error"] <= ACCURACY else " (missed)"),
                str(row["products"]),
                f"{row['extra'] / 1e6:.0f}",
                f"{total(row) / total(own):.2f}",
                f"{row['cpu_s'] / own['limit_s']:.1f}",
            ]
            for row in group
        ]
        verdict = said(own, [row for row in group if row["method"] != "nakami"])
        parts.append(f"**{side.TITLES[case]}, k = {k}.** {verdict}\n\n{side.table(heads, body)}")
    return "\n".join(parts)


def said(own: dict[str, Any], peers: list[dict[str, Any]]) -> str:
    """The verdict on one network and one k in sentences."""
    best = min((row for row in peers if row["error"] <= ACCURACY), key=total)
    ratio = total(best) / total(own)
    against = (
        f"nakami is {ratio:.2f} times as fast as the best peer"
        if ratio >= 1
        else f"nakami loses: it takes {1 / ratio:.2f} times the time of the best peer"
    )
    beyond = (own["extra"] - own["basis"]) / 1e6
    memory = f"basis {own['basis'] / 1e6:.0f} MB and {beyond:.0f} MB beyond it"
    return (
        f"Limit {own['limit_s']:.2f} s; {against} ({name(best)}). nakami's memory: "
        f"{memory if own['basis'] else 'no basis'}. Values {own['s_1']:.3g} to {own['s_k']:.3g}."
    )


def name(row: dict[str, Any]) -> str:
    """How a row is called in the table."""
    method = row["method"]
    if method == "nakami":
        return f"nakami ({row['how']}), {'with vectors' if row['vectors'] else 'values alone'}"
    if method == "lowrank":
        return f"rule of torch.svd_lowrank, niter={row['niter']}"
    if method == "dense":
        return "dense jacrev, eigenvalues of J J^T"
    what = {"svds": "linearised once", "svds-jvp": "jvp anew", "svds-propack": "linearised once"}
    solver = ", solver propack" if method == "svds-propack" else ""
    return f"SciPy svds{solver}, {what[method]}, tol={row['tol']:g}"


def shown_budgets(rows: list[dict[str, Any]]) -> str:
    """Peak memory under budgets."""
    heads = ["budget, MB", "extra MB at the peak", "kept", "CPU s", "largest error", "products"]
    body = [
        [
            f"{row['budget'] / 1e6:.0f}",
            f"{row['extra'] / 1e6:.0f}",
            "yes" if row["extra"] <= row["budget"] else "no",
            f"{total(row):.1f}",
            f"{row['error']:.0e}",
            str(row["products"]),
        ]
        for row in rows
    ]
    first = rows[0]
    title = f"**Memory budgets, {side.TITLES[first['case']]}, k = {first['k']}.**"
    return f"{title}\n\n{side.table(heads, body)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", nargs="+", default=list(side.ZOO), choices=list(side.ZOO))
    parser.add_argument("--k", nargs="+", type=int, default=[50, 200])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--draft", action="store_true", help="print the tables, keep nothing")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(child(json.loads(args.child))))
        return
    if lack := side.missing(args.cases):
        print(f"skipped: {lack}")
        return
    rows = []
    for case in args.cases:
        for k in sorted(args.k):
            rows += measured(case, k, args.repeats, anew=k == min(args.k))
    text, both = shown(rows), list(threaded(rows, args.repeats))
    if "alexnet" in args.cases:
        tight = list(budgeted("alexnet", max(args.k)))
        text += "\n" + shown_budgets(tight)
        rows += tight
    text, rows = text + "\n" + shown_threads(both), rows + both
    print(text)
    if not args.draft:
        side.keep("jacobian_spectra", rows, text)


if __name__ == "__main__":
    main()
