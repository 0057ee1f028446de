"""The page of `nakami lr`: the rate advised, why, and what theory predicted."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from ..page._html import Page
from ..page._sections import Section, Table, Text
from ..words import _numbers as num
from ..xray._key_figures import KeyFigure
from ..xray._verdict import Verdict
from ._figures import (
    noise_figure,
    rates_figure,
    spectrum_figure,
    steps_figure,
    theory_figure,
)

if TYPE_CHECKING:
    from nakami.geometry import LearningRateReport, NoiseScale

WORDS: list[tuple[str, Text]] = [
    (
        "limit",
        (
            "The learning rate above which steps along the sharpest direction grow, at the present "
            "weights and on these data."
        ),
    ),
    (
        "advised",
        (
            "A constant rate for the first hundreds of steps, from short trainings on copies of "
            "the network."
        ),
    ),
    (
        "Gauss-Newton matrix",
        (
            "The curvature of the loss by the parameters, with the network taken as linear in "
            "them. For cross-entropy with mean reduction it is the Fisher matrix."
        ),
    ),
    ("λ_max", "Its largest eigenvalue: how sharp the sharpest direction is."),
    (
        "noise scale",
        (
            "tr(Σ)/|G|² in samples, with G the mean gradient and Σ the covariance of one "
            "sample’s. A batch of that size makes half the progress of endless data."
        ),
    ),
    ("sample", "What the loss averages over: an example, or a position with a target."),
    (
        "gradients on one batch",
        "The unit of cost: a forward and a backward pass over one batch.",
    ),
]


def rates_page(found: LearningRateReport, about: dict[str, Any]) -> Page:
    """All of the page but its frame."""
    name = str(about["model"])
    return Page(
        kind="Learning rate",
        title=f"nakami lr: {num.short(name, 60)}",
        name=name,
        verdict=_verdict(found, about),
        sections=list(_sections(found)),
        tables=[_figures_table(found)],
        how=_how(found, about),
        note=Markup("All numbers lie in <code>result.json</code> beside this page."),
        words=WORDS,
        n_curves=max(3, len(found.rate.trials)),
        made="Measured",
        version=str(about["versions"].get("nakami", "")),
        created=str(about.get("created", "")),
    )


def _verdict(found: LearningRateReport, about: dict[str, Any]) -> Verdict:
    r = found.rate
    name = num.short(str(about["model"]), 60)
    versions = ", ".join(f"{k} {str(v).partition('+')[0]}" for k, v in about["versions"].items())
    return Verdict(
        kicker=f"{name}, {about['optimizer']}, {r.loss}",
        headline=_headline(found),
        standfirst=[_advice(found), _theory_sentence(found)],
        figures=_key_figures(found),
        meta=[
            ("Model", f"{name}; {num.short(str(about['training']), 120)}"),
            ("Data", f"{num.short(str(about['data']), 200)}; unit: {about['input_unit']}"),
            ("Measured", f"{num.date(str(about['created']))}, {_batches(found)}"),
            ("Versions", f"{versions}, seed {r.seed}"),
        ],
    )


def _batches(found: LearningRateReport) -> str:
    n = found.rate.n_batches
    return f"{num.whole(found.rate.n_samples)} samples in {n} batch{'es' * (n > 1)}"


def _headline(found: LearningRateReport) -> str:
    r = found.rate
    limit = "no direction curves"
    if math.isfinite(r.limit):
        where = "after its trial" if r.preconditioner else "at these weights"
        limit = f"the limit {where} is {num.plain(r.limit)}"
    if r.advised is None:
        return f"No rate is advised; {limit}"
    return f"Rate {num.plain(r.advised)} is advised; {limit}"


def _advice(found: LearningRateReport) -> str:
    why = found.rate.advice
    return f"{why[0].upper()}{why[1:].rstrip('.')}."


def _theory_sentence(found: LearningRateReport) -> str:
    theory = found.theory
    if theory is None:
        return "The theory of wide networks says nothing here."
    if theory.limit is None:
        return (
            f"The theory of wide networks predicts λ_max {_range(theory.low, theory.high)}, but no "
            f"limit for {found.rate.optimizer}."
        )
    return f"The theory of wide networks predicts a limit of {_range(*theory.limit)}."


def _range(low: float, high: float) -> str:
    a, b = num.plain(low), num.plain(high)
    return a if a == b else f"{a} to {b}"


def _key_figures(found: LearningRateReport) -> list[KeyFigure]:
    r, e, noise = found.rate, found.eigenvalues, found.rate.noise
    out = []
    if r.advised is not None:
        ends = f"; {_range(*r.interval)} do as well" if r.interval else ""
        out.append(KeyFigure(num.number(r.advised), Markup(""), f"rate advised{ends}"))
    if math.isfinite(r.limit):
        what = "limit at the present weights; estimated error"
        if r.preconditioner:
            what = "limit where the probe ended; estimated error"
        out.append(KeyFigure(num.number(r.limit, 4), Markup(""), f"{what} {num.plain(r.error, 1)}"))
    if e is not None:
        out.append(KeyFigure(num.number(e.largest), Markup(""), "λ_max, largest eigenvalue of the "
                             "loss’s Gauss-Newton matrix"))  # fmt: skip
    if noise is not None and noise.value is not None:
        value, unit = num.split(noise.value, noise.error or float("nan"))
        se = ", ± s.e." if noise.error else ""
        out.append(KeyFigure(value, unit, f"samples, gradient-noise scale{se}"))
    elif noise is not None and 0 < noise.at_least < float("inf"):
        value, what = num.number(noise.at_least), "samples, gradient-noise scale"
        out.append(KeyFigure(value, Markup(""), what, "at least"))
    return out[:4]


def _sections(found: LearningRateReport) -> Iterator[Section]:
    if found.rate.trials:
        yield _trials(found)
    if found.eigenvalues is not None:
        yield _spectrum(found)
    yield _theory(found)
    noise = found.rate.noise
    if noise is not None and 0 < noise.at_least < float("inf"):
        yield _noise(noise)


def _trials(found: LearningRateReport) -> Section:
    r = found.rate
    fell = [t for t in r.trials if not t.diverged]
    ran = len(r.trials) - len(fell)
    heading = f"{num.spelled(ran).capitalize()} of {len(r.trials)} trials ran away"
    if r.interval is not None:
        heading = f"Short trainings favour rates of {_range(*r.interval)}"
    limit = num.plain(r.limit)
    text = (
        f"{num.spelled(len(r.trials)).capitalize()} short trainings on copies of the network. The "
        f"limit, {limit}, is that of the present weights: sharpness moves early, so a rate "
        "somewhat above or below it may train better."
    )
    if r.preconditioner:
        text = (
            f"{num.spelled(len(r.trials)).capitalize()} short trainings on copies of the network. "
            f"The limit, {limit}, holds the optimizer’s denominators: {r.preconditioner}."
        )
    may: list[Text] = [("Which constant rates make the loss of these data fall fast in the first "
                       "steps, from these weights.")]  # fmt: skip
    may_not: list[Text] = [
        "That the rate is best for a whole training: later, lower rates often end lower.",
        "Anything about the error on new data; losses here are those of training batches.",
    ]
    figures = [rates_figure(found), steps_figure(found)]
    return Section("advice", "Advice", heading, text, figures, may, may_not)


def _spectrum(found: LearningRateReport) -> Section:
    e = found.eigenvalues
    assert e is not None
    heading = f"The sharpest of {num.whole(e.parameters)} directions has curvature "
    heading += num.plain(e.largest)
    half = _above(found, e.largest / 10)
    text = (
        f"About {num.whole(max(1, half))} eigenvalues lie within a factor of ten of the largest, "
        f"about {num.whole(e.above)} above {num.plain(e.points[0], 2)}; the rest is smaller, or "
        "zero."
    )
    may: list[Text] = [("How few directions decide which rates are stable; along all others steps "
                       "could be longer.")]  # fmt: skip
    may_not: list[Text] = [
        "That the directions of small curvature do not matter: most of the way is made there.",
        "The curvature after some steps. It is read at the present weights.",
    ]
    return Section("spectrum", "Curvature", heading, text, [spectrum_figure(found)], may, may_not)


def _above(found: LearningRateReport, border: float) -> float:
    """Eigenvalues above a border, by the curve."""
    e = found.eigenvalues
    assert e is not None
    logs = [math.log10(x) for x in e.points]
    step = logs[1] - logs[0]
    return sum(c * step for x, c in zip(e.points, e.count, strict=True) if x >= border)


def _theory(found: LearningRateReport) -> Section:
    theory, r, e = found.theory, found.rate, found.eigenvalues
    may: list[Text] = []
    may_not: list[Text] = [("That a network far from the prediction is wrong: theory is for random "
                           "weights and wide layers.")]  # fmt: skip
    alone = theory is None and (r.preconditioner or len(r.batch_sharpness) < 2)
    figures = [] if alone or e is None else [theory_figure(found)]
    if theory is None:
        heading = "Theory does not cover this network"
        text = f"No prediction: {found.why_not.rstrip('.')}."
        may.append("Only what was measured.")
        return Section("theory", "Theory", heading, text, figures, may, may_not)
    ratio = (e.largest if e else r.lambda_max) / theory.high
    if ratio > 1:
        heading = f"Measured curvature is {num.plain(ratio)} times the upper end of theory"
    elif (e.largest if e else r.lambda_max) < theory.low:
        low = theory.low / (e.largest if e else r.lambda_max)
        heading = f"Theory’s lower end is {num.plain(low)} times the measured curvature"
    else:
        heading = "Measured curvature lies within the range of theory"
    assumed = "; ".join(theory.assumed)
    layers, units = "-".join(map(str, theory.widths)), sorted(set(theory.activations))
    text = f"The network is {layers} with {num.listing(units)}. Theory assumes: {assumed}."
    if theory.doubts:
        text += f" In doubt here: {'; '.join(theory.doubts)}."
    if theory.limit is None:
        text += (
            f" {r.optimizer} divides by running squares of gradients; theory has no limit for it."
        )
    may.append("Whether the start of this network is that of a wide random one.")
    return Section("theory", "Theory", heading, text, figures, may, may_not)


def _noise(noise: NoiseScale) -> Section:
    scale = noise.value if noise.value is not None else noise.at_least
    least = "" if noise.value is not None else "at least "
    heading = f"A batch of {least}{num.plain(scale)} samples makes half the possible progress"
    text = f"{noise.advice[0].upper()}{noise.advice[1:]}"
    if noise.value is None:
        text += f" {noise.reason[0].upper()}{noise.reason[1:]}."
    may: list[Text] = [("How much a larger batch gains in a step at these weights, for plain "
                       "gradient descent.")]  # fmt: skip
    may_not: list[Text] = ["The same later: the noise scale mostly grows as the loss falls."]
    return Section("noise", "Batch size", heading, text, [noise_figure(noise)], may, may_not)


def _figures_table(found: LearningRateReport) -> Table:
    r, e, theory, noise = found.rate, found.eigenvalues, found.theory, found.rate.noise
    rows: list[list[Text]] = [["rate advised", _or_none(r.advised), _span(r.interval)]]
    rows.append(["limit", _or_none(r.limit), f"± {num.plain(r.error, 1)}"])
    rows.append(["limit of the sharpest batch", _or_none(r.batch_limit), ""])
    rows += [[f"limit of group {i}", num.number(v), ""] for i, v in enumerate(r.limits, 1)
             if len(r.limits) > 1]  # fmt: skip
    if e is not None:
        rows.append(["λ_max", num.number(e.largest, 4), f"± {num.plain(e.largest_error, 1)}"])
    rows.append(["λ_max in the optimizer’s coordinates", num.number(r.sharpness, 4), ""])
    if theory is not None:
        rows.append(["theory: λ_max", num.number(theory.low), f"to {num.plain(theory.high)}"])
        if theory.limit is not None:
            low, high = theory.limit
            rows.append(["theory: limit", num.number(low), f"to {num.plain(high)}"])
    if noise is not None:
        rows += _noise_rows(noise)
    rows.append(["loss", num.number(found.value, 4), ""])
    rows.append(["cost, gradients on one batch", num.whole(r.cost), ""])
    return Table("Readings", ["reading", "value", "range or error"], rows, (1,), 420)


def _noise_rows(noise: NoiseScale) -> list[list[Text]]:
    error = "" if noise.error is None else f"± {num.plain(noise.error, 2)} s.e."
    trace = "" if noise.trace_error is None else f"± {num.plain(noise.trace_error, 2)} s.e."
    norm = noise.squared_norm_error
    return [
        ["gradient-noise scale, samples", _or_none(noise.value), error],
        ["its lower bound", _or_none(noise.at_least), "one-sided, 95 %"],
        ["trace of the gradients’ covariance", num.number(noise.trace), trace],
        [
            "squared norm of the mean gradient",
            num.number(noise.squared_norm),
            "" if norm is None else f"± {num.plain(norm, 2)} s.e.",
        ],
    ]


def _or_none(x: float | None) -> Text:
    return "none" if x is None or not math.isfinite(x) else num.number(x, 4)


def _span(ends: tuple[float, float] | None) -> str:
    return "" if ends is None else _range(*ends)


def _how(found: LearningRateReport, about: dict[str, Any]) -> Table:
    r, e = found.rate, found.eigenvalues
    rows: list[list[Text]] = [
        ["Matrix", f"{r.matrix}, of {_batches(found)}"],
        ["Search", f"{r.reason}; seed {r.seed}"],
        ["Optimizer", f"{r.optimizer}{f'; {r.preconditioner}' if r.preconditioner else ''}"],
        ["Sample", r.sample],
        ["Time", (f"{num.seconds(float(about['seconds']))} on {about['threads']} thread"
                 f"{'s' if about['threads'] != 1 else ''}; {num.whole(r.cost)} gradients on one "
                 "batch for limit and advice")],
    ]  # fmt: skip
    if e is not None:
        made = "all of the shorter side’s" if e.exact else f"{e.n_probes} vectors, {e.steps} steps"
        rows.append(["All eigenvalues", made])
    rows.append(["Weights", str(about["training"])])
    rows.append(["Source", ("Cohen et al. 2021 and 2022 (limits), McCandlish et al. 2018 (noise), "
                 "Karakida, Akaho, Amari 2019 (theory)")])  # fmt: skip
    return Table("How it was measured", ["", "this network"], rows, (), 480)
