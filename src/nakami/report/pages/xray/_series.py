"""Spectra as drawn: mean and spread by index, thinned, with what is in doubt marked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nakami.results import Spectrum, Xray

from ...charts._chart import Columns, columns
from ...words import _numbers as num

WHOLE = 120  # every index up to here is drawn, beyond it about 24 a decade
OK, UNCONVERGED, NOISE = 1, 0, 2


@dataclass(frozen=True)
class Series:
    """One curve: singular values of one stage of one network, over inputs.

    Attributes:
        name: The curve's name in the chart and its read-out.
        colour, text: CSS variables of the curve and of its name.
        dashed: Drawn dashed (the network before).
        index: Drawn indices, from 1. mean, sd: at those indices (sd NaN for one input).
        state: 1 converged; 0 not converged at some input; 2 below the floor of the arithmetic.
        k: Number of values behind the curve.
        complete: Whether they are all there are.
    """

    name: str
    colour: str
    text: str
    dashed: bool
    index: np.ndarray
    mean: np.ndarray
    sd: np.ndarray
    state: np.ndarray
    k: int
    complete: bool


def series(
    run: Xray, stage: str, source: str | None, name: str, look: tuple[str, str, bool]
) -> Series:
    """The curve of one stage; its look is the colour, that of its name, and whether dashed."""
    spectra = run.at(stage, source)
    mean, sd = run.mean_sd(stage, source)
    index = thinned(len(mean))
    state = np.min([_state(s, run.settings.get("tol"), len(mean)) for s in spectra], axis=0)
    noise = np.any([~s.reliable[: len(mean)] for s in spectra], axis=0) & (mean > 0)
    state = np.where(noise & (state == OK), NOISE, state)
    at = index - 1
    complete = all(s.complete for s in spectra)
    return Series(name, *look, index, mean[at], sd[at], state[at], len(mean), complete)


def thinned(k: int) -> np.ndarray:
    """Indices to draw, 1 to k: all up to 120, then about 24 a decade and the last."""
    if k <= WHOLE:
        return np.arange(1, k + 1)
    more = np.geomspace(WHOLE, k, max(2, int(24 * np.log10(k / WHOLE)) + 2))
    return np.unique([*range(1, WHOLE + 1), *more.round().astype(int)])


def rows(curves: list[Series]) -> Columns:
    """Columns for the chart: to read (m; in words t ± e) and, clamped, to draw (d, u, lo, hi)."""
    top = max((float(c.mean.max(initial=0)) for c in curves), default=0.0)
    tiny = top * 1e-12 or 1e-12
    out: Columns = {k: [] for k in ("i", "c", "m", "t", "e", "d", "u", "lo", "hi", "ok")}
    for c in curves:
        drawn, shaky = np.maximum(c.mean, tiny), c.state == UNCONVERGED
        near = shaky | np.append(shaky[1:], False) | np.insert(shaky[:-1], 0, False)
        texts = [num.split(float(m), float(sd)) for m, sd in zip(c.mean, c.sd, strict=True)]
        one = columns(
            i=c.index, c=c.name, m=c.mean, t=[t for t, _ in texts], e=[e for _, e in texts],
            d=np.where(shaky, np.nan, drawn), u=np.where(near, drawn, np.nan),
            lo=np.maximum(c.mean - c.sd, tiny), hi=np.maximum(c.mean + c.sd, tiny), ok=c.state,
        )  # fmt: skip
        for key, column in one.items():
            out[key] += column
    return out


def cuts(curves: list[Series]) -> Columns:
    """Columns of the ends of those curves that were cut at their largest values."""
    ends = [c for c in curves if not c.complete and c.mean[-1] > 0]
    return columns(
        i=[c.k for c in ends], v=[float(c.mean[-1]) for c in ends], c=[c.name for c in ends]
    )


def _state(spectrum: Spectrum, tol: float | None, k: int) -> np.ndarray:
    if spectrum.converged:
        return np.ones(k, dtype=int)
    if tol is None:
        return np.zeros(k, dtype=int)
    # a residual below tol * s bounds the value's error whatever the gaps are
    return (spectrum.residuals[:k] <= float(tol) * spectrum.values[:k]).astype(int)
