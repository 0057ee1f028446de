"""How each network was measured: the settings, and how far its values may be trusted."""

from __future__ import annotations

from typing import Any

from nakami.results import Spectrum

from ...page._sections import Table, Text
from ...words import _numbers as num
from ._completeness import bounds, computed, so_far
from ._page_data import Network, Reading

SOLVERS = {"dense": "dense SVD", "gram": "Gram matrix", "krylov": "Krylov iteration"}


def how_table(reading: Reading) -> Table:
    """How each network was measured, one column each."""
    columns = [_how(net, reading) for net in reading.networks]
    rows: list[list[Text]] = [
        [key, *(column[key] for column in columns)]
        for key in columns[0]
        if any(c[key] for c in columns)
    ]
    head: list[Text] = ["", *(num.short(net.label, 40) for net in reading.networks)]
    return Table("Settings and residuals", head, rows, (), 300 + 240 * len(columns))


def _how(net: Network, reading: Reading) -> dict[str, Text]:
    s, spectra = net.run.settings, net.run.spectra
    weights = str((s.get("model") or {}).get("weights_sha256") or "")
    rows = [net.rows[stage] for stage in reading.stages]
    took = num.seconds(sum(x.seconds for x in spectra))
    share = so_far(reading) if reading.comparison is None else ""
    return {
        "Values": computed(rows),
        "Operator": _operator(spectra),
        "Solver": _solver(spectra, s),
        "Tolerance": _tolerance(spectra, s),
        "Limit of the arithmetic": _limited(spectra),
        "Residual": _residual(net),
        "Not converged": _missed(spectra),
        "Lower bounds": bounds(rows),
        "Data": str(s.get("data") or ""),
        "Inputs": _inputs(s, net),
        "Weights": f"SHA-256 {weights[:16]}…" if weights else "",
        "Training": str(s.get("training") or "not stated"),
        "Time": f"{took} for {num.whole(len(spectra))} spectra{f' ({share})' if share else ''}",
        "Machine, seed": _machine(s),
        "Versions": ", ".join(f"{k} {v}" for k, v in (s.get("versions") or {}).items()),
        "Folder": net.run.folder.name if net.run.folder else "",
    }


def _operator(spectra: tuple[Spectrum, ...]) -> str:
    m, n = max((s.shape for s in spectra), key=lambda shape: shape[0] * shape[1])
    routes = num.listing(sorted({s.route for s in spectra}))
    return f"Jacobian, up to {num.whole(m)} × {num.whole(n)}; products: {routes}"


def _solver(spectra: tuple[Spectrum, ...], s: dict[str, Any]) -> str:
    used = num.listing([SOLVERS.get(m, m) for m in sorted({x.method for x in spectra})])
    most = num.whole(max(x.n_products for x in spectra))
    kind = str(s.get("dtype") or "").replace("torch.", "")
    return f"{used}{f', {kind}' if kind else ''}; at most {most} products a spectrum"


def _tolerance(spectra: tuple[Spectrum, ...], s: dict[str, Any]) -> Text:
    if not s.get("tol"):
        return ""
    missed = sum(x.limited for x in spectra) or any(not x.converged for x in spectra)
    all_met = "; not met by every value, see below" if missed else ""
    asked = " asked of the estimated relative error of each value"
    return num.joined(num.number(float(s["tol"])), asked, all_met)


def _limited(spectra: tuple[Spectrum, ...]) -> str:
    """How many values more work could not improve, and how many of all are noise."""
    of = num.whole(sum(len(x.values) for x in spectra))
    limited = sum(x.limited for x in spectra)
    noise = sum(int((~x.reliable).sum()) for x in spectra)
    parts = []
    if limited:
        parts.append(f"{num.whole(limited)} of {of} values at it; they may miss the tolerance")
    if noise:
        parts.append(f"{num.whole(noise)} of {of} below the floor, noise")
    return "; ".join(parts) or f"reached by none of {of} values"


def _residual(net: Network) -> Text:
    worst = max(float(x.residuals.max(initial=0)) for x in net.run.spectra)
    rows = (*net.rows.values(), *net.own.values())
    share = max(r.relative_residual for r in rows)
    tail = " of the value, where that is above the floor"
    return num.joined("at most ", num.number(worst, 2), "; at most ", num.number(share, 2), tail)


def _missed(spectra: tuple[Spectrum, ...]) -> str:
    missed = [s for s in spectra if not s.converged]
    if not missed:
        return f"none of {num.whole(len(spectra))} spectra"
    reasons = "; ".join(sorted({s.reason for s in missed})[:3])
    stages = list(dict.fromkeys(num.short(s.stage) for s in missed))
    where = num.listing([*stages[:3], "others"] if len(stages) > 4 else stages)
    count = f"{num.whole(len(missed))} of {num.whole(len(spectra))} spectra"
    return f"{count}, at {where} ({reasons}). More memory or a lower k would help."


def _inputs(s: dict[str, Any], net: Network) -> str:
    digest = str(s.get("inputs_sha256") or "")
    names = [num.short(str(n), 30) for n in s.get("input_names") or []]
    shown = f"{names[0]} to {names[-1]}" if len(names) > 3 else ", ".join(names)
    tokens = "" if net.run.source == "input" else f"tokens, read from {num.short(net.run.source)}"
    parts = [
        num.whole(len(net.run.inputs)),
        tokens,
        shown,
        f"unit: {num.short(net.run.input_unit, 60)}",
    ]
    if digest:
        parts.append(f"SHA-256 {digest[:16]}…")
    return "; ".join(p for p in parts if p)


def _machine(s: dict[str, Any]) -> str:
    threads, seed = s.get("threads"), s.get("seed")
    parts = [str(s.get("device") or "")]
    if threads:
        parts.append(f"{threads} thread{'s' if threads != 1 else ''}")
    if seed is not None:
        parts.append(f"seed {seed}")
    return ", ".join(p for p in parts if p)
