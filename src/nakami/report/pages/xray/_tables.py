"""All figures, how they were computed, and the words: the tables at the end of the page."""

from __future__ import annotations

from markupsafe import Markup

from nakami.results import StageSummary

from ...page._html import rich
from ...page._sections import Table, Text
from ...words import _numbers as num
from ._completeness import log_sums
from ._data import Network, Reading, label, say

QUANTITIES: tuple[tuple[str, Text, str], ...] = (
    ("count", "directions with s > 1", "number"),
    ("effective_rank", "effective rank", "number"),
    ("largest", "largest value", "stage unit per {} unit"),
    ("decay", Markup("s<sub>k</sub> / s<sub>1</sub> at the last computed index k"), "ratio"),
    ("log_sum", "sum of ln s", "nat"),
)


def words(reading: Reading) -> list[tuple[str, Text]]:
    """The words of the page, with what each means."""
    return [(word, text.format(origin=reading.origin)) for word, text in say.words]


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
        for stage in (*reading.stages, *reading.aside)
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
    row: list[Text] = [_named(reading, stage), name, unit.format(reading.origin)]
    row += _cells(reading, stage, key)
    if reading.comparison is None or reading.n == 1:
        return row
    bound = any(getattr(net.rows[stage], key).lower_bound for net in reading.networks)
    c = reading.comparison.find(stage, key)
    if c is None or bound:
        return [*row, "", ""]
    if c.steady:
        return [*row, "0", ""]
    interval = f"{num.number(c.low)} to {num.number(c.high)}"
    return [*row, num.pair(c.mean, c.se, sign=True), interval]


def _named(reading: Reading, stage: str) -> Text:
    return say("table.aside", stage=stage) if stage in reading.aside else stage


def _cells(reading: Reading, stage: str, key: str) -> list[Text]:
    """One cell for each network."""
    if key == "decay":
        return [_decay(net.rows[stage], reading.noun) for net in reading.networks]
    if key != "log_sum":
        return [num.estimate(getattr(net.rows[stage], key)) for net in reading.networks]
    sums = log_sums(reading, stage)
    if sums is None:
        return [say("extent.no_common") for _ in reading.networks]
    return [_noted(num.estimate(e), text) for e, text in sums]


def _decay(row: StageSummary, noun: str) -> Text:
    """The last computed value as a share of the first; the floor in its place where it is noise."""
    if row.decay_is_noise:
        return say("table.floor", floor=row.decay_floor)
    if row.decay_below_floor:
        low, n = row.decay_below_floor, row.largest.n
        return _noted(num.estimate(row.decay), say("table.floor_some", low=low, n=n, noun=noun))
    return num.estimate(row.decay)


def _noted(value: Text, note: str) -> Text:
    return Markup("{}<br><i>{}</i>").format(rich(value), note)


def _facts(reading: Reading) -> list[Table]:
    """What else is known of each network, such as its test error."""
    rows: list[list[Text]] = [
        [net.label, name, unit, num.pair(value, spread, kind)]
        for net in reading.networks
        for name, value, spread, kind, unit in net.facts
    ]
    head: list[Text] = ["network", "fact", "unit", "value"]
    return [Table("Facts of each network", head, rows, (3,))] if rows else []


def _convergence(reading: Reading) -> Table:
    head: list[Text] = ["stage", "network", "kind", "Jacobian", "values", "converged"]
    head += ["largest residual", "residual / value", "at the limit", "below the floor"]
    rows = [
        _convergence_row(net, net.rows[stage])
        for stage in (*reading.stages, *reading.aside)
        for net in reading.networks
    ]
    if len(reading.networks) == 1:
        del head[1]
        rows = [[line[0], *line[2:]] for line in rows]
    numeric = tuple(range(len(head) - 7, len(head)))
    return Table("Convergence", head, rows, numeric, 860, _convergence_note(reading))


def _convergence_note(reading: Reading) -> str:
    """What the columns say, and what a residual above the tolerance means."""
    rows = [row for net in reading.networks for row in net.rows.values()]
    tol = float(reading.main.run.settings.get("tol") or 0)
    cases = {
        "tolerance": tol > 0,
        "residual": tol > 0 and any(row.relative_residual > tol for row in rows),
        "limited": any(row.limited for row in rows),
        "noise": any(row.unreliable for row in rows),
    }
    return "".join(say(f"table.{case}", tol=tol) for case, there in cases.items() if there)


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
    return say("table.part", part=part, total=total) if part else "0"


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
    name = f", {label(net, 40)}" if reading.key else ""
    return Table(f"Each layer’s own Jacobian{name}", head, rows, (2, 3, 4, 5), 680)
