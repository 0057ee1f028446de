"""How each network was measured: the settings, and how far its values may be trusted."""

from __future__ import annotations

from typing import Any

from nakami.results import Spectrum, StageSummary, counted, unit_text

from ...page._sections import Table, Text
from ...words import _numbers as num
from ._completeness import bounds, computed, estimates, so_far
from ._data import Network, Reading, say

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
    share = so_far(reading) if reading.comparison is None else ""
    took, part = sum(x.seconds for x in spectra), f" ({share})" if share else ""
    return {
        "Values": computed(rows),
        "Operator": _operator(spectra),
        "Solver": _solver(spectra, s),
        "Tolerance": _tolerance(spectra, s),
        "Limit of the arithmetic": _limited(spectra),
        "Residual": _residual(net),
        "Not converged": _missed(spectra),
        "Lower bounds": bounds(rows),
        "Estimates": _estimates(spectra, rows),
        "Data": str(s.get("data") or ""),
        "Inputs": _inputs(s, net),
        "Weights": f"SHA-256 {weights[:16]}…" if weights else "",
        "Training": str(s.get("training") or "not stated"),
        "Output read": str(s.get("select") or ""),
        "Batch normalisation": str(s.get("batch_normalisation") or ""),
        "Positions": str(s.get("positions", "")),
        "Derivative": say("how.detached") if s.get("derivative") else "",
        "Time": say("how.time", took=took, spectra=len(spectra), so_far=part),
        "Machine, seed": _machine(s),
        "Versions": ", ".join(f"{k} {v}" for k, v in (s.get("versions") or {}).items()),
        "Folder": net.run.folder.name if net.run.folder else "",
    }


def _operator(spectra: tuple[Spectrum, ...]) -> str:
    m, n = max((s.shape for s in spectra), key=lambda shape: shape[0] * shape[1])
    return say("how.operator", rows=m, columns=n, routes=sorted({s.route for s in spectra}))


def _solver(spectra: tuple[Spectrum, ...], s: dict[str, Any]) -> str:
    used = [SOLVERS.get(m, m) for m in sorted({x.method for x in spectra})]
    kind = str(s.get("dtype") or "").replace("torch.", "")
    most = num.whole(max(x.n_products for x in spectra))
    return say("how.solver", methods=used, dtype=f", {kind}" if kind else "", products=most)


def _tolerance(spectra: tuple[Spectrum, ...], s: dict[str, Any]) -> str:
    if not s.get("tol"):
        return ""
    missed = any(x.limited or not x.converged for x in spectra)
    return say("how.tolerance", tol=float(s["tol"]), missed=missed)


def _limited(spectra: tuple[Spectrum, ...]) -> str:
    """How many values more work could not improve, and how many of all are noise."""
    total = sum(len(x.values) for x in spectra)
    limited = sum(x.limited for x in spectra)
    noise = sum(int((~x.reliable).sum()) for x in spectra)
    parts = [say("how.limited", limited=limited, total=total)] if limited else []
    parts += [say("how.noise", noise=noise, total=total)] if noise else []
    return "; ".join(parts) or say("how.no_limit", total=total)


def _residual(net: Network) -> str:
    worst = max(float(x.residuals.max(initial=0)) for x in net.run.spectra)
    rows = (*net.rows.values(), *net.own.values())
    return say("how.residual", worst=worst, share=max(r.relative_residual for r in rows))


def _estimates(spectra: tuple[Spectrum, ...], rows: list[StageSummary]) -> str:
    """Which figures are estimates, and by how many probes."""
    found, rests = estimates(rows), [s.remainder for s in spectra if s.remainder is not None]
    if not found:
        return ""
    most = max(rests, key=lambda rest: (rest.n_deep * rest.steps, rest.n_probes))
    data = {"probes": most.n_probes, "deep": most.n_deep, "steps": most.steps}
    return say("how.estimates_deep" if most.n_deep else "how.estimates", figures=found, **data)


def _missed(spectra: tuple[Spectrum, ...]) -> str:
    missed, total = [s for s in spectra if not s.converged], len(spectra)
    if not missed:
        return say("how.all_converged", total=total)
    reasons = "; ".join(sorted({s.reason for s in missed})[:3])
    stages = list(dict.fromkeys(num.short(s.stage) for s in missed))
    some = [*stages[:3], "others"] if len(stages) > 4 else stages
    return say("how.missed", missed=len(missed), total=total, stages=some, reasons=reasons)


def _inputs(s: dict[str, Any], net: Network) -> str:
    digest = str(s.get("inputs_sha256") or "")
    names = [num.short(str(n), 30) for n in s.get("input_names") or []]
    shown = f"{names[0]} to {names[-1]}" if len(names) > 3 else ", ".join(names)
    tokens = "" if net.run.source == "input" else say("how.tokens", source=net.run.source)
    unit, read = (
        f"unit: {num.short(unit_text(net.run.input_unit), 60)}",
        num.whole(len(net.run.inputs)),
    )
    told = (read, tokens, shown, unit, f"SHA-256 {digest[:16]}…" if digest else "")
    return "; ".join(filter(None, told))


def _machine(s: dict[str, Any]) -> str:
    threads, seed = s.get("threads"), s.get("seed")
    on = counted(threads, "thread") if threads else ""
    told = (str(s.get("device") or ""), on, "" if seed is None else f"seed {seed}")
    return ", ".join(filter(None, told))
