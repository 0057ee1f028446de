"""All figures, how they were computed, and the words: the tables at the end of the page."""

from __future__ import annotations

from typing import Any

from nakami.results import Spectrum, StageSummary

from . import _numbers as num
from ._reading import Network, Reading
from ._sections import Table, Text
from ._verdict import label

QUANTITIES = (
    ("count", "directions with s > 1", "number"),
    ("effective_rank", "effective rank", "number"),
    ("largest", "largest value", "stage unit per input unit"),
    ("decay", "s_k / s_1 at the last computed index", "ratio"),
    ("log_sum", "sum of ln s, reliable values", "nat"),
)
WORDS = (
    ("Singular value s", "How much longer a small step becomes on its way from the input to the stage, along one direction. Unit: stage unit per input unit."),
    ("Direction kept", "A right singular vector with s > 1. The step arrives at least as long as it left."),
    ("Effective rank", "(Σ s²)² / Σ s⁴. The number of equal values that would give the same sums."),
    ("Own Jacobian", "The derivative of a stage by the stage before it, not by the input."),
    ("Area covered", "(Σ e)² / Σ e², where e is the energy of a pixel. One pixel: 1. All pixels alike: all of them."),
    ("Residual", "Largest of |J v − s u| and |Jᵀ u − s v|. It bounds the error of s."),
    ("At least", "Only the largest values were computed; those left out can only raise the figure."),
    ("± sd, ± s.e.", "sd: spread between inputs. s.e.: uncertainty of a mean. Each figure says which."),
)  # fmt: skip


def figures_tables(reading: Reading) -> list[Table]:
    """One table of quantities, one of convergence, and the layers' own figures if measured."""
    tables = [_quantities(reading), _convergence(reading)]
    own = [_own(net, reading) for net in reading.networks if net.own]
    return [*tables, *own]


def _quantities(reading: Reading) -> Table:
    two = reading.comparison is not None
    head: list[Text] = ["stage", "quantity", "unit"]
    head += [f"{num.short(net.label, 30)}, ± sd" for net in reading.networks]
    head += ["paired change, ± s.e.", "95 % interval"] if two else []
    rows = [
        _quantity_row(reading, stage, *quantity) for stage in reading.stages for quantity in QUANTITIES
    ]
    numeric = tuple(range(3, len(head)))
    return Table(f"Figures from the input to each stage, {reading.inputs()}", head, rows, numeric, 680)


def _quantity_row(reading: Reading, stage: str, key: str, name: str, unit: str) -> list[Text]:
    row: list[Text] = [stage, name, unit]
    for net in reading.networks:
        row.append(num.estimate(getattr(net.rows[stage], key)))
    if reading.comparison is None:
        return row
    if key == "decay" or (key == "count" and _bounded(reading, stage)):
        return [*row, "", ""]
    c = reading.comparison.change(stage, key)
    interval = f"{num.plain(c.low)} to {num.plain(c.high)}" if c.low == c.low else ""
    return [*row, num.pair(c.mean, c.se, sign=True), interval]


def _bounded(reading: Reading, stage: str) -> bool:
    return any(net.rows[stage].count.lower_bound for net in reading.networks)


def _convergence(reading: Reading) -> Table:
    head: list[Text] = ["stage", "network", "kind", "Jacobian", "values", "converged",
                        "largest residual", "relative to its value", "below the floor"]  # fmt: skip
    if len(reading.networks) == 1:
        head.remove("network")
    rows: list[list[Text]] = []
    for stage in reading.stages:
        for net in reading.networks:
            cells = _convergence_row(net, net.rows[stage])
            rows.append(cells if len(reading.networks) > 1 else [cells[0], *cells[2:]])
    return Table("Convergence", head, rows, tuple(range(len(head) - 6, len(head))), 820)


def _convergence_row(net: Network, row: StageSummary) -> list[Text]:
    kind = next(s.kind for s in net.run.stages if s.name == row.stage)
    m, n = row.shape
    return [
        row.stage, num.short(net.label, 24), kind, f"{num.whole(m)} × {num.whole(n)}",
        f"{num.whole(row.k)} of {num.whole(min(m, n))}", f"{row.n_converged} of {row.largest.n}",
        num.number(row.residual, 2), num.number(row.relative_residual, 2), num.whole(row.unreliable),
    ]  # fmt: skip


