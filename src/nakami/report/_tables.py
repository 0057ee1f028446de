"""All figures, how they were computed, and the words: the tables at the end of the page."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from nakami.results import Spectrum, StageSummary

from . import _numbers as num
from ._reading import Network, Reading, label, steady
from ._sections import Table, Text

QUANTITIES: tuple[tuple[str, Text, str], ...] = (
    ("count", "directions with s > 1", "number"),
    ("effective_rank", "effective rank", "number"),
    ("largest", "largest value", "stage unit per input unit"),
    (
        "decay",
        Markup("s<sub>k</sub> / s<sub>1</sub> at the last computed index k"),
        "ratio",
    ),
    ("log_sum", "sum of ln s over reliable values", "nat"),
)
SOLVERS = {"dense": "dense SVD", "gram": "Gram matrix", "krylov": "Krylov iteration"}
SINGULAR = (
    "How much longer a small step becomes on its way from the input to the stage, along one "
    "direction. Unit: stage unit per input unit."
)
AREA = (
    "(Σ e)² / Σ e², where e is the energy of a pixel. One pixel: 1. All pixels alike: all of them."
)
WORDS: tuple[tuple[str, Text], ...] = (
    ("Singular value s", SINGULAR),
    (
        "Direction kept",
        "A right singular vector with s > 1. The step arrives at least as long as it left.",
    ),
    (
        "Effective rank",
        Markup("(Σ s²)² / Σ s<sup>4</sup>. The number of equal values that give the same sums."),
    ),
    ("Layer’s own Jacobian", "The derivative of a stage by the stage before it, not by the input."),
    ("Area covered", AREA),
    (
        "Residual",
        Markup("Largest of |J v − s u| and |J<sup>T</sup> u − s v|. It bounds the error of s."),
    ),
    (
        "At least, ≥",
        "Only the largest values were computed; those left out can only raise the figure.",
    ),
    ("± sd, ± s.e.", "sd: spread between inputs. s.e.: uncertainty of a mean. Each says which."),
)


def figures_tables(reading: Reading) -> list[Table]:
    """One table of quantities, one of convergence, and the layers' own figures if measured."""
    own = [_own(net, reading) for net in reading.networks if net.own]
    return [_quantities(reading), *_facts(reading), _convergence(reading), *own]


def _quantities(reading: Reading) -> Table:
    spread = ", ± sd" if reading.n > 1 else ""
    head: list[Text] = ["stage", "quantity", "unit"]
    head += [f"{num.short(net.label, 30)}{spread}" for net in reading.networks]
    if reading.comparison is not None and reading.n > 1:
        head += ["paired change, ± s.e.", "95 % interval"]
    rows = [
        _quantity_row(reading, stage, *quantity)
        for stage in reading.stages
        for quantity in QUANTITIES
    ]
    numeric = tuple(range(3, len(head)))
    return Table(
        f"From the input to each stage, {reading.inputs()}",
        head,
        rows,
        numeric,
        500 + 180 * len(reading.networks),
    )


def _quantity_row(reading: Reading, stage: str, key: str, name: Text, unit: str) -> list[Text]:
    row: list[Text] = [stage, name, unit]
    row += [num.estimate(getattr(net.rows[stage], key)) for net in reading.networks]
    if reading.comparison is None or reading.n == 1:
        return row
    bound = any(getattr(net.rows[stage], key).lower_bound for net in reading.networks)
    c = reading.comparison.find(stage, key)
    if c is None or bound:
        return [*row, "", ""]
    if steady(c):
        return [*row, "0", ""]
    interval = num.joined(num.number(c.low), " to ", num.number(c.high))
    return [*row, num.pair(c.mean, c.se, sign=True), interval]


def _facts(reading: Reading) -> list[Table]:
    """What else is known of each network, such as its test error."""
    rows: list[list[Text]] = []
    for net in reading.networks:
        for fact in net.run.settings.get("facts") or []:
            spread, kind = fact.get("spread"), str(fact.get("spread_kind") or "")
            value = num.pair(float(fact["value"]), float("nan") if spread is None else spread, kind)
            rows.append([net.label, str(fact["label"]), str(fact.get("unit") or ""), value])
    head: list[Text] = ["network", "fact", "unit", "value"]
    return [Table("Facts of each network", head, rows, (3,))] if rows else []


