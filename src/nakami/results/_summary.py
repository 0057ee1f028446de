"""What is said of one stage: means over inputs, with their spread and their doubt."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._spectrum import Spectrum


@dataclass(frozen=True, repr=False)
class Estimate:
    """A mean over inputs with its spread.

    Attributes:
        mean: Mean over the inputs.
        sd: Standard deviation between inputs (divisor n - 1; NaN for one input).
        n: Number of inputs.
        lower_bound: True where at least one input gave only a lower bound.
        interval: 95 % interval of the mean over these inputs, by the error of measuring it: mean of
            the lower and of the upper ends over the inputs. None where nothing was estimated. It
            says nothing of other inputs.
    """

    mean: float
    sd: float
    n: int
    lower_bound: bool = False
    interval: tuple[float, float] | None = None

    @property
    def se(self) -> float:
        """Standard error of the mean, ``sd / sqrt(n)``."""
        return self.sd / self.n**0.5

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        """``50 ± 2``, without a spread for one input; ``≥ 50``; ``12,300 to 13,500``."""
        spread = f" ± {self.sd:.3g}" if self.n > 1 else ""
        if self.interval is not None:
            return f"{span(*self.interval)}{spread}"
        return f"{'≥ ' if self.lower_bound else ''}{brief(self.mean)}{spread}"


def brief(value: float) -> str:
    """Four digits; all of a number from 10,000 to ten million: ``35,180``."""
    return f"{value:z,.0f}" if 1e4 <= abs(value) < 1e7 else f"{value:z.4g}"


def span(low: float, high: float) -> str:
    """``12,300 to 13,500``: both ends to two digits of their distance, rounded outwards.

    An end smaller than the distance is rounded to two digits of its own; a whole number is exact,
    and stays.
    """
    width = high - low
    if not (math.isfinite(width) and width > 0):
        return brief(low)
    return f"{_end(low, width, math.floor)} to {_end(high, width, math.ceil)}"


def _end(value: float, width: float, outwards: Callable[[float], int]) -> str:
    if value == round(value):
        return f"{value:z,.0f}"
    exponent = math.floor(math.log10(min(width, abs(value)))) - 1
    rounded = outwards(value * 10.0**-exponent) * 10.0**exponent
    return f"{rounded:z,.{max(0, -exponent)}f}"


@dataclass(frozen=True)
class StageSummary:
    """The numbers of one stage, means over inputs (``Estimate``).

    Attributes:
        stage: Name. source: where the Jacobian starts. shape: ``(m, n)``.
        k: Number of values computed (the smallest over inputs).
        largest: s_1. decay: s_k/s_1 at the last computed index. count: values above 1.
        effective_rank: ``(sum s^2)^2 / sum s^4``. Both with an ``interval`` where values that were
            not computed were estimated, lower bounds where they were not. log_sum: sum of ln s over
            reliable values.
        residual: Largest absolute residual. relative_residual: largest residual over its value,
            reliable values only. unreliable: values below the floor, all inputs together.
        n_converged: Inputs whose spectrum converged.
        complete: Whether all ``min(m, n)`` values were computed at every input.
        log_sum_terms: Fewest and most values that ``log_sum`` adds up, over the inputs.
        decay_floor: Largest ``floor / s_1`` over the inputs: the smallest decay that the
            arithmetic can tell from zero. decay_below_floor: inputs whose last computed value
            lies below its floor; where all do, ``decay`` says no more than "below
            ``decay_floor``".
        limited: Values that missed the tolerance but are as good as the arithmetic allows, all
            inputs together (as the engine's words say, ``Spectrum.limited``).
    """

    stage: str
    source: str
    shape: tuple[int, int]
    k: int
    largest: Estimate
    decay: Estimate
    count: Estimate
    effective_rank: Estimate
    log_sum: Estimate
    residual: float
    relative_residual: float
    unreliable: int
    n_converged: int
    complete: bool
    log_sum_terms: tuple[int, int]
    decay_floor: float
    decay_below_floor: int
    limited: int

    @property
    def decay_is_noise(self) -> bool:
        """Whether the last computed value lies below the floor at every input."""
        return self.decay_below_floor == self.largest.n

    def as_dict(self) -> dict[str, Any]:
        """Flat and plain: ``count``, ``count_sd``, ``count_lower_bound``, ...; shape as m and n.

        ``count_low`` and ``count_high`` are the ends of ``interval``; the mean twice without one.
        """
        found: dict[str, Any] = {"inputs": self.largest.n}
        for name, value in vars(self).items():
            if name == "shape":
                found |= {"m": value[0], "n": value[1]}
            elif name == "log_sum_terms":
                found |= {"log_sum_terms_least": value[0], "log_sum_terms_most": value[1]}
            elif isinstance(value, Estimate):
                found |= {name: value.mean, f"{name}_sd": value.sd}
                if name in ("count", "effective_rank"):
                    found[f"{name}_lower_bound"] = value.lower_bound
                    low, high = value.interval or (value.mean, value.mean)
                    found |= {f"{name}_low": low, f"{name}_high": high}
            else:
                found[name] = value
        return found


def estimate(
    samples: np.ndarray | list[float],
    lower_bound: bool = False,
    intervals: list[tuple[float, float]] | None = None,
) -> Estimate:
    """Mean and standard deviation (divisor n - 1) of a sample.

    Args:
        samples: A value for each input.
        lower_bound: Whether some are lower bounds only.
        intervals: Of each value, by the error of measuring it.
    """
    x = np.asarray(samples, dtype=np.float64)
    sd = float(x.std(ddof=1)) if len(x) > 1 else float("nan")
    ends = None if intervals is None or lower_bound else np.mean(intervals, axis=0)
    interval = None if ends is None or ends[0] == ends[1] else (float(ends[0]), float(ends[1]))
    return Estimate(float(x.mean()), sd, len(x), lower_bound, interval)


def summarise(name: str, spectra: tuple[Spectrum, ...]) -> StageSummary:
    """The numbers of one stage from its spectra, one for each input."""
    truncated = not all(s.complete for s in spectra)
    terms = [s.log_sum_terms for s in spectra]
    relative = [(s.residuals[s.reliable] / s.values[s.reliable]).max(initial=0.0) for s in spectra]
    return StageSummary(
        stage=name,
        source=spectra[0].source,
        shape=spectra[0].shape,
        k=min(len(s.values) for s in spectra),
        largest=estimate([s.values[0] for s in spectra]),
        decay=estimate([s.decay[-1] for s in spectra]),
        count=estimate(
            [s.count_above_one for s in spectra],
            any(s.count_is_lower_bound for s in spectra),
            [s.count_interval for s in spectra],
        ),
        effective_rank=estimate(
            [s.effective_rank for s in spectra],
            any(s.rank_is_lower_bound for s in spectra),
            [s.effective_rank_interval for s in spectra],
        ),
        log_sum=estimate([s.log_sum for s in spectra]),
        residual=max(float(s.residuals.max(initial=0.0)) for s in spectra),
        relative_residual=float(max(relative)),
        unreliable=sum(int((~s.reliable).sum()) for s in spectra),
        n_converged=sum(s.converged for s in spectra),
        complete=not truncated,
        log_sum_terms=(min(terms), max(terms)),
        decay_floor=max(float(s.floor / s.values[0]) if s.values[0] > 0 else 0.0 for s in spectra),
        decay_below_floor=sum(not s.reliable[-1] for s in spectra),
        limited=sum(s.limited for s in spectra),
    )
