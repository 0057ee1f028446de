"""The page of a run: what held, by how much, and what it cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nakami.results import write_whole

from .page_speed import speed, table
from .runner import Results
from .units import CHECKS, SPEED

HOW = "[benchmarks/gpu/bounds.py](../benchmarks/gpu/bounds.py)"


def write(results: Results, document: Path) -> None:
    """Write the page."""
    write_whole(document, shown(results))


def shown(results: Results) -> str:
    """The page as Markdown."""
    same, about = results.machine.get("same", {}), results.machine.get("about", {})
    states = [record["state"] for record in results.units.values()]
    dates = sorted({record["date"] for record in results.units.values()})
    sources = sorted({record["source"] for record in results.units.values()})
    counted = ", ".join(f"{states.count(s)} {s}" for s in ("passed", "failed", "skipped"))
    known = {
        **same,
        **about,
        "measured": " to ".join(dict.fromkeys(dates[:1] + dates[-1:])) if dates else "",
    }
    parts = [
        "# Measurements on a card",
        f"Written by `make gpu`. {len(states)} units: {counted}.",
        table(["of the machine", ""], [[k, str(v)] for k, v in known.items()]),
        f"Digest of the code: {', '.join(sources)}.",
        checks({n: r for n, r in results.units.items() if r["group"] == CHECKS}),
        speed({n: r for n, r in results.units.items() if r["group"] == SPEED}),
        failures(results.units),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def checks(units: dict[str, dict[str, Any]]) -> str:
    """Each unit with the comparison that came nearest to its bound."""
    rows = []
    for name, record in units.items():
        worst = max(record["rows"], key=_of_bound, default=None)
        cells = ["", "", ""] if worst is None else [
            worst["what"], f"{worst['error']:.1e}", f"{worst['bound']:.1e}"
        ]  # fmt: skip
        note = "; ".join(record["notes"].values())
        rows.append([name, record["state"], str(len(record["rows"])), *cells, note])
    heads = ["unit", "state", "comparisons", "nearest to its bound", "error", "bound", "notes"]
    return f"## Checks\n\nHow the bounds come about: {HOW}.\n\n{table(heads, rows)}" if rows else ""


def _of_bound(row: dict[str, Any]) -> float:
    if row["held"]:
        return float(row["error"] / row["bound"]) if row["bound"] else 0.0
    return float("inf")


def failures(units: dict[str, dict[str, Any]]) -> str:
    """What did not pass, with the reason."""
    rows = [[n, r["state"], r["reason"]] for n, r in units.items() if r["state"] != "passed"]
    return f"## What did not pass\n\n{table(['unit', 'state', 'reason'], rows)}" if rows else ""
