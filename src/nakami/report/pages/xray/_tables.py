"""All figures, how they were computed, and the words: the tables at the end of the page."""

from __future__ import annotations

from markupsafe import Markup

from nakami.results import StageSummary

from ...page._html import rich
from ...page._sections import Table, Text
from ...words import _numbers as num
from ._completeness import log_sums
from ._page_data import Network, Reading, label, steady

QUANTITIES: tuple[tuple[str, Text, str], ...] = (
    ("count", "directions with s > 1", "number"),
    ("effective_rank", "effective rank", "number"),
    ("largest", "largest value", "stage unit per {} unit"),
    (
        "decay",
        Markup("s<sub>k</sub> / s<sub>1</sub> at the last computed index k"),
        "ratio",
    ),
    ("log_sum", "sum of ln s", "nat"),
)
SINGULAR = (
    "How much longer a small step becomes on its way from the {0} to the stage, along one "
    "direction. Unit: stage unit per {0} unit."
)
CONVERGED = (
    "Each value within the tolerance, or at the limit of the arithmetic: then as good as its "
    "number format allows, and no better."
)
SUMMED = (
    "Over the values above the floor; for two networks over the indices above it in both. Sums of "
    "other numbers of values do not compare."
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
    ("Layer’s own Jacobian", "The derivative of a stage by the stage before it, not by the {}."),
    ("Area covered", AREA),
    (
        "Residual",
        Markup("Largest of |J v − s u| and |J<sup>T</sup> u − s v|. It bounds the error of s."),
    ),
    (
        "Converged",
        CONVERGED,
    ),
    ("Floor", "What the arithmetic cannot tell from zero. Values below it are noise."),
    (
        "Sum of ln s",
        SUMMED,
    ),
    (
        "At least, ≥",
        "Only the largest values were computed; those left out can only raise the figure.",
    ),
    ("± sd, ± s.e.", "sd: spread between inputs. s.e.: uncertainty of a mean. Each says which."),
)


def words(reading: Reading) -> list[tuple[str, Text]]:
    """The words of the page, with what each means."""
    return [
        (word, text if isinstance(text, Markup) else text.format(reading.origin))
        for word, text in WORDS
    ]


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
        f"From the {reading.origin} to each stage, {reading.inputs()}",
        head,
        rows,
        numeric,
        500 + 180 * len(reading.networks),
    )


def _quantity_row(reading: Reading, stage: str, key: str, name: Text, unit: str) -> list[Text]:
    row: list[Text] = [stage, name, unit.format(reading.origin)]
    row += _cells(reading, stage, key)
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


def _cells(reading: Reading, stage: str, key: str) -> list[Text]:
    """One cell for each network."""
    if key == "decay":
        return [_decay(net.rows[stage], reading.noun) for net in reading.networks]
    if key != "log_sum":
        return [num.estimate(getattr(net.rows[stage], key)) for net in reading.networks]
    sums = log_sums(reading, stage)
    if sums is None:
        return ["no index reliable in both" for _ in reading.networks]
    return [_noted(num.estimate(e), text) for e, text in sums]


def _decay(row: StageSummary, noun: str) -> Text:
    """The last computed value as a share of the first; the floor in its place where it is noise."""
    if row.decay_is_noise:
        return num.joined("< ", num.number(row.decay_floor, 2), ", floor")
    if row.decay_below_floor:
        low, n = row.decay_below_floor, row.largest.n
        return _noted(num.estimate(row.decay), f"below the floor at {low} of {n} {noun}s")
    return num.estimate(row.decay)


def _noted(value: Text, note: str) -> Text:
    return Markup("{}<br><i>{}</i>").format(rich(value), note)


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
    head += ["largest residual", "residual / value", "at the limit", "below the floor"]
    rows = [
        _convergence_row(net, net.rows[stage])
        for stage in reading.stages
        for net in reading.networks
    ]
    if len(reading.networks) == 1:
        del head[1]
        rows = [[line[0], *line[2:]] for line in rows]
    numeric = tuple(range(len(head) - 7, len(head)))
    return Table("Convergence", head, rows, numeric, 860, _convergence_note(reading))


def _convergence_note(reading: Reading) -> Text:
    """What the columns say, and what a residual above the tolerance means."""
    rows = [row for net in reading.networks for row in net.rows.values()]
    tol = reading.main.run.settings.get("tol")
    parts: list[Text] = []
    if tol:
        parts.append(
            num.joined(
                "The tolerance, ",
                num.number(float(tol)),
                ", is asked of the estimated relative error of a value, the smaller of r / s and "
                "r² / (gap s), with r its residual and gap the distance to the nearest other "
                "value. ",
            )
        )
        if any(row.relative_residual > float(tol) for row in rows):
            parts.append("So a residual may lie above it. ")
    if any(row.limited for row in rows):
        parts.append(
            "At the limit: more work in this arithmetic would not improve the value, which may "
            "miss the tolerance. "
        )
    if any(row.unreliable for row in rows):
        parts.append("Below the floor: noise, not told from zero.")
    return num.joined(*parts)


def _convergence_row(net: Network, row: StageSummary) -> list[Text]:
    kind = next(s.kind for s in net.run.stages if s.name == row.stage)
    m, n = row.shape
    total = sum(len(s.values) for s in net.run.at(row.stage))
    return [
        row.stage,
        num.short(net.label, 24),
        kind,
        f"{num.whole(m)} × {num.whole(n)}",
        f"{num.whole(row.k)} of {num.whole(min(m, n))}",
        f"{row.n_converged} of {row.largest.n}",
        num.number(row.residual, 2),
        num.number(row.relative_residual, 2),
        _of(row.limited, total),
        _of(row.unreliable, total),
    ]


def _of(part: int, total: int) -> str:
    return f"{num.whole(part)} of {num.whole(total)}" if part else "0"


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
