"""Autocorrelation times, the bias of contrastive divergence, annealing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...charts._chart import Chart
from ...charts._curves import Curve, Scale, curves
from ...page._sections import Figure, Section, section
from ...words import _numbers as num
from ...words._sentences import Sentences

if TYPE_CHECKING:
    from nakami.sampling._study import KernelTimes, SamplingStudy

say = Sentences(__file__)
ALIKE = 1.05  # times, up to which one kernel is as good as another


def best_gains(found: SamplingStudy) -> tuple[float, float]:
    """At the largest weights, block Gibbs over Suwa-Todo given h, and over collapsed Gibbs."""
    last = {one.kernel: float(one.time[-1]) for one in found.times}
    gibbs = last["block Gibbs"]
    return gibbs / last["Suwa-Todo given h"], gibbs / last["collapsed Gibbs"]


def avoiding_harms(found: SamplingStudy) -> bool:
    """Whether CD-1 is more biased by collapsed Suwa-Todo pairs than by block Gibbs."""
    first = {one.kernel: float(one.bias[0]) for one in found.bias}
    return first["collapsed Suwa-Todo"] > first["block Gibbs"]


def times_section(found: SamplingStudy) -> Section:
    """By kernel and scale."""
    inside, collapsed = best_gains(found)
    facts = {"inside": inside, "collapsed": collapsed, "scale": float(found.times[0].scale[-1])}
    order = _from_above({one.kernel: float(one.time[-1]) for one in found.times})
    caption = say("times.caption", order=order)
    figure = Figure(say("times.title"), caption, [times_chart(found)])
    heading = say("times.heading", **facts)
    last = {one.kernel: float(one.time[-1]) for one in found.times}
    balanced, broken = last["Metropolis given h"], last["Suwa-Todo given h"]
    may_not = [say("times.not_time")]
    if balanced <= ALIKE * broken:
        may_not.append(say("times.not_balance", balanced=balanced, broken=broken))
    text = say("times.text", **facts)
    return section(say, "times", heading, text, [figure], may_not=may_not)


def bias_section(found: SamplingStudy) -> Section:
    """Of CD-k."""
    first = {one.kernel: float(one.bias[0]) for one in found.bias}
    facts = {
        "gibbs": first["block Gibbs"], "suwa": first["collapsed Suwa-Todo"],
        "gradient": found.gradient, "scale": found.scale,
    }  # fmt: skip
    case = "worse" if avoiding_harms(found) else "better"
    do: list[str] | None = None if case == "worse" else []
    order = _from_above({one.kernel: float(one.bias[-1]) for one in found.bias})
    caption = say("bias.caption", order=order, **facts)
    figure = Figure(say("bias.title"), caption, [bias_chart(found)])
    return section(say, "bias", say(f"bias.{case}"), say("bias.text", **facts), [figure], do=do)


def annealing_section(found: SamplingStudy) -> Section:
    """Estimates beside the exact sum."""
    a = found.annealed
    facts = {
        "last": float(a.value[-1] - a.exact), "se": float(a.standard_error[-1]), "runs": a.runs,
        "many": int(a.temperatures[-1]),
    }  # fmt: skip
    caption = say("annealing.caption", exact=a.exact, **facts)
    figure = Figure(say("annealing.title"), caption, [annealing_chart(found)])
    heading = say("annealing.heading", **facts)
    return section(say, "annealing", heading, say("annealing.text", **facts), [figure])


def times_chart(found: SamplingStudy) -> Chart:
    """Times over the scale of weights, both logarithmic."""
    lines = [
        Curve(one.kernel, one.scale, one.time, marks=True, **_look(one.kernel))
        for one in found.times
    ]
    text = say("times.alt", times="; ".join(f"{one.kernel} {_listed(one)}" for one in found.times))
    x, y = Scale(say("axis.scale"), log=True), Scale(say("axis.time"), log=True)
    return curves("times", lines, x, y, text, height=360)


def bias_chart(found: SamplingStudy) -> Chart:
    """Norms over k."""
    lines = [
        Curve(one.kernel, one.steps, one.bias, marks=True, **_look(one.kernel))
        for one in found.bias
    ]
    firsts = [f"{one.kernel} {num.number(float(one.bias[0]))}" for one in found.bias]
    text = say("bias.alt", firsts="; ".join(firsts))
    x, y = Scale(say("axis.steps"), log=True), Scale(say("axis.bias"), log=True)
    return curves("bias", lines, x, y, text, height=360)


def annealing_chart(found: SamplingStudy) -> Chart:
    """Errors with their standard errors."""
    a = found.annealed
    error = a.value - a.exact
    line = Curve("", a.temperatures, error, error - a.standard_error, error + a.standard_error,
                 line=False)  # fmt: skip
    text = say("annealing.alt", errors=", ".join(num.number(float(e)) for e in error))
    x, y = Scale(say("axis.temperatures"), log=True), Scale(say("axis.error"))
    return curves("annealing", [line], x, y, text, level=0.0)


def _look(kernel: str) -> dict[str, Any]:
    """Three colours for the rules, dashes and hollow marks where hidden units are summed out."""
    rule = ("Gibbs", "Metropolis", "Suwa-Todo")
    summed = kernel.startswith("collapsed")
    colour = 2 * next(i for i, name in enumerate(rule) if name in kernel)
    return {"colour": colour, "dashed": summed, "hollow": summed}


def _from_above(ends: dict[str, float]) -> str:
    """Names by their last values: names beside curves that lie close have no room."""
    return "; ".join(sorted(ends, key=ends.__getitem__, reverse=True))


def _listed(one: KernelTimes) -> str:
    return ", ".join(num.number(float(v)) for v in np.asarray(one.time))
