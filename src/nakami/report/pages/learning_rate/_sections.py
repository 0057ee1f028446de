"""Sections of the page: trials, curvature, theory, and what a larger batch gains."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ...page._sections import Section, section
from ._data import Data, say
from ._figures import noise_figure, rates_figure, spectrum_figure, steps_figure, theory_figure

if TYPE_CHECKING:
    from nakami.geometry import NoiseScale


def sentence(text: str) -> str:
    """A reason as a sentence of its own."""
    return f"{text[0].upper()}{text[1:].rstrip('.')}."


def trials_section(data: Data) -> Section | None:
    """Short trainings behind the advice."""
    r, limit = data.found.rate, data.found.limit
    if not r.trials:
        return None
    heading = say("advice.ran_away", ran=sum(t.diverged for t in r.trials), trials=len(r.trials))
    if r.interval is not None:
        heading = say("advice.favour", interval=r.interval)
    case = "text_after" if limit.preconditioner else "text"
    case = case if math.isfinite(limit.limit) else "text_flat"
    more = {"limit": limit.limit, "denominators": limit.preconditioner}
    text = say(f"advice.{case}", trials=len(r.trials), **more)
    figures = [rates_figure(data), steps_figure(r.trials, data.found.value)]
    return section(say, "advice", heading, text, figures)


def spectrum_section(data: Data) -> Section | None:
    """How all eigenvalues lie."""
    e = data.found.eigenvalues
    if e is None:
        return None
    half = max(1, data.above(e.largest / 10))
    heading = say("spectrum.heading", parameters=e.parameters, largest=e.largest)
    text = say("spectrum.text", half=half, above=e.above, lowest=e.points[0])
    return section(say, "spectrum", heading, text, [spectrum_figure(data)])


def theory_section(data: Data) -> Section:
    """Measured curvature beside the theory of wide networks."""
    found, limit, theory = data.found, data.found.limit, data.found.theory
    alone = theory is None and (limit.preconditioner or len(limit.batch_sharpness) < 2)
    figures = [] if alone or found.eigenvalues is None else [theory_figure(data)]
    if theory is None:
        heading, text = say("theory.none"), say("theory.none_text", why=found.why_not.rstrip("."))
        return section(say, "theory", heading, text, figures, may=[say("theory.none_may")])
    heading = say("theory.within")
    if data.largest > theory.high:
        heading = say("theory.above", times=data.largest / theory.high)
    elif data.largest < theory.low:
        heading = say("theory.below", times=theory.low / data.largest)
    layers, units = "-".join(map(str, theory.widths)), sorted(set(theory.activations))
    parts = [say("theory.text", layers=layers, units=units, assumed="; ".join(theory.assumed))]
    if theory.doubts:
        parts.append(say("theory.doubts", doubts="; ".join(theory.doubts)))
    if theory.limit is None:
        parts.append(say("theory.no_limit", optimizer=limit.method))
    return section(say, "theory", heading, "".join(parts), figures)


def noise_section(noise: NoiseScale | None) -> Section | None:
    """What a larger batch gains, where the noise scale was measured."""
    if noise is None or not 0 < noise.at_least < float("inf"):
        return None
    heading, text = say("noise.heading_least", scale=noise.at_least), sentence(noise.advice)
    if noise.value is not None:
        heading = say("noise.heading", scale=noise.value)
    else:
        text += f" {sentence(noise.reason)}"
    return section(say, "noise", heading, text, [noise_figure(noise)])
