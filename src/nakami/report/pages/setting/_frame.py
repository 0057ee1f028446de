"""All of the page but its sections: verdict, tables and words."""

from __future__ import annotations

from typing import Any

from ...page._origin import BESIDE, measured, versions
from ...page._sections import Frame, KeyFigure, Section, Table, Text, Verdict
from ...words import _numbers as num
from ..learning_rate._frame import noise_key_figures, noise_rows
from ..learning_rate._sections import sentence
from ._data import Data, end, say


def frame(data: Data, sections: list[Section]) -> Frame:
    """Verdict, tables and words."""
    name = data.name
    kind = say("page.setting" if data.setting else "page.rate")
    return Frame(
        kind=kind,
        title=f"{kind}: {num.short(name, 60)}",
        name=name,
        verdict=_verdict(data),
        tables=[_readings(data)],
        how=_how(data),
        note=BESIDE if data.about.get("created") else "",
        words=say.words,
        n_curves=max(3, len(data.advice.trials)),
        **measured(data.about),
    )


def _verdict(data: Data) -> Verdict:
    advice, name = data.advice, num.short(str(data.about.get("model", "")), 60)
    meta = [
        (say("meta.model"), _both(name, data.about.get("training"))),
        (say("meta.data"), num.short(str(data.about.get("data", "")), 200)),
        (say("meta.measured"), _both(num.date(str(data.about.get("created") or "")), _read(data))),
        versions(data.about),
    ]
    return Verdict(
        kicker=", ".join(filter(None, (name, advice.optimizer, advice.loss))),
        headline=_headline(data),
        standfirst=_standfirst(data),
        figures=_key_figures(data),
        meta=[(head, text) for head, text in meta if text],
    )


def _both(first: str, second: Any) -> str:
    return "; ".join(filter(None, (first, num.short(str(second or ""), 120))))


def _read(data: Data) -> str:
    advice = data.advice
    return say("meta.read", samples=advice.n_samples, batches=advice.n_batches)


def _headline(data: Data) -> str:
    advice = data.advice
    what = "setting" if data.setting else "rate" if advice.training else "start"
    case = "_none" if advice.advised is None else "" if data.sure else "_doubt"
    return say(
        f"headline.{what}{case}", optimizer=advice.optimizer, rate=advice.advised,
        steps=advice.training, shape=data.shape,
    )  # fmt: skip


def _standfirst(data: Data) -> list[str]:
    advice, setting, out = data.advice, data.setting, list[str]()
    if setting is not None:
        case = "stand.setting" if setting.warmup else "stand.setting_cold"
        out.append(say(case, steps=setting.steps, batch=setting.batch, warmup=setting.warmup))
    sure = [advice.outcome, *(note for note in advice.notes if note.converged)]
    out.append(sentence("; ".join(each.reason for each in sure)))
    return [*out, *(say("stand.doubt", doubt=each.reason) for each in data.doubts)]


def _key_figures(data: Data) -> list[KeyFigure]:
    advice, best, out = data.advice, data.best, []
    if advice.advised is not None:
        case = "rate" if advice.training else "rate_start"
        label = say(f"figure.{case}", interval=advice.interval or (advice.advised,) * 2)
        some = say("figure.best", rate=best.rate) if best and advice.training else ""
        out.append(KeyFigure(num.number(advice.advised), "", label, reference=some))
    if best is not None:
        label = say("figure.end", start=best.losses[0], steps=len(best.losses))
        known = advice.constant_loss
        some = "" if known is None else say("figure.constant", constant=known)
        out.append(KeyFigure(num.number(end(best)), "", label, reference=some))
    out += noise_key_figures(data.noise)
    spent = say("figure.cost", cost=data.cost)
    if data.share is None:
        out.append(KeyFigure(num.fixed(data.cost, 0), "", spent))
    else:
        text = say("figure.share", cost=data.cost, steps=advice.training)
        out.append(KeyFigure(num.number(100 * data.share, 2), "%", text))
    return out[:4]


def _readings(data: Data) -> Table:
    advice, setting, best = data.advice, data.setting, data.best
    ends = num.between(*advice.interval) if advice.interval else ""
    advised = "none" if advice.advised is None else num.number(advice.advised, 4)
    rows: list[list[Text]] = [["rate advised", advised, ends]]
    if best is not None:
        rows.append(["rate of the best trial", num.number(best.rate, 4), ""])
        rows.append(["loss where it ended", num.number(end(best), 4), ""])
    if advice.constant_loss is not None:
        rows.append(["loss of one output for all", num.number(advice.constant_loss, 4), ""])
    if setting is not None:
        rows += [
            ["steps", num.whole(setting.steps), ""],
            ["warm-up", num.whole(setting.warmup), ""],
        ]
        rows.append(["batch", num.whole(setting.batch), ""])
    if data.noise is not None:
        rows += noise_rows(data.noise)
    share = "" if data.share is None else f"{num.number(100 * data.share, 2)} % of the training"
    rows.append(["cost, gradients on one batch", num.number(data.cost), share])
    return Table("Readings", ["reading", "value", "range or error"], rows, (1,), 420)


def _how(data: Data) -> Table:
    advice, about = data.advice, data.about
    method = "planned" if advice.training else "start"
    rows: list[list[Text]] = [
        ["Rate", say(f"how.{method}")],
        ["Trials", say("how.trials", trials=len(advice.trials), steps=advice.steps)],
        ["Optimizer", advice.optimizer],
        ["Sample", advice.sample],
    ]
    if "seconds" in about:
        took, threads = float(about["seconds"]), int(about.get("threads", 1))
        rows.append(["Time", say("how.time", took=took, threads=threads, cost=data.cost)])
    if name := about.get("select"):
        rows.append(["Output read", str(name)])
    if advice.batch_normalisation:
        rows.append(["Batch normalisation", advice.batch_normalisation])
    if data.setting is not None:
        rows.append(["Other parts", say("how.parts")])
    return Table("How it was computed", ["", "this network"], rows, (), 480)
