"""What ``nakami lr`` prints: a reading, its value, and what it means."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..results import counted
from ._tables import TextTable, output_read

if TYPE_CHECKING:
    from nakami.geometry import LearningRate, LearningRateReport, RateLimit

Row = tuple[str, str, str]


def report_table(found: LearningRateReport, about: dict[str, Any]) -> TextTable:
    """One row for each reading."""
    rate, limit = found.rate, found.limit
    rows = [*_rates(rate, limit), *_theory(found), *_curvature(found), *_noise(found), _loss(found)]
    cost = f"{rate.cost + limit.cost + found.first.cost:z,.0f} gradients on one batch"
    rows.append(("cost", cost, f"{about['seconds']:.3g} s with all on this page"))
    title = f"{about['model']}, {limit.method}, {rate.loss}: {about['data']}"
    caption = f"{rate.sample[0].upper()}{rate.sample[1:]} is a sample."
    caption += "".join(f"\n{line}" for line in output_read(about))
    if normalised := about.get("batch_normalisation"):
        caption += f"\nBatch normalisation: {normalised}."
    if limit.matrix.startswith("Hessian"):
        caption += "\nThe model makes its loss itself; the limit is that of the loss's Hessian."
    if not limit.converged:
        caption += f"\nThe limit may be too high: {limit.reason}."
    return TextTable(title, caption, ("reading", "value", "what it says"), rows, left=3)


def _rates(rate: LearningRate, limit: RateLimit) -> list[Row]:
    beyond = "above it steps along the sharpest direction grow, here and now"
    if limit.preconditioner:
        beyond += f"; {limit.preconditioner}"
    rows = []
    if rate.advised is None:
        rows.append(("advised rate", "none", rate.advice))
    else:
        rows.append(("advised rate", _span(rate.advised, rate.interval), rate.advice))
    value = "none" if math.isinf(limit.limit) else f"{limit.limit:.4g} ± {limit.error:.1g}"
    rows.append(("limit", value, beyond))
    if len(limit.batch_sharpness) > 1:
        what = f"the limit of the sharpest of {len(limit.batch_sharpness)} batches"
        rows.append(("limit of batches", f"{limit.batch_limit:.4g}", what))
    return rows


def _span(value: float, ends: tuple[float, float] | None) -> str:
    return f"{value:.3g}" + (f" ({ends[0]:.2g} to {ends[1]:.2g})" if ends else "")


def _theory(found: LearningRateReport) -> list[Row]:
    theory = found.theory
    if theory is None:
        return [("theory", "none", found.why_not)]
    what = f"for a wide random {'-'.join(map(str, theory.widths))} network"
    if theory.doubts:
        what += f"; {'; '.join(theory.doubts)}"
    curvature = f"λ_max {theory.low:.3g} to {theory.high:.3g}"
    if theory.limit is None:
        return [("theory", curvature, f"{what}; no limit for {found.limit.method}")]
    low, high = theory.limit
    return [("theory", f"limit {low:.3g} to {high:.3g}", f"{curvature}, {what}")]


def _curvature(found: LearningRateReport) -> list[Row]:
    limit, e = found.limit, found.eigenvalues
    rows = []
    if e is not None:
        what = f"{limit.matrix}; {counted(e.parameters, 'parameter')}"
        if e.n_samples:
            what += f"; of the first {e.n_samples:,} of {limit.n_samples:,} samples, for time"
        rows.append(("λ_max", f"{e.largest:.4g} ± {e.largest_error:.1g}", what))
    if limit.preconditioner:
        what = "the same over the optimizer's denominators, where the probe ended"
        rows.append(("its λ_max", f"{limit.sharpness:.4g}", what))
    return rows


def _noise(found: LearningRateReport) -> list[Row]:
    noise = found.limit.noise
    if noise is None:
        return [("noise scale", "none", "one batch: pass two or more")]
    if noise.value is None:
        scale = "not known" if not noise.at_least else f"≥ {noise.at_least:.3g} samples"
        return [("noise scale", "all noise" if math.isinf(noise.at_least) else scale, noise.advice)]
    error = "" if noise.error is None else f" ± {noise.error:.1g}"
    return [("noise scale", f"{noise.value:.3g}{error} samples", noise.advice)]


def _loss(found: LearningRateReport) -> Row:
    rate = found.rate
    samples = f"{counted(rate.n_samples, 'sample')} in {counted(rate.n_batches, 'batch')}"
    return ("loss", f"{found.value:.4g}", samples)
