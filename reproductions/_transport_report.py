"""The page of transport_barycenters.py: tables and what they say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from _wide import table

Records = dict[str, dict[str, Any]]
KINDS = ("entropic", "debiased", "lambda")


def page(
    records: Records, widths: dict[tuple[float, float, float], dict[str, float]]
) -> Iterator[str]:
    """Everything but the last line."""
    yield "# Barycenters of histograms"
    yield ""
    yield "Cost |x - y|^2, the longest axis from 0 to 1; reg multiplies the entropy; equal weights;"
    yield "float64; CPU seconds of the best of three runs on one thread. L1 is out of 2."
    yield from _known(records)
    yield from _pixels(records)
    yield from _pictures(records)
    yield from _lines(records)
    yield from _widths(widths)
    yield from _steps(records)


def _parts(records: Records, first: str) -> Iterator[tuple[list[str], dict[str, Any]]]:
    for name, record in records.items():
        if name.startswith(first + "|"):
            yield name.split("|"), record


def _known(records: Records) -> Iterator[str]:
    yield from ("", "## Known answers: two Gaussians, sd 0.04", "")
    rows = [
        [shape, reg, kind, f"{r['l1']:.1e}", f"{r['sd'][0]:.5f}, {r['sd'][1]:.5f}",
         f"{r['wanted']:.5f}", str(r["steps"]), f"{r['cpu']:.3f}"]
        for first in ("64 x 64", "32 x 64")
        for (shape, reg, kind), r in _parts(records, first)
    ]  # fmt: skip
    rows += [
        ["64 x 64", reg, f"POT {r['version']} debiased, {way}", f"{r['l1']:.1e}", "", "0.04000", "",
         f"{r['cpu']:.1f}"]
        for (_, reg, way), r in _parts(records, "POT")
    ]  # fmt: skip
    head = ("grid", "reg", "kind", "L1 from exact", "sd: rows, columns", "exact", "steps", "CPU s")
    yield from table(head, rows)
    yield ""
    yield "Exact is the Gaussian with the sd of its column: sqrt(0.04^2 + reg / 2) for entropic."
    yield ""
    head = ("twice one input: kind", "L1 from that input", "L1 from its blur", "residual")
    yield from table(head, [
        [kind, f"{r['from input']:.1e}", f"{r['from its blur']:.1e}", f"{r['residual']:.0e}"]
        for (_, kind), r in _parts(records, "same")
    ])  # fmt: skip


def _pixels(records: Records) -> Iterator[str]:
    yield from ("", "## Two single pixels on 20 x 20 (PythonOT/POT#458)", "")
    yield from ("Exact: 2 x 2 pixels of mass 0.25, sd 0.5.", "")
    head = ("reg", "kind", "sd in pixels", "largest mass", "steps", "residual")
    yield from table(head, [
        [reg, kind, f"{r['sd']:.3f}", f"{r['largest']:.4f}", str(r["steps"]),
         f"{r['residual']:.0e}"]
        for (_, reg, kind), r in _parts(records, "pixels")
    ])  # fmt: skip


def _pictures(records: Records) -> Iterator[str]:
    yield from ("", "## Pictures, 64 x 64, reg 0.002", "")
    yield "![Inputs and barycenters](transport_barycenters.png)"
    yield ""
    head = ("inputs", "kind", "entropy", "of inputs", "steps", "residual", "CPU s")
    yield from table(head, [
        [names, kind, f"{r['entropy']:.2f}", f"{r['inputs']:.2f}", str(r["steps"]),
         f"{r['residual']:.0e}", f"{r['cpu']:.2f}"]
        for (names, kind), r in _two(records)
    ])  # fmt: skip


def _two(records: Records) -> Iterator[tuple[list[str], dict[str, Any]]]:
    for name, record in records.items():
        if "," in name.split("|")[0] and len(name.split("|")) == 2:
            yield name.split("|"), record


def _lines(records: Records) -> Iterator[str]:
    yield from ("", "## Which sharp one is nearer: 80 points, exact by quantile functions", "")
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for name, record in records.items():
        parts = name.split("|")
        if len(parts) == 3 and "w2" in record:
            found.setdefault((parts[0], parts[1]), {})[parts[2]] = record
    rows = []
    wins = {"w2": 0, "best": 0}
    for (pair, reg), by in found.items():
        for key in wins:
            wins[key] += by["lambda"][key] < by["debiased"][key]
        rows.append([
            pair, reg, *[f"{by[k]['w2']:.5f}" for k in KINDS],
            f"{by['debiased']['w2'] / by['lambda']['w2']:.2f}",
            *[f"{by[k]['best']:.5f} at {by[k]['best at']}" for k in KINDS[1:]],
            *[f"{by[k]['entropy']:.2f}" for k in KINDS[1:]],
            f"{by['lambda']['exact']:.2f}", f"{by['lambda']['inputs']:.2f}",
            *[f"{by[k]['residual']:.0e}" for k in KINDS[1:]],
        ])  # fmt: skip
    head = ("pair", "reg", "W2 entropic", "W2 debiased", "W2 lambda", "debiased / lambda",
            "debiased, nearest on the way", "lambda, nearest on the way", "entropy debiased",
            "entropy lambda", "entropy exact", "of inputs", "residual debiased",
            "residual lambda")  # fmt: skip
    yield from table(head, rows)
    yield ""
    yield "At most 4000 steps; on the way: after 30, 100, 300 and 1000. Rows where the lambda"
    yield f"barycenter is the nearer one in W2: {wins['w2']} of {len(rows)} at the end, and"
    yield f"{wins['best']} with each stopped where it is nearest."


def _widths(widths: dict[tuple[float, float, float], dict[str, float]]) -> Iterator[str]:
    yield from ("", "## Gaussians of two widths on the whole line, by formula: sd", "")
    head = ("sd of inputs", "reg", "exact", "entropic", "debiased", "lambda",
            "error of debiased / of lambda")  # fmt: skip
    rows = []
    for (a, b, reg), sd in widths.items():
        ratio = (sd["debiased"] - sd["exact"]) / (sd["lambda"] - sd["exact"])
        parts = [f"{sd[k]:.5f}" for k in ("exact", *KINDS)]
        rows.append([f"{a:g} and {b:g}", f"{reg:g}", *parts, f"{ratio:.2f}"])
    yield from table(head, rows)


def _steps(records: Records) -> Iterator[str]:
    yield from (
        "",
        "## Steps between plans: ring and square, 24 x 24, reg 0.004",
        "",
    )
    head = ("steps of Sinkhorn to one of the barycenter", "entropy", "largest mass",
            "mean lambda-divergence", "of our result", "entropy of ours", "of inputs")  # fmt: skip
    yield from table(head, [
        [inner, f"{r['entropy']:.2f}", f"{r['largest']:.3f}", f"{r['loss']:.3e}",
         f"{r['ours']:.3e}", f"{r['our entropy']:.2f}", f"{r['inputs']:.2f}"]
        for (_, inner), r in _parts(records, "steps")
    ])  # fmt: skip
    yield ""
    yield "600 steps of exponentiated gradient at rate 0.5 / reg, plans taken on from step to step."
