"""Sections of the page: signals by depth, eigenvalues, and learning rates by width."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...page._sections import Section
from ._figures import eigenvalue_figure, gradient_figure, map_figure, signal_figure
from ._say import say

if TYPE_CHECKING:
    from nakami.theory.meanfield import Prediction

STILL = 0.005  # a correlation that moves less stays


def phase(found: Prediction) -> str:
    """Where signals go with more such layers."""
    c = found.criticality
    if c is None:
        return say("phase.mixed")
    if c.reason:
        return say("phase.none", reason=c.reason)
    return say(f"phase.{c.phase}", chi=c.chi_1)


def depth_section(found: Prediction) -> Section:
    """States forward, gradients backward."""
    o = found.order
    start, end = float(found.correlation[0]), float(found.correlation[-1])
    way = "rises" if end > start + STILL else "falls" if end < start - STILL else "stays"
    ratio = float(o.q_tilde1[0]) / float(o.q_tilde1[-1])
    return Section(
        "depth",
        "Signals by depth",
        say(f"depth.{way}", start=start, end=end),
        say("depth.text", ratio=ratio, phase=phase(found)),
        [signal_figure(found), gradient_figure(found)],
        [say("depth.may")],
        [say("depth.not_one"), say("depth.not_trained")],
    )


def eigenvalues_section(found: Prediction) -> Section:
    """Bulk and outliers."""
    f = found.statistics
    above = f.n_outliers + f.n_bulk
    case = "heading" if f.n_bulk and f.bulk else "heading_no_bulk"
    return Section(
        "eigenvalues",
        "Eigenvalues",
        say(f"eigenvalues.{case}", outliers=f.n_outliers, largest=f.largest, bulk=f.bulk),
        say("eigenvalues.text", samples=found.samples, parameters=f.parameters, above=above,
            edge=f.largest_edge),
        [eigenvalue_figure(found)],
        [say("eigenvalues.may")],
        [say("eigenvalues.not_exact")],
    )  # fmt: skip


def map_section(found: Prediction) -> Section:
    """Which rates are stable at which width."""
    w, r = found.widths, found.by_width
    fall = (r[0].limit / r[-1].limit) if len(r) > 1 else 1.0
    return Section(
        "map",
        "Learning rates",
        say("map.heading"),
        say("map.text", first=w[0], last=w[-1], fall=fall),
        [map_figure(found)],
        [say("map.may")],
        [say("map.not_fail"), say("map.not_other")],
    )
