"""All of the page but its sections: verdict, tables and words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ....results import counted
from ...page._sections import Frame, KeyFigure, Section, Table, Text, Verdict
from ...words import _numbers as num
from ._sections import phase, say

if TYPE_CHECKING:
    from nakami.theory.meanfield import Prediction, Rates


def frame(found: Prediction, sections: list[Section]) -> Frame:
    """Verdict, tables and words."""
    from nakami import __version__

    name = f"{found.activation} {'-'.join(map(str, found.order.widths))}"
    return Frame(
        kind="Mean-field theory",
        title=f"nakami theory: {num.short(name, 60)}",
        name=name,
        verdict=_verdict(found, name),
        tables=[layers_table(found), statistics_table(found), rates_table(found)],
        how=_how(found),
        note=say("how.note"),
        words=say.words,
        n_curves=2,
        made="Computed",
        version=__version__,
        created="",
    )


def _verdict(found: Prediction, name: str) -> Verdict:
    r, f, o, bounds = found.rates, found.statistics, found.order, found.softmax
    top, kind = (f.largest, "") if bounds is None else (bounds.lower, "_bound")
    figures = {
        "limit": r.limit,
        "advised" if bounds is None else "advised_safe": r.advised,
        f"largest{kind}": top,
        "mean": f.mean,
    }
    case = "outliers" if f.n_bulk and f.bulk else "no_bulk"
    ratio = f.largest / f.bulk if f.bulk else 1.0
    outliers = say(f"verdict.{case}", outputs=f.n_outliers, largest=f.largest, ratio=ratio,
                   others=f.n_bulk)  # fmt: skip
    network = say("meta.network", name=name, weights=_list(o.weight_variance),
                  biases=_list(o.bias_variance))  # fmt: skip
    loss = say(f"loss.{found.loss}")
    return Verdict(
        kicker=f"{name}, {loss}",
        headline=say("verdict.headline", safe=r.safe),
        standfirst=[outliers, phase(found)],
        figures=[KeyFigure(num.number(v), "", say(f"figure.{k}")) for k, v in figures.items()],
        meta=[
            ("Network", network),
            ("Inputs", say("meta.inputs", same=found.start.same, other=found.start.other)),
            ("Samples", say("meta.samples", samples=found.samples)),
            ("Loss", loss),
        ],
    )


def _list(values: Iterable[float]) -> str:
    numbers = [num.number(float(v)) for v in values]
    return numbers[0] if len(set(numbers)) == 1 else ", ".join(numbers)


def layers_table(found: Prediction) -> Table:
    """Order parameters by layer."""
    o = found.order
    head: list[Text] = [
        "layer", "width", "|h|²/M", "overlap", "correlation", "|∂f/∂u|²", "overlap of gradients",
        "gain",
    ]  # fmt: skip
    rows: list[list[Text]] = []
    for i, width in enumerate(o.widths):
        ahead = (o.q_hat1[i], o.q_hat2[i]) if i < len(o.q_hat1) else (o.q1[-1], o.q2[-1])
        back = [
            num.number(float(q[i - 1])) if i else "" for q in (o.q_tilde1, o.q_tilde2, o.layer_gain)
        ]
        cells = [num.number(float(v)) for v in (*ahead, found.correlation[i])]
        rows.append([str(i), num.whole(width), *cells, *back])
    note = say("table.layers", kappa1=o.kappa1, kappa2=o.kappa2, alpha=o.alpha)
    return Table("Order parameters by layer", head, rows, tuple(range(1, 8)), 760, note)


def statistics_table(found: Prediction) -> Table:
    """Eigenvalues of the Fisher matrix."""
    f, p, sd = found.statistics, found.softmax, found.softmax_sd
    rows: list[list[Text]] = [
        ["mean m_λ", num.number(f.mean)],
        ["second moment s_λ", num.number(f.second_moment)],
        [f"λ_max, {counted(f.n_outliers, 'eigenvalue')} near", num.number(f.largest)],
        ["upper end of λ_max at these widths", num.number(f.largest_edge)],
        [f"bulk, {num.whole(f.n_bulk)} eigenvalues near", num.number(f.bulk)],
        ["trace", num.number(f.trace)],
        ["trace of the square", num.number(f.trace_of_square)],
    ]
    note = say("table.squared")
    if p is not None and sd is not None:
        rows += [
            ["cross-entropy: mean m_λ", num.pair(p.mean, sd.mean, "sd")],
            ["cross-entropy: second moment s_λ", num.pair(p.second_moment, sd.second_moment, "sd")],
            ["cross-entropy: λ_max at least", num.pair(p.lower, sd.lower, "sd")],
            ["cross-entropy: λ_max at most", num.pair(p.upper, sd.upper, "sd")],
        ]
        note = say("table.both", draws=found.draws)
    return Table("Eigenvalues of the Fisher matrix", ["reading", "value"], rows, (1,), 0, note)


def rates_table(found: Prediction) -> Table:
    """Learning rates by width."""
    fast = found.rates.fastest is not None
    head: list[Text] = ["width", "limit", "safe", *(["fastest"] if fast else []), "advised"]
    rows = [_rates_row(w, r) for w, r in zip(found.widths, found.by_width, strict=True)]
    note = say("table.rates")
    return Table("Learning rates by width", head, rows, tuple(range(len(head))), 420, note)


def _rates_row(width: int, r: Rates) -> list[Text]:
    rates = [v for v in (r.limit, r.safe, r.fastest, r.advised) if v is not None]
    return [num.whole(width), *map(num.number, rates)]


def _how(found: Prediction) -> Table:
    rows: list[list[Text]] = [
        ["Theory", say("how.theory")],
        ["Order and chaos", say("how.order")],
        ["Assumed", say("how.assumed")],
        ["Left out", say("how.left_out")],
        ["Loss", say(f"loss.{found.loss}")],
    ]
    if found.draws:
        rows.append(["Outputs", say("how.draws", draws=found.draws)])
    return Table("What was computed", ["", "this network"], rows, (), 480)
