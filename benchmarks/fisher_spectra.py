"""Largest eigenvalue and trace of five networks' Fisher matrices: nakami beside its peers.

The largest eigenvalue is wanted to 0.1 %, and so is the trace; a way that misses says so in its
row. Every way runs in a process of its own, on one thread; CPU seconds with building. ARPACK gets
the smallest basis and the loosest tolerance of ``LOOSE`` that are right (chosen with the answer
known), and what the libraries' pages show besides. nakami's three parts are measured apart, for
what the trace needs also serves the eigenvalue, and both once more by a budget of memory with
which most of the networks keep no graph between products.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.util
import json
from collections.abc import Callable, Iterator
from typing import Any

import _side_by_side as side
from _fisher_cases import TITLES, missing

ACCURACY = 1e-3
LOOSE = ((8, 0.1), (12, 0.1), (16, 0.1), (20, 0.01))  # ARPACK's basis and tolerance
USUAL = {"basis": 20, "tol": 1e-4}
BOTH = ["lmax", "trace"]
PARTS = (["lmax"], ["trace"], BOTH)
LEAN = 10**8  # bytes: a memory budget by which most of these networks keep no graph
PACKAGES = ("curvlinops", "hessian_eigenthings", "nngeometry", "pyhessian")


def child(task: dict[str, Any]) -> dict[str, Any]:
    """One way in this process: CPU seconds, errors, memory; what stops it is a row too."""
    import _fisher_cases as cases
    import _fisher_peers as peers

    case = cases.build(task["case"])
    if task["method"] == "truth":
        return cases.truth(case)
    run = own if task["method"] == "nakami" else peers.METHODS[task["method"]]
    try:
        run(cases.tiny(), task)
        ctypes.CDLL(None).malloc_trim(0)  # what was freed before would hide what is taken now
        before = side.memory()
        out = run(case, task)
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        return {"error": f"{type(error).__name__}: {first[:160]}"}
    out["extra"] = side.peak_memory() - before
    for part in ("lmax", "trace"):
        if part in out:
            out[f"{part}_error"] = out[part] / task["truth"][part] - 1
    return out


def own(case: Any, task: dict[str, Any]) -> dict[str, Any]:
    """nakami: the operator, then what is asked for."""
    import nakami

    data, room = (case.x, case.y), task.get("memory_budget")
    built, op = side.cpu_seconds(
        lambda: nakami.fisher(case.model, data, "cross_entropy", memory_budget=room)
    )
    out: dict[str, Any] = {"build_s": built}
    if "lmax" in task["want"]:
        out["lmax_s"], top = side.cpu_seconds(lambda: nakami.eigh(op, 1, tol=ACCURACY))
        out |= {"lmax": float(top.values[0]), "products": top.n_products}
        out |= {"converged": top.converged, "how": top.settings["method"]}
    if "trace" in task["want"]:
        out["trace_s"], found = side.cpu_seconds(lambda: nakami.trace(op))
        out |= {"trace": found.value, "se": found.se}
    return out


def measured(case: str, repeats: int) -> Iterator[dict[str, Any]]:
    """All rows of one network; nakami and the best peers take turns."""
    truth = side.apart(__file__, case=case, method="truth")
    known = {part: truth[part] for part in BOTH}

    def run(method: str, want: list[str] = BOTH, **more: Any) -> dict[str, Any]:
        asked = {"method": method, "want": want, **more}
        return {**side.apart(__file__, case=case, truth=known, **asked), "asked": asked}

    for basis, tol in LOOSE:
        tuned = run("curvlinops", ["lmax"], basis=basis, tol=tol)
        if right(tuned, "lmax") or "error" in tuned:
            break
    peers = [
        tuned,
        run("curvlinops", **USUAL),
        run("eigenthings", ["lmax"], steps=0),
        run("eigenthings", steps=20),
        *implicit(run, basis, tol),
        run("nngeometry", how="dense", **USUAL),
        run("pyhessian"),
    ]
    best = [fastest(peers, [part]) for part in BOTH]
    groups = [[row] for row in peers]
    mine = [[run("nakami", want)] for want in PARTS]
    mine.append([run("nakami", memory_budget=LEAN)])
    for _ in range(repeats - 1):
        for rows in (*mine, *(g for g in groups if any(g[0] is row for row in best))):
            rows.append(run(**rows[0]["asked"]))
    yield from (middle(rows) for rows in (*mine, *groups))


def implicit(run: Callable[..., dict[str, Any]], basis: int, tol: float) -> list[dict[str, Any]]:
    """Products and trace of nngeometry; the trace alone where it has no products."""
    row = run("nngeometry", how="implicit", basis=basis, tol=tol)
    return [row] if "error" not in row else [row, run("nngeometry", ["trace"], how="implicit")]


def middle(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The repeat of median time, the times of all noted."""
    if "error" in rows[0]:
        return rows[0]
    ordered = sorted(rows, key=lambda row: total(row, row["asked"]["want"]))
    times = [round(total(row, row["asked"]["want"]), 3) for row in rows]
    return {**ordered[len(rows) // 2], "all_s": times}


def total(row: dict[str, Any], want: list[str]) -> float:
    """CPU seconds of the parts, with building."""
    return row["build_s"] + sum(row[f"{part}_s"] for part in want)


def right(row: dict[str, Any], part: str) -> bool:
    """Whether a row has this part, and right."""
    return abs(row.get(f"{part}_error", 1.0)) <= ACCURACY


def fastest(peers: list[dict[str, Any]], want: list[str]) -> dict[str, Any] | None:
    """The peer that has all parts right in the least time; None where there is none."""
    good = [row for row in peers if all(right(row, part) for part in want)]
    return min(good, key=lambda row: total(row, want), default=None)


def shown(rows: list[dict[str, Any]]) -> str:
    """A table for each network."""
    heads = ["way", "λ_max, s", "trace, s", "both, s", "error of λ_max", "of the trace"]
    heads += ["products", "extra MB"]
    parts = []
    for case in dict.fromkeys(row["case"] for row in rows):
        group = [row for row in rows if row["case"] == case]
        mine, lean, peers = group[:3], group[3], group[4:]
        body = [line(mine[2], "nakami", mine)]
        body += [line(row, name(row["asked"])) for row in (lean, *peers)]
        truth = mine[0]["truth"]
        title = f"**{TITLES[case]}.** λ_max {truth['lmax']:.4g}, trace {truth['trace']:.4g}."
        parts.append(f"{title} {said(mine, peers)}\n\n{side.table(heads, body)}")
    return "\n".join(parts)


def line(row: dict[str, Any], called: str, mine: list[dict[str, Any]] | None = None) -> list[str]:
    """One row of a table; nakami's three times come from ``mine``, each of its own process."""
    if "error" in row:
        return [f"{called}: {row['error']}", *[""] * 7]
    times = []
    for i, want in enumerate(PARTS):
        here = mine[i] if mine else row
        has = all(part in row for part in want)
        times.append(f"{total(here, want):.2f}" if has else "")
    errors = [
        f"{row[f'{part}_error']:+.0e}" + ("" if right(row, part) else " (missed)")
        if part in row
        else ""
        for part in BOTH
    ]
    return [called, *times, *errors, str(row.get("products", "")), f"{row['extra'] / 1e6:.0f}"]


def said(mine: list[dict[str, Any]], peers: list[dict[str, Any]]) -> str:
    """The ratios in a sentence."""
    top, exact = (fastest(peers, [part]) for part in BOTH)
    if top is None:
        return "No peer has λ_max right."
    ratio = total(top, ["lmax"]) / total(mine[0], ["lmax"])
    said = f"λ_max: {ratio:.2f} times as fast as the best peer ({name(top['asked'])})"
    if exact is None:
        return f"{said}; no peer has the trace right."
    alone = total(exact, ["trace"])
    both = total(top, ["lmax"]) + alone
    one = fastest(peers, BOTH)
    said += f"; trace: {alone / total(mine[1], ['trace']):.2f} ({name(exact['asked'])})"
    said += f"; both: {both / total(mine[2], BOTH):.2f} times the best two peers together"
    if one:
        said += f", {total(one, BOTH) / total(mine[2], BOTH):.2f} the best one"
    return said + "."


def name(asked: dict[str, Any]) -> str:
    """How a way is called in the table."""
    arpack = f"eigsh, ncv={asked['basis']}, tol={asked['tol']:g}" if "basis" in asked else ""
    return {
        "nakami": f"nakami, memory_budget={asked.get('memory_budget', 0) / 1e6:.0f} MB",
        "curvlinops": f"curvlinops Gauss-Newton, {arpack}",
        "eigenthings": "hessian-eigenthings Gauss-Newton, "
        + (f"max_iter={asked.get('steps')}" if asked.get("steps") else "default (2 steps)"),
        "nngeometry": ", ".join(filter(None, (f"nngeometry {asked.get('how')}", arpack))),
        "pyhessian": "PyHessian (the Hessian, another matrix)",
    }[asked["method"]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", nargs="+", default=list(TITLES), choices=list(TITLES))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--draft", action="store_true", help="print the tables, keep nothing")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(child(json.loads(args.child))))
        return
    if lack := lacking(args.cases):
        print(f"skipped: {lack}")
        return
    rows = [row for case in args.cases for row in measured(case, args.repeats)]
    text = shown(rows)
    print(text)
    if not args.draft:
        side.keep("fisher_spectra", rows, text)


def lacking(cases: list[str]) -> str:
    """What cannot be had here, in words; empty where everything can."""
    absent = [package for package in PACKAGES if importlib.util.find_spec(package) is None]
    if absent:
        return f"no {', '.join(absent)} here; pip install -r benchmarks/requirements.txt"
    return missing(cases)


if __name__ == "__main__":
    main()
