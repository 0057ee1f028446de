"""Sections of the page: the film, counts and ranks over the training, and what it cost."""

from __future__ import annotations

from statistics import median

from ....results import UNSTATED
from ...page._sections import Section, section
from ...words import _numbers as num
from ._data import Data, say
from ._figures import budget_figure, counts_figure, film_figure, frames_figure

LONGEST = 300  # characters of a reason


def film_section(data: Data) -> Section:
    """How the leading values moved."""
    rows = data.summaries[data.last]
    first, last = (num.estimate(rows[i].largest) for i in (0, -1))
    case = "one" if len(data.steps) < 2 else "heading"
    heading = say(f"film.{case}", stage=data.last, first=first, last=last, step=data.steps[-1])
    text: str = say("film.text", looks=len(data.found.looks), first=data.steps[0],
                    last=data.steps[-1], inputs=data.found.n_inputs)  # fmt: skip
    spectra = [s for look in data.found.looks for s in look.spectra]
    doubtful = sum(not s.converged for s in spectra)
    text += say("film.open", count=doubtful, all=len(spectra)) if doubtful else say("film.sure")
    figures = [f for f in (film_figure(data), frames_figure(data)) if f is not None]
    return section(say, "film", heading, text, figures)


def counts_section(data: Data) -> Section:
    """Ranks and counts over the training."""
    rows = data.summaries[data.last]
    first, last = rows[0].effective_rank, rows[-1].effective_rank
    case = "one" if len(data.steps) < 2 else "heading"
    ends = [num.estimate(e) for e in (first, last)]
    heading = say(f"counts.{case}", stage=data.last, first=ends[0], last=ends[1])
    unit = data.found.input_unit
    more = say("counts.no_unit" if unit == UNSTATED else "counts.unit", unit=unit)
    return section(say, "counts", heading, say("counts.text") + more, [counts_figure(data)])


def budget_section(data: Data) -> Section:
    """What the looks took of the training's time."""
    found = data.found
    failed = sum(found.failures.values())
    over = len(found.skipped) - failed
    usual = median(look.seconds for look in found.looks)
    numbers = {
        "share": 100 * found.share, "budget": 100 * found.max_share, "spent": found.spent,
        "training": found.training, "usual": usual, "first": found.looks[0].seconds,
        "looks": len(found.looks), "over": over, "failed": failed,
    }  # fmt: skip
    limited = 0 < found.max_share < float("inf")
    case = "early" if not found.training else "free" if not limited else "kept"
    if case == "kept" and found.share > found.max_share:
        case = "more"
    text: str = say("budget.text", **numbers)
    text += say("budget.over", **numbers) if over else ""
    text += say("budget.failed", **numbers) if failed else ""
    for reason, times in found.failures.items():
        text += say("budget.reason", reason=num.short(reason.rstrip("."), LONGEST), times=times)
    figures = [f for f in (budget_figure(data),) if f is not None]
    return section(say, "budget", say(f"budget.{case}", **numbers), text, figures)
