"""Sections of the page: the parts, the code, the trials behind the rate, and its course."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ...page._sections import Figure, Section, Table, Text, section
from ...words import _numbers as num
from ..learning_rate._figures import ends_chart, longest, steps_figure, trials_table
from ._course import course_figure
from ._data import Data, end, say

if TYPE_CHECKING:
    from nakami.geometry import Choice, TrainingSetting

NEAR = 0.1  # share of a loss within which two lines are drawn as one
HOSTS = {"torch": "torch", "lightning": "Lightning", "transformers": "transformers"}


def setting_section(data: Data) -> Section | None:
    """Every part with its reason."""
    setting = data.setting
    if setting is None:
        return None
    known = sum(choice.converged for choice in setting.choices)
    heading = say("setting.heading", known=known, parts=len(setting.choices))
    text = say("setting.text", cost=setting.cost, share=100 * setting.share, steps=setting.steps)
    figure = Figure(say("setting.title"), say("setting.caption"), table=_parts(setting))
    return section(say, "setting", heading, text, [figure], wide=True)


def _parts(setting: TrainingSetting) -> Table:
    head: list[Text] = ["part", "value", "known", "why", "gradients"]
    rows: list[list[Text]] = [
        [each.name, _value(each, setting), _known(each), each.reason, _cost(each.cost)]
        for each in setting.choices
    ]
    return Table(say("setting.title"), head, rows, (4,), 720)


def _value(choice: Choice, setting: TrainingSetting) -> str:
    given = [f"{name} {value}" for name, value in setting.arguments.items()]
    return ", ".join([choice.value, *(given if choice.name == "optimizer" else [])])


def _known(choice: Choice) -> str:
    if choice.converged:
        return say("setting.known")
    return say("setting.doubted" if choice.outcome.kind.name == "DOUBTED" else "setting.open")


def _cost(gradients: float) -> str:
    return num.fixed(gradients, 0) if gradients else ""


def code_section(data: Data) -> Section | None:
    """The same as code to copy."""
    setting = data.setting
    if setting is None:
        return None
    codes = {name: setting.snippet(host) for host, name in HOSTS.items()}
    figure = Figure(say("code.title"), say("code.caption"), codes=codes)
    case = "text_none" if setting.rate is None else "text" if data.sure else "text_doubt"
    text = say(f"code.{case}")
    return section(say, "code", say("code.heading"), text, [figure], wide=True)


def trials_section(data: Data) -> Section | None:
    """Short trainings behind the rate."""
    advice, best = data.advice, data.best
    if not advice.trials:
        return None
    ran, trials = sum(t.diverged for t in advice.trials), len(advice.trials)
    heading: str = say("trials.ran_away", ran=ran, trials=trials)
    parts: list[str] = [say("trials.text", trials=trials, steps=longest(advice.trials))]
    if best is not None:
        heading = say("trials.heading", rate=best.rate, trials=trials)
        parts.append(_moved(data, best.rate))
    parts += [say("trials.doubt", doubt=doubt.reason) for doubt in data.doubts]
    figures = [_ends_figure(data), steps_figure(advice.trials, _start(data), best)]
    return section(say, "trials", heading, "".join(parts), figures)


def _moved(data: Data, best: float) -> str:
    """From the best trial to the advice, in one sentence."""
    advice = data.advice
    if advice.advised is None:
        return ""
    factor = advice.advised / best
    case = "same" if abs(math.log(factor)) < 0.005 else "below" if factor < 1 else "above"
    by = {"advised": advice.advised, "factor": max(factor, 1 / factor)}
    if advice.training is None:
        return say(f"trials.start_{case}", **by)
    return say(f"trials.{case}", **by, training=advice.training, shape=data.shape)


def _start(data: Data) -> float:
    """The loss of the first batch, at which every trial begins."""
    firsts = [t.losses[0] for t in data.advice.trials if t.losses]
    return next((v for v in firsts if math.isfinite(v)), 1.0)


def _ends_figure(data: Data) -> Figure:
    advice = data.advice
    levels, constant = {"start": _start(data)}, advice.constant_loss
    if constant is not None and abs(constant - levels["start"]) > NEAR * abs(levels["start"]):
        levels["one output for all"] = constant
    drawn = ends_chart(advice, [end(t) for t in advice.trials], levels, best=data.best)
    whole = longest(advice.trials)
    start = "" if advice.training else "_start"
    caption: str = say(f"trials.ends{start}", third=max(1, whole // 3), whole=whole)
    if advice.interval:
        caption += say(f"trials.shaded{start}")
    table = trials_table(advice.trials, "loss at the end", end)
    return Figure(say("trials.ends_title"), caption, [drawn], table=table)


def schedule_section(data: Data) -> Section | None:
    """What the rate does over the training, where its schedule has a name."""
    advice = data.advice
    if advice.factor(0) is None:
        return None
    case = "heading" if data.warmup else "heading_cold"
    course = say(f"course.{advice.schedule}")
    heading = say(f"schedule.{case}", warmup=data.warmup, steps=data.steps, course=course)
    text: str = say(f"schedule.text_{advice.schedule}")
    if advice.advised is not None:
        last = advice.advised * data.factor(data.steps - 1)
        text += say("schedule.ends", rate=advice.advised, last=last)
    return section(say, "schedule", heading, text, [course_figure(data)])