def _convergence(reading: Reading) -> Table:
    head: list[Text] = ["stage", "network", "kind", "Jacobian", "values", "converged"]
    head += ["largest residual", "relative to its value", "below the floor"]
    rows = [
        _convergence_row(net, net.rows[stage])
        for stage in reading.stages
        for net in reading.networks
    ]
    if len(reading.networks) == 1:
        del head[1]
        rows = [[line[0], *line[2:]] for line in rows]
    return Table("Convergence", head, rows, tuple(range(len(head) - 6, len(head))), 820)


def _convergence_row(net: Network, row: StageSummary) -> list[Text]:
    kind = next(s.kind for s in net.run.stages if s.name == row.stage)
    m, n = row.shape
    return [
        row.stage,
        num.short(net.label, 24),
        kind,
        f"{num.whole(m)} × {num.whole(n)}",
        f"{num.whole(row.k)} of {num.whole(min(m, n))}",
        f"{row.n_converged} of {row.largest.n}",
        num.number(row.residual, 2),
        num.number(row.relative_residual, 2),
        num.whole(row.unreliable),
    ]


def _own(net: Network, reading: Reading) -> Table:
    spread = ", ± sd" if reading.n > 1 else ""
    names = ("directions with s > 1", "effective rank", "largest value")
    head: list[Text] = ["stage", "from", *(f"{name}{spread}" for name in names), "converged"]
    rows: list[list[Text]] = [
        [
            r.stage,
            r.source,
            num.estimate(r.count),
            num.estimate(r.effective_rank),
            num.estimate(r.largest),
            f"{r.n_converged} of {r.largest.n}",
        ]
        for r in net.own.values()
    ]
    name = f", {label(net, 40)}" if len(reading.networks) > 1 else ""
    return Table(f"Each layer’s own Jacobian{name}", head, rows, (2, 3, 4, 5), 680)


def how_table(reading: Reading) -> Table:
    """How each network was measured, one column each."""
    columns = [_how(net) for net in reading.networks]
    rows: list[list[Text]] = [
        [key, *(column[key] for column in columns)]
        for key in columns[0]
        if any(c[key] for c in columns)
    ]
    head: list[Text] = ["", *(num.short(net.label, 40) for net in reading.networks)]
    return Table("Settings and residuals", head, rows, (), 300 + 240 * len(columns))


def _how(net: Network) -> dict[str, Text]:
    s, spectra = net.run.settings, net.run.spectra
    weights = str((s.get("model") or {}).get("weights_sha256") or "")
    worst = max(float(x.residuals.max(initial=0)) for x in spectra)
    took = num.seconds(sum(x.seconds for x in spectra))
    bound = "estimated relative error of each value at most "
    return {
        "Operator": _operator(spectra),
        "Solver": _solver(spectra, s),
        "Tolerance": num.joined(bound, num.number(float(s["tol"]))) if s.get("tol") else "",
        "Residual": num.joined("at most ", num.number(worst, 2), ", absolute"),
        "Not converged": _missed(spectra),
        "Lower bounds": _bounds(net),
        "Data": str(s.get("data") or ""),
        "Inputs": _inputs(s, net),
        "Weights": f"SHA-256 {weights[:16]}…" if weights else "",
        "Training": str(s.get("training") or "not stated"),
        "Time": f"{took} for {num.whole(len(spectra))} spectra",
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


def _missed(spectra: tuple[Spectrum, ...]) -> str:
    missed = [s for s in spectra if not s.converged]
    if not missed:
        return f"none of {num.whole(len(spectra))} spectra"
    reasons = "; ".join(sorted({s.reason for s in missed})[:3])
    stages = list(dict.fromkeys(num.short(s.stage) for s in missed))
    where = num.listing([*stages[:3], "others"] if len(stages) > 4 else stages)
    count = f"{num.whole(len(missed))} of {num.whole(len(spectra))} spectra"
    return f"{count}, at {where} ({reasons}). More memory or a lower k would help."


def _bounds(net: Network) -> str:
    rows = net.rows.values()
    if any(r.count.lower_bound for r in rows):
        return "counts and effective ranks, where only the largest values were computed"
    if any(r.effective_rank.lower_bound for r in rows):
        return "effective ranks, where only the largest values were computed"
    return "none"


def _inputs(s: dict[str, Any], net: Network) -> str:
    digest = str(s.get("inputs_sha256") or "")
    names = [num.short(str(n), 30) for n in s.get("input_names") or []]
    shown = f"{names[0]} to {names[-1]}" if len(names) > 3 else ", ".join(names)
    parts = [num.whole(len(net.run.inputs)), shown, f"unit: {num.short(net.run.input_unit, 60)}"]
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
