"""All of the page but its sections: verdict, tables and words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ...page._origin import BESIDE, measured, versions
from ...page._sections import Frame, KeyFigure, Section, Table, Text, Verdict
from ...words import _numbers as num
from ._data import Data, say
from ._sections import sentence

if TYPE_CHECKING:
    from nakami.geometry import LearningRateReport, NoiseScale


def frame(data: Data, sections: list[Section]) -> Frame:
    """Verdict, tables and words."""
    found, name = data.found, data.text("model")
    return Frame(
        kind="Learning rate",
        title=f"nakami lr: {num.short(name, 60)}",
        name=name,
        verdict=_verdict(data),
        tables=[_figures_table(found)],
        how=_how(data),
        note=BESIDE,
        words=say.words,
        n_curves=max(3, len(found.rate.trials)),
        **measured(data.about),
    )


def _verdict(data: Data) -> Verdict:
    r, limit, name = data.found.rate, data.found.limit, num.short(data.text("model"), 60)
    date = num.date(data.text("created", ""))
    source, unit = num.short(data.text("data"), 200), data.text("input_unit")
    return Verdict(
        kicker=f"{name}, {limit.method}, {r.loss}",
        headline=_headline(data),
        standfirst=[sentence(r.advice), _prediction(data)],
        figures=_key_figures(data.found),
        meta=[
            ("Model", f"{name}; {num.short(data.text('training'), 120)}"),
            ("Data", f"{source}; unit: {unit}"),
            ("Measured", ", ".join(filter(None, (date, _batches(data.found))))),
            versions(data.about, f"seed {limit.seed}"),
        ],
    )


def _batches(found: LearningRateReport) -> str:
    return say("meta.batches", samples=found.limit.n_samples, batches=found.limit.n_batches)


def _headline(data: Data) -> str:
    advised, limit = data.found.rate.advised, data.found.limit
    case = "both_after" if limit.preconditioner else "both"
    case = case if math.isfinite(limit.limit) else "flat"
    none = "none_" if advised is None else ""
    return say(f"headline.{none}{case}", rate=advised, limit=limit.limit)


def _prediction(data: Data) -> str:
    theory = data.found.theory
    if theory is None:
        return say("prediction.none")
    if theory.limit is None:
        ends = (theory.low, theory.high)
        return say("prediction.curvature", ends=ends, optimizer=data.found.limit.method)
    return say("prediction.limit", ends=theory.limit)


def _key_figures(found: LearningRateReport) -> list[KeyFigure]:
    r, limit, e, noise = found.rate, found.limit, found.eigenvalues, found.limit.noise
    out = []
    if r.advised is not None:
        case = "advised_range" if r.interval else "advised"
        text, share = say(f"figure.{case}", interval=r.interval), r.advised / limit.limit
        some = "" if limit.preconditioner or not share else say("figure.share", share=share)
        out.append(KeyFigure(num.number(r.advised), "", text, reference=some))
    if math.isfinite(limit.limit):
        case = "limit_after" if limit.preconditioner else "limit"
        text = say(f"figure.{case}", error=limit.error)
        out.append(KeyFigure(num.number(limit.limit, 4), "", text))
    if e is not None:
        some = "" if found.theory is None else say("figure.theory", low=found.theory.low,
                                                   high=found.theory.high)  # fmt: skip
        out.append(KeyFigure(num.number(e.largest), "", say("figure.largest"), reference=some))
    return [*out, *noise_key_figures(noise)][:4]


def noise_key_figures(noise: NoiseScale | None) -> list[KeyFigure]:
    """The noise scale, or its lower bound; none where neither is known."""
    if noise is None:
        return []
    batch = say("figure.batch", batch=noise.batch)
    if noise.value is not None:
        value, unit = num.split(noise.value, noise.error or float("nan"))
        case = "noise_se" if noise.error else "noise"
        return [KeyFigure(value, unit, say(f"figure.{case}"), reference=batch)]
    if 0 < noise.at_least < float("inf"):
        least = num.number(noise.at_least)
        return [KeyFigure(least, "", say("figure.noise"), "at least", batch)]
    return []


def _figures_table(found: LearningRateReport) -> Table:
    r, limit, e, theory = found.rate, found.limit, found.eigenvalues, found.theory
    rows: list[list[Text]] = [
        ["rate advised", _or_none(r.advised), num.between(*r.interval) if r.interval else ""]
    ]
    error = f"± {num.number(limit.error, 1)}" if math.isfinite(limit.limit) else ""
    rows.append(["limit", _or_none(limit.limit), error])
    rows.append(["limit of the sharpest batch", _or_none(limit.batch_limit), ""])
    rows += [[f"limit of group {i}", num.number(v), ""] for i, v in enumerate(limit.limits, 1)
             if len(limit.limits) > 1]  # fmt: skip
    if e is not None:
        rows.append(["λ_max", num.number(e.largest, 4), f"± {num.number(e.largest_error, 1)}"])
    rows.append(["λ_max in the optimizer’s coordinates", num.number(limit.sharpness, 4), ""])
    if theory is not None:
        rows.append(["theory: λ_max", num.number(theory.low), f"to {num.number(theory.high)}"])
        if theory.limit is not None:
            low, high = theory.limit
            rows.append(["theory: limit", num.number(low), f"to {num.number(high)}"])
    if limit.noise is not None:
        rows += noise_rows(limit.noise)
    rows.append(["loss", num.number(found.value, 4), ""])
    rows.append(["cost, gradients on one batch", num.whole(r.cost + limit.cost), ""])
    return Table("Readings", ["reading", "value", "range or error"], rows, (1,), 420)


def noise_rows(noise: NoiseScale) -> list[list[Text]]:
    """Rows of a table of readings: the noise scale and what it is made of."""

    def error(e: float | None) -> str:
        return "" if e is None else f"± {num.number(e, 2)} s.e."

    norm, of_norm = num.number(noise.squared_norm), error(noise.squared_norm_error)
    return [
        ["gradient-noise scale, samples", _or_none(noise.value), error(noise.error)],
        ["its lower bound", _or_none(noise.at_least), "one-sided, 95 %"],
        ["trace of the gradients’ covariance", num.number(noise.trace), error(noise.trace_error)],
        ["squared norm of the mean gradient", norm, of_norm],
    ]


def _or_none(x: float | None) -> Text:
    return "none" if x is None or not math.isfinite(x) else num.number(x, 4)


def _how(data: Data) -> Table:
    found, limit, e = data.found, data.found.limit, data.found.eigenvalues
    cost = found.rate.cost + limit.cost
    took, threads = float(data.about.get("seconds", 0)), int(data.about.get("threads", 1))
    rows: list[list[Text]] = [
        ["Matrix", say("how.matrix", matrix=limit.matrix, batches=_batches(found))],
        ["Search", say("how.search", reason=limit.reason, seed=limit.seed)],
        ["Optimizer", "; ".join(filter(None, (limit.method, limit.preconditioner)))],
        ["Sample", limit.sample],
        ["Time", say("how.time", took=took, threads=threads, cost=cost)],
    ]
    if e is not None:
        made: str = (
            say("how.exact") if e.exact else say("how.probes", probes=e.n_probes, steps=e.steps)
        )
        if e.n_samples:
            made += say("how.part", samples=e.n_samples, all=limit.n_samples)
        rows.append(["All eigenvalues", made])
    if name := data.text("select", ""):
        rows.append(["Output read", name])
    if normalised := data.text("batch_normalisation", ""):
        rows.append(["Batch normalisation", normalised])
    rows += [["Weights", data.text("training")], ["Source", say("how.source")]]
    return Table("How it was measured", ["", "this network"], rows, (), 480)
