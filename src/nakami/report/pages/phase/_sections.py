"""Error over patterns without labels, over labelled ones, and the phase diagram."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ...charts._chart import Chart
from ...charts._curves import Curve, Scale, curves
from ...page._sections import Figure, Section, section
from ...words import _numbers as num
from ...words._sentences import Sentences

if TYPE_CHECKING:
    from nakami.theory.phase import PhaseStudy, Transition

say = Sentences(__file__)
FEW, MANY = 0.01, 2.0  # labels for each weight, that are compared
WIDER = 1.35  # times the last jump, how far a curve is drawn


def jumps(found: PhaseStudy) -> list[Transition]:
    """Those of the alphas looked at where the error jumps."""
    return [one for one in found.transitions if one.first_order]


def jump_section(found: PhaseStudy) -> Section:
    """Curves over beta."""
    first, facts = next(iter(jumps(found)), None), dict[str, float]()
    if first:
        facts = {"alpha": first.alpha, "beta": first.beta_ends, "before": first.beta_appears}
    case = "jumps" if first else "smooth"
    heading, text = say(f"jump.{case}", **facts), say(f"jump.text_{case}", **facts)
    figure = Figure(say("jump.title"), _jump_caption(found), [jump_chart(found)])
    may = [say(f"jump.may_{case}")]
    do: list[str] | None = None if first else []
    return section(say, "jump", heading, text, [figure], may=may, do=do)


def _jump_caption(found: PhaseStudy) -> str:
    at, parts = found.instances, [say("jump.caption")]
    if len(at.alpha):
        parts.append(say("jump.caption_points", size=at.dimension))
        if jumps(found):
            parts.append(say("jump.caption_scatter"))
        open_ = int((~at.converged).sum())
        if open_:
            parts.append(say("jump.caption_hollow", open=open_, all=len(at.alpha)))
    return " ".join(parts)


def labels_section(found: PhaseStudy) -> Section:
    """Curves over alpha."""
    charts = [labels_chart(found)]
    figure = Figure(say("labels.title"), say("labels.caption"), charts)
    case, facts = _worth(found)
    heading, text = say(f"labels.{case}", **facts), say(f"labels.text_{case}", **facts)
    return section(say, "labels", heading, text, [figure])


def _worth(found: PhaseStudy) -> tuple[str, dict[str, float]]:
    """A hundredth of a label with most data without labels, beside two labels with fewest."""
    low, high = (int(pick(found.betas)) for pick in (np.argmin, np.argmax))
    facts = {"few": FEW, "many": MANY, "high": found.betas[high], "low": found.betas[low]}
    facts |= {"with_few": _learned(found, high, FEW), "with_many": _learned(found, low, MANY)}
    if len(found.betas) == 1:
        return "one", facts
    return "worth" if facts["with_few"] < facts["with_many"] else "less", facts


def _learned(found: PhaseStudy, place: int, alpha: float) -> float:
    """Error that a start from scratch learns at a number of labels, from the curve over alpha."""
    loads, error = found.by_alpha.alpha[place], found.by_alpha.bayes_error[place]
    above = np.flatnonzero(loads >= alpha)
    if not len(above) or above[0] == 0:
        return float(error[0 if len(above) else -1])
    part = slice(above[0] - 1, above[0] + 1)
    return float(np.interp(alpha, loads[part], error[part]))


def diagram_section(found: PhaseStudy) -> Section | None:
    """The strip of two states; None where the error never jumps."""
    end = found.diagram.critical
    if not end.exists:
        return None
    facts = {"alpha": end.alpha, "beta": end.beta}
    figure = Figure(say("diagram.title"), say("diagram.caption"), [diagram_chart(found)])
    parts = [say("diagram.text", weak=found.diagram.weak_recovery, **facts)]
    better = found.diagram.better_from
    if np.isfinite(better):
        parts.append(say("diagram.text_better", better=better))
    return section(say, "diagram", say("diagram.heading", **facts), " ".join(parts), [figure])


def jump_chart(found: PhaseStudy) -> Chart:
    """States of infinite N, unstable ones dashed, with instances as points."""
    last, lines = _last(found), list[Curve]()
    for place, alpha in enumerate(found.alphas):
        beta, error = found.by_beta.beta[place], found.by_beta.bayes_error[place]
        lines += _states(beta, error, found.by_beta.stable[place], place, last, _alpha(alpha))
        for hollow in (False, True):
            mine = (found.instances.alpha == alpha) & (found.instances.converged != hollow)
            if mine.any():
                at = found.instances.beta[mine], found.instances.error[mine]
                lines.append(Curve("", *at, colour=place, line=False, hollow=hollow))
    said = [
        say("jump.alt_one", alpha=one.alpha, before=one.beta_appears, after=one.beta_ends)
        for one in found.transitions
        if one.first_order
    ]
    text = say("jump.alt", kappa=found.kappa, jumps="; ".join(said) or say("jump.alt_none"))
    x, y = Scale(say("axis.beta"), ends=(0.0, last)), Scale(say("axis.error"), ends=(0.0, 0.5))
    return curves("jump", lines, x, y, text, height=360)


def labels_chart(found: PhaseStudy) -> Chart:
    """The same over alpha."""
    last = max(2.0, 1.5 * max(found.alphas))
    lines = list[Curve]()
    for place, beta in enumerate(found.betas):
        alpha, error = found.by_alpha.alpha[place], found.by_alpha.bayes_error[place]
        name = say("axis.at_beta", beta=beta)
        lines += _states(alpha, error, found.by_alpha.stable[place], place, last, name)
    listed = ", ".join(num.number(beta) for beta in found.betas)
    text = say("labels.alt", kappa=found.kappa, betas=listed)
    x, y = Scale(say("axis.alpha"), ends=(0.0, last)), Scale(say("axis.error"), ends=(0.0, 0.5))
    return curves("labels", lines, x, y, text, height=320)


def diagram_chart(found: PhaseStudy) -> Chart:
    """Both spinodals and the transition, which meet at the critical end point."""
    d, end = found.diagram, found.diagram.critical
    ends = [d.beta_ends, d.beta_t, d.beta_appears]
    lines = [
        Curve(say(f"diagram.{name}"), [*d.alpha, end.alpha], [*beta, end.beta], colour=i)
        for i, (name, beta) in enumerate(zip(("ends", "equal", "appears"), ends, strict=True))
    ]
    lines.append(Curve(say("diagram.critical"), [end.alpha], [end.beta], colour=3, line=False))
    text = say("diagram.alt", kappa=found.kappa, alpha=end.alpha, beta=end.beta)
    x, y = Scale(say("axis.alpha"), ends=(0.0,)), Scale(say("axis.beta"))
    return curves("diagram", lines, x, y, text, height=320)


def _states(
    x: np.ndarray, error: np.ndarray, stable: np.ndarray, colour: int, last: float, name: str
) -> Iterator[Curve]:
    """Runs of stable and unstable states of one curve; the first stable one has the name."""
    inside = np.flatnonzero((x > -1e-9) & (x <= last * 1.001))
    if not len(inside):
        return
    x, error, stable = (part[inside[0] : inside[-1] + 1] for part in (x, error, stable))
    edges = [0, *(np.flatnonzero(np.diff(stable.astype(int))) + 1), len(x)]
    for first, end in pairwise(edges):
        part = slice(first, min(end + 1, len(x)))
        kept = x[part] <= last * 1.001
        named = name if first == 0 else ""
        yield Curve(named, x[part][kept], error[part][kept], colour=colour,
                    dashed=not stable[first])  # fmt: skip


def _last(found: PhaseStudy) -> float:
    ends = [one.beta_ends for one in found.transitions if one.first_order]
    inside = found.instances.beta.max(initial=0.0)
    return float(max(inside * 1.02, WIDER * max(ends, default=4.0)))


def _alpha(alpha: float) -> str:
    return say("axis.at_alpha", alpha=alpha)