def _own(net: Network, reading: Reading) -> Table:
    head: list[Text] = ["stage", "from", "directions with s > 1, ± sd", "effective rank, ± sd",
                        "largest value, ± sd", "converged"]  # fmt: skip
    rows: list[list[Text]] = [
        [r.stage, r.source, num.estimate(r.count), num.estimate(r.effective_rank),
         num.estimate(r.largest), f"{r.n_converged} of {r.largest.n}"]
        for r in net.own.values()
    ]  # fmt: skip
    name = f", {label(net, 40)}" if len(reading.networks) > 1 else ""
    return Table(f"Each layer's own Jacobian{name}", head, rows, (2, 3, 4, 5), 680)


def how_table(reading: Reading) -> Table:
    """How each network was measured, one column each."""
    columns = [_how(net) for net in reading.networks]
    rows: list[list[Text]] = [
        [key, *(column[key] for column in columns)] for key in columns[0] if any(c[key] for c in columns)
    ]
    head: list[Text] = ["", *(num.short(net.label, 40) for net in reading.networks)]
    return Table("Settings and residuals", head, rows, (), 560)


def _how(net: Network) -> dict[str, str]:
    s, spectra = net.run.settings, net.run.spectra
    model = s.get("model") or {}
    return {
        "Operator": _operator(spectra),
        "Solver": _solver(spectra, s),
        "Tolerance": f"estimated relative error of each value at most {num.plain(float(s['tol']))}" if s.get("tol") else "",
        "Residual": f"at most {num.plain(max(float(x.residuals.max(initial=0)) for x in spectra), 2)}, absolute",
        "Not converged": _missed(spectra),
        "Estimates": _bounds(net),
        "Data": str(s.get("data") or ""),
        "Inputs": _inputs(s, net),
        "Weights": f"SHA-256 {str(model.get('weights_sha256'))[:16]}…" if model.get("weights_sha256") else "",
        "Training": str(s.get("training") or "not stated"),
        "Time": f"{num.seconds(sum(x.seconds for x in spectra))} for {num.whole(len(spectra))} spectra",
        "Machine, seed": _machine(s),
        "Versions": ", ".join(f"{k} {v}" for k, v in (s.get("versions") or {}).items()),
        "Folder": net.run.folder.name if net.run.folder else "",
    }  # fmt: skip


def _operator(spectra: tuple[Spectrum, ...]) -> str:
    m, n = max(s.shape[0] for s in spectra), max(s.shape[1] for s in spectra)
    routes = num.listing(sorted({s.route for s in spectra}))
    return f"Jacobian, up to {num.whole(m)} × {num.whole(n)}; products by {routes}"


def _solver(spectra: tuple[Spectrum, ...], s: dict[str, Any]) -> str:
    names = {"dense": "dense SVD", "gram": "Gram matrix", "krylov": "Krylov iteration"}
    used = num.listing([names.get(m, m) for m in sorted({x.method for x in spectra})])
    most = num.whole(max(x.n_products for x in spectra))
    kind = str(s.get("dtype") or "").replace("torch.", "")
    return f"{used}{f', {kind}' if kind else ''}; at most {most} products a spectrum"


def _missed(spectra: tuple[Spectrum, ...]) -> str:
    missed = [s for s in spectra if not s.converged]
    if not missed:
        return f"none of {num.whole(len(spectra))} spectra"
    reasons = num.listing(sorted({s.reason for s in missed})[:3])
    stages = list(dict.fromkeys(s.stage for s in missed))
    where = num.listing([num.short(s) for s in stages[:4]]) + (" and others" if len(stages) > 4 else "")
    return f"{num.whole(len(missed))} of {num.whole(len(spectra))} spectra, at {where}: {reasons}"


def _bounds(net: Network) -> str:
    rows = net.rows.values()
    if any(r.count.lower_bound for r in rows):
        return "counts and effective ranks of truncated spectra are lower bounds"
    if any(r.effective_rank.lower_bound for r in rows):
        return "effective ranks of truncated spectra are lower bounds"
    return "none"


def _inputs(s: dict[str, Any], net: Network) -> str:
    digest = str(s.get("inputs_sha256") or "")
    names = [str(n) for n in s.get("input_names") or []]
    shown = num.listing([num.short(n, 30) for n in ([*names[:2], names[-1]] if len(names) > 3 else names)]) if names else ""
    parts = [f"{len(net.run.inputs)}", shown, f"SHA-256 {digest[:16]}…" if digest else "", f"unit: {net.run.input_unit}"]
    return "; ".join(p for p in parts if p)


def _machine(s: dict[str, Any]) -> str:
    threads = s.get("threads")
    parts = [str(s.get("device") or ""), f"{threads} threads" if threads else "",
             f"seed {s['seed']}" if s.get("seed") is not None else ""]  # fmt: skip
    return ", ".join(p for p in parts if p)
