"""How far a run of chains can be trusted: autocorrelation time, split R-hat, effective sample size.

Origin: Sokal, "Monte Carlo methods in statistical mechanics", 1989 (window and error); Geyer,
"Practical Markov chain Monte Carlo", Statistical Science 7 (1992); Vehtari, Gelman, Simpson,
Carpenter, Bürkner, "Rank-normalization, folding, and localization: an improved R-hat", Bayesian
Analysis 16 (2021).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ..results import check_choice, is_number, wrong

ENOUGH = 50  # autocorrelation times that each chain should be long


@dataclass(frozen=True, eq=False)
class AutocorrelationTime:
    """``tau = 1 + 2 sum_t rho_t`` in sweeps: the variance of a mean of n is ``tau var / n``.

    Attributes:
        value: ``tau`` of each statistic; 1 for independent samples, below 1 for antithetic ones.
        standard_error: ``tau sqrt(2 (2 window + 1) / (steps chains))``.
        window: Lags that were summed.
        converged: Whether each chain is at least 50 ``tau`` long; of shorter ones ``tau`` is too
            small.
    """

    value: Tensor
    standard_error: Tensor
    window: Tensor
    converged: Tensor

    def __repr__(self) -> str:
        if self.value.ndim:
            return (
                f"AutocorrelationTime(mean {float(self.value.mean()):.3g} of {self.value.numel()})"
            )
        return f"AutocorrelationTime({float(self.value):.3g} ± {float(self.standard_error):.1g})"


def autocorrelation_time(
    chains: Tensor, method: Literal["sokal", "geyer"] = "sokal", window: float = 5.0
) -> AutocorrelationTime:
    """Integrated autocorrelation time of one or many statistics of equal chains.

    Deviations are from the mean over all chains, so that chains that do not meet show.

    Args:
        chains: ``(steps,)``, ``(steps, chains)`` or ``(steps, chains, ...)`` statistics.
        method: ``"sokal"`` sums up to the first lag that is ``window`` times the sum so far, taken
            of the sizes that stand out from noise, so that alternating signs hide nothing;
            ``"geyer"`` the initial monotone sequence of pairs, which rests on detailed balance.
        window: For ``"sokal"``; larger: less bias, more noise.

    Raises:
        UsageError: Fewer than 4 steps; values that are not finite.
    """
    check_choice("method", method, ("sokal", "geyer"), 'pass method="sokal"')
    if not is_number(window) or not window > 0:
        raise wrong("window", "be positive", repr(window), "pass window=5")
    x = _checked(chains)
    steps, many = x.shape[:2]
    covariance = _autocovariance(x - x.mean((0, 1))).mean(1)
    variance = covariance[0]
    rho = covariance / torch.where(variance > 0, variance, math.nan)
    if method == "sokal":
        sums = 2 * rho.cumsum(0) - 1
        lags = torch.arange(steps, device=x.device).reshape(-1, *[1] * (rho.ndim - 1))
        seen = torch.where(rho.abs() > 3 / (steps * many) ** 0.5, rho.abs(), 0.0)
        enough = lags >= window * (2 * seen.cumsum(0) - 1)
        last = torch.where(enough.any(0), enough.int().argmax(0), steps - 1)
        tau = sums.gather(0, last[None])[0]
    else:
        pairs, last = _initial_monotone(rho)
        tau = 2 * pairs - 1
    error = tau.abs() * (2 * (2 * last + 1) / (steps * many)).sqrt()
    return AutocorrelationTime(tau, error, last, steps >= ENOUGH * tau)


def split_rhat(chains: Tensor, rank: bool = True) -> Tensor:
    """Potential scale reduction of half chains: 1 where they agree, doubtful above 1.01.

    Args:
        chains: ``(steps, chains)`` or ``(steps, chains, ...)`` statistics.
        rank: Of rank-normalised values, and of these folded at the median; the larger of both.
            Otherwise of the values themselves (Gelman, Rubin 1992, split).
    """
    halves = _halves(_checked(chains))
    if not rank:
        return _scale_reduction(halves)
    folded = (halves - halves.flatten(0, 1).median(0).values).abs()
    return torch.maximum(_scale_reduction(_normal(halves)), _scale_reduction(_normal(folded)))


def effective_sample_size(chains: Tensor, rank: bool = False) -> Tensor:
    """Independent samples that the chains are worth for a mean.

    ``steps chains / tau`` with correlations ``1 - (W - covariance_t) / var`` that take the spread
    between half chains in, and Geyer's initial monotone sequence.

    Args:
        chains: ``(steps, chains)`` or ``(steps, chains, ...)`` statistics.
        rank: Of rank-normalised values (the "bulk" size).
    """
    halves = _halves(_checked(chains))
    halves = _normal(halves) if rank else halves
    n, many = halves.shape[:2]
    covariance = _autocovariance(halves - halves.mean(0)).mean(1)
    within = covariance[0] * n / (n - 1)
    total = covariance[0] + halves.mean(0).var(0)
    rho = 1 - (within - covariance * n / (n - 1)) / torch.where(total > 0, total, math.nan)
    rho[0] = torch.where(total > 0, 1.0, math.nan)
    pairs, _ = _initial_monotone(rho)
    tau = (2 * pairs - 1).clamp(min=1 / math.log10(n * many))
    return n * many / tau


def _checked(chains: Tensor) -> Tensor:
    """``(steps, chains, ...)`` float64."""
    if chains.ndim < 1 or len(chains) < 4:
        shape, way_out = tuple(chains.shape), "record more sweeps, steps along the first axis"
        raise wrong("chains", "have at least 4 steps along the first axis", shape, way_out)
    x = chains.detach().double()
    if not torch.isfinite(x).all():
        raise wrong("chains", "be finite", "NaN or infinite values", "look at the run")
    return x[:, None] if x.ndim == 1 else x


def _autocovariance(centred: Tensor) -> Tensor:
    """Over n, of all lags along the first axis, by FFT."""
    n = len(centred)
    spectrum = torch.fft.rfft(centred, 2 * n, 0).abs().square_()
    return torch.fft.irfft(spectrum, 2 * n, 0)[:n] / n


def _initial_monotone(rho: Tensor) -> tuple[Tensor, Tensor]:
    """Sum of ``rho_2k + rho_2k+1`` while positive, never rising; and the last lag."""
    even = rho[: len(rho) // 2 * 2]
    pairs = even[0::2] + even[1::2]
    positive = (pairs > 0).int().cumprod(0).bool()
    falling = torch.where(positive, pairs, math.inf).cummin(0).values
    count = positive.sum(0)
    return torch.where(positive, falling, 0.0).sum(0) + 0 * rho[0], (2 * count - 1).clamp(min=0)


def _halves(x: Tensor) -> Tensor:
    half = len(x) // 2
    return torch.cat([x[:half], x[-half:]], 1)


def _scale_reduction(x: Tensor) -> Tensor:
    n, within = len(x), x.var(0).mean(0)
    total = (n - 1) / n * within + x.mean(0).var(0)
    return (total / torch.where(within > 0, within, math.nan)).sqrt()


def _normal(x: Tensor) -> Tensor:
    """Normal quantiles of ranks over steps and chains; equal values share their mean rank."""
    from scipy.stats import rankdata

    flat = x.flatten(0, 1).cpu()
    ranks = torch.as_tensor(rankdata(flat.numpy(), axis=0), device=x.device)
    return torch.special.ndtri((ranks - 0.375) / (len(flat) + 0.25)).reshape(x.shape)
