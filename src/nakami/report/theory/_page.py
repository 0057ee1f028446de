"""The page of a prediction: signals by depth, eigenvalues, and learning rates by width."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from ..page._html import Page
from ..page._sections import Section, Table, Text
from ..words import _numbers as num
from ..xray._key_figures import KeyFigure
from ..xray._verdict import Verdict
from ._figures import eigenvalue_figure, gradient_figure, map_figure, signal_figure

if TYPE_CHECKING:
    from nakami.theory.meanfield import Prediction, Rates

LOSSES = {
    "half": "half the squared error, sum over outputs, mean over samples",
    "mse": "mean squared error, over outputs and samples",
    "mse_sum": "squared error, summed over outputs and samples",
    "cross_entropy": "mean cross-entropy",
}
WORDS: list[tuple[str, Text]] = [
    ("order parameter", "A mean over the units of a layer that a wide random network settles to."),
    (
        "|h|²/M",
        (
            "Mean square of a layer’s states, q̂₁; the overlap q̂₂ is the mean of the product of "
            "the states of two inputs."
        ),
    ),
    ("|∂f/∂u|²", "Squared gradient of one output by a layer’s input, q̃₁; q̃₂ between two inputs."),
    ("gain", "Mean squared singular value of one layer. Above 1 differences between inputs grow."),
    ("κ₁, κ₂", "Averages over layers of the products q̃₁q̂₁ and q̃₂q̂₂: they set the eigenvalues."),
    (
        "Fisher matrix",
        ("Sum over outputs, mean over samples; for squared error the curvature at zero residual."),
    ),
    ("m_λ, s_λ, λ_max", "Mean, second moment and largest of its eigenvalues."),
    ("limit", "The learning rate above which steps along the sharpest direction grow."),
]


def theory_page(found: Prediction) -> Page:
    """All of the page but its frame."""
    from nakami import __version__

    o = found.order
    name = f"{found.activation} {'-'.join(map(str, o.widths))}"
    return Page(
        kind="Mean-field theory",
        title=f"nakami theory: {num.short(name, 60)}",
        name=name,
        verdict=_verdict(found, name),
        sections=[_depth(found), _eigenvalues(found), _map(found)],
        tables=[layers_table(found), statistics_table(found), rates_table(found)],
        how=_how(found),
        note="No network was made: these are formulas for infinite width, without fitted numbers.",
        words=WORDS,
        n_curves=2,
        made="Computed",
        version=__version__,
        created="",
    )


def _verdict(found: Prediction, name: str) -> Verdict:
    r, f = found.rates, found.statistics
    headline = f"Gradient descent on this wide network is stable below {num.plain(r.safe)}"
    here = found.softmax
    top = f"{num.plain(f.largest)}" if here is None else f"{num.plain(here.lower)}"
    figures = [
        KeyFigure(num.number(r.limit), Markup(""), "limit of the learning rate, infinite width"),
        KeyFigure(
            num.number(r.advised),
            Markup(""),
            "rate advised, 0.75 of the limit at these widths"
            if here is None
            else "rate advised, 0.75 of the safe limit",
        ),
        KeyFigure(
            Markup(top),
            Markup(""),
            "λ_max of the Fisher matrix"
            if here is None
            else "λ_max at least, of the loss’s curvature",
        ),
        KeyFigure(num.number(f.mean), Markup(""), "mean eigenvalue m_λ, squared error"),
    ]
    return Verdict(
        kicker=f"{name}, {LOSSES[found.loss]}",
        headline=headline,
        standfirst=[_outliers(found), _phase(found)],
        figures=figures,
        meta=[
            (
                "Network",
                (
                    f"{name}; σ_w² {_list(found.order.weight_variance)}, "
                    f"σ_b² {_list(found.order.bias_variance)}"
                ),
            ),
            (
                "Inputs",
                (
                    f"mean of |x|² over dimension {num.plain(found.start.same)}, of x·x′ "
                    f"{num.plain(found.start.other)}"
                ),
            ),
            ("Samples", f"{num.whole(found.samples)}, all in one batch"),
            ("Loss", LOSSES[found.loss]),
        ],
    )


def _list(values: object) -> str:
    numbers = [float(v) for v in values]  # type: ignore[attr-defined]
    same = len(set(numbers)) == 1
    return num.plain(numbers[0]) if same else ", ".join(num.plain(v) for v in numbers)


def _outliers(found: Prediction) -> str:
    f = found.statistics
    ratio = f.largest / f.bulk if f.bulk else float("inf")
    return (
        f"{num.spelled(f.n_outliers).capitalize()} eigenvalues, one for each output, lie near "
        f"{num.plain(f.largest)}, {num.plain(ratio)} times above the other {num.whole(f.n_bulk)}; "
        "they set the learning rate."
    )


def _phase(found: Prediction) -> str:
    c = found.criticality
    if c is None:
        return "Hidden layers differ, so no single depth scale describes them."
    if c.reason:
        return f"With more such layers {c.reason}."
    slope = f"the mean squared singular value of a layer goes to {num.plain(c.chi_1)}"
    end = {
        "ordered": "below 1: two inputs become one with depth",
        "chaotic": "above 1: two inputs part with depth",
        "critical": "the edge of chaos: signals and gradients keep their size",
    }[c.phase]
    return f"With more such layers {slope}, {end}."


def _depth(found: Prediction) -> Section:
    o = found.order
    start, end = found.correlation[0], found.correlation[-1]
    way = "rises" if end > start + 0.005 else "falls" if end < start - 0.005 else "stays"
    first, last = float(o.q_tilde1[0]), float(o.q_tilde1[-1])
    heading = f"The correlation of two inputs {way} from {start:.2f} to {end:.2f}"
    if way == "stays":
        heading = f"The correlation of two inputs stays near {end:.2f}"
    text = (
        f"From the inputs to the outputs. Squared gradients at the first layer are "
        f"{num.plain(first / last)} times those at the outputs. {_phase(found)}"
    )
    may: list[Text] = [
        (
            "How a random network of these variances passes on signals and gradients, "
            "on average over draws of its weights."
        )
    ]
    may_not: list[Text] = [
        "How one narrow network does: it scatters around these means, the more the deeper it is.",
        "Anything about trained weights, which are neither independent nor of mean 0.",
    ]
    figures = [signal_figure(found), gradient_figure(found)]
    return Section("depth", "Signals by depth", heading, text, figures, may, may_not)


def _eigenvalues(found: Prediction) -> Section:
    f = found.statistics
    heading = f"{num.spelled(f.n_outliers).capitalize()} outliers near {num.plain(f.largest)}"
    heading += f" above a bulk near {num.plain(f.bulk)}"
    text = (
        f"The Fisher matrix of {num.whole(found.samples)} samples has {num.whole(f.parameters)} "
        f"rows; all but {num.whole(f.n_outliers + f.n_bulk)} of its eigenvalues are zero. At these "
        f"widths the outliers spread up to about {num.plain(f.largest_edge)}."
    )
    may: list[Text] = [
        (
            "That few directions are far sharper than all others, and that they decide "
            "which rates are stable."
        )
    ]
    may_not: list[Text] = [
        (
            "The exact largest eigenvalue of one network: measure it (nakami lr) where a rate must "
            "not fail."
        ),
    ]
    return Section(
        "eigenvalues", "Eigenvalues", heading, text, [eigenvalue_figure(found)], may, may_not
    )


def _map(found: Prediction) -> Section:
    w, r = found.widths, found.by_width
    fall = (r[0].limit / r[-1].limit) if len(r) > 1 else 1.0
    heading = "Wider networks bear smaller learning rates"
    text = (
        f"From width {num.whole(w[0])} to {num.whole(w[-1])} the limit falls by a factor of "
        f"{num.plain(fall)}: the outliers grow with the width."
    )
    may: list[Text] = [
        (
            "Which rates make steps shrink near a minimum, for plain gradient descent "
            "on all samples at once."
        )
    ]
    may_not: list[Text] = [
        (
            "That training above the line must fail: far from a minimum the loss may rise, reach a "
            "flatter place and fall again."
        ),
        "The best rate for another parametrisation, such as one that scales the outputs by width.",
    ]
    return Section("map", "Learning rates", heading, text, [map_figure(found)], may, may_not)


def layers_table(found: Prediction) -> Table:
    """Order parameters by layer."""
    o = found.order
    head: list[Text] = [
        "layer",
        "width",
        "|h|²/M",
        "overlap",
        "correlation",
        "|∂f/∂u|²",
        "overlap of gradients",
        "gain",
    ]
    rows: list[list[Text]] = []
    for i, width in enumerate(o.widths):
        ahead = (o.q_hat1[i], o.q_hat2[i]) if i < len(o.q_hat1) else (o.q1[-1], o.q2[-1])
        back = [
            num.number(float(q[i - 1])) if i else "" for q in (o.q_tilde1, o.q_tilde2, o.layer_gain)
        ]
        cells = [num.number(float(v)) for v in (*ahead, found.correlation[i])]
        rows.append([str(i), num.whole(width), *cells, *back])
    note = f"κ₁ {o.kappa1:.6g}, κ₂ {o.kappa2:.6g}, α {o.alpha:.4g}. Layer 0 holds the inputs."
    return Table("Order parameters by layer", head, rows, tuple(range(1, 8)), 760, note)


def statistics_table(found: Prediction) -> Table:
    """Eigenvalues of the Fisher matrix."""
    f, p, sd = found.statistics, found.softmax, found.softmax_sd
    rows: list[list[Text]] = [
        ["mean m_λ", num.number(f.mean)],
        ["second moment s_λ", num.number(f.second_moment)],
        [f"λ_max, {f.n_outliers} eigenvalues near", num.number(f.largest)],
        ["upper end of λ_max at these widths", num.number(f.largest_edge)],
        [f"bulk, {num.whole(f.n_bulk)} eigenvalues near", num.number(f.bulk)],
        ["trace", num.number(f.trace)],
        ["trace of the square", num.number(f.trace_of_square)],
    ]
    note = "Squared error: sum over outputs, mean over samples."
    if p is not None and sd is not None:
        rows += [
            ["cross-entropy: mean m_λ", num.pair(p.mean, sd.mean, "sd")],
            ["cross-entropy: second moment s_λ", num.pair(p.second_moment, sd.second_moment, "sd")],
            ["cross-entropy: λ_max at least", num.pair(p.lower, sd.lower, "sd")],
            ["cross-entropy: λ_max at most", num.pair(p.upper, sd.upper, "sd")],
        ]
        note += f" Cross-entropy: mean ± sd over {found.draws} draws of the outputs."
    return Table("Eigenvalues of the Fisher matrix", ["reading", "value"], rows, (1,), 0, note)


def rates_table(found: Prediction) -> Table:
    """Learning rates by width."""
    fast = found.rates.fastest is not None
    head: list[Text] = ["width", "limit", "safe", *(["fastest"] if fast else []), "advised"]
    rows = [_rates_row(w, r) for w, r in zip(found.widths, found.by_width, strict=True)]
    note = (
        "All hidden widths scaled alike; the largest is named. limit: infinite width; safe: at the "
        "upper end of λ_max; advised: 0.75 of safe."
    )
    return Table("Learning rates by width", head, rows, tuple(range(len(head))), 420, note)


def _rates_row(width: int, r: Rates) -> list[Text]:
    fastest = [] if r.fastest is None else [num.number(r.fastest)]
    return [
        num.whole(width),
        num.number(r.limit),
        num.number(r.safe),
        *fastest,
        num.number(r.advised),
    ]


def _how(found: Prediction) -> Table:
    rows: list[list[Text]] = [
        ["Theory", "Karakida, Akaho, Amari 2019 (arXiv 1806.01316) and 2021 (1910.05992)"],
        ["Order and chaos", "Poole et al. 2016 (1606.05340), Schoenholz et al. 2017 (1611.01232)"],
        [
            "Assumed",
            (
                "Independent weights of mean 0, wide hidden layers, a linear output, and one "
                "correlation for all pairs of inputs"
            ),
        ],
        ["Left out", "Terms of relative order one over the width, but for the upper end of λ_max"],
        ["Loss", LOSSES[found.loss]],
    ]
    if found.draws:
        rows.append(["Outputs", f"{found.draws} draws of Gaussian outputs for the softmax"])
    return Table("What was computed", ["", "this network"], rows, (), 480)
