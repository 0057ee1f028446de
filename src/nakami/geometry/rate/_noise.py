"""How noisy the gradients of mini-batches are: the gradient-noise scale."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from scipy.special import stdtrit
from torch import Tensor

from ...operators import CurvatureOperator
from ...results import Ended, Outcome, is_whole, wrong, wrong_type
from ...spectra import DEFAULT_BUDGET
from .._outcomes import BatchAdvice, NoiseEnding

SURE = 0.95  # one-sided, by Student's t over the batches
PIECE = 2**20  # components turned to float64 at a time


@dataclass(frozen=True)
class NoiseScale(Ended):
    """``B_simple = tr(S) / |G|^2`` in samples; made by ``noise_scale``.

    ``G`` is the mean gradient, ``S`` the covariance of one sample's. At a batch of ``B_simple`` a
    step makes half the progress of a step over endless data; it grows like ``1 / (1 + B_simple /
    B)``. Euclidean: for optimizers that rescale gradients it is a rough guide. Of the present
    weights: at the start of a training it was 1.6 to 150 times below the critical batch of 750
    steps of AdamW, after them half of it (scatter: a factor of 2; ``benchmarks/knobs/batches.py``).

    Attributes:
        value: ``B_simple``; None where ``|G|^2`` cannot be distinguished from 0.
        error: Its standard error by the jackknife over batches; None for two batches, or where
            there is no value.
        at_least: Lower bound of ``B_simple``, one-sided, Fieller's: 95 % in name, 90 % and more
            seen for five batches. inf where ``|G|^2`` is significantly below 0; 0 for two batches.
        trace: Estimate of ``tr(S)``, unbiased. trace_error: its standard error, or None.
        squared_norm: Estimate of ``|G|^2``, unbiased; may be below 0. squared_norm_error: likewise.
        batch: Samples of a batch, the mean where they differ. n_batches: how many batches.
        outcome: How the estimate ended, a ``NoiseEnding``; gives ``converged`` and ``reason``.
        advice_outcome: What it says of the batch size, a ``BatchAdvice``.
    """

    value: float | None
    error: float | None
    at_least: float
    trace: float
    trace_error: float | None
    squared_norm: float
    squared_norm_error: float | None
    batch: float
    n_batches: int
    outcome: Outcome
    advice_outcome: Outcome

    @property
    def advice(self) -> str:
        """What it says of the batch size, in one sentence."""
        return self.advice_outcome.reason


def noise_of(op: CurvatureOperator, budget: int = DEFAULT_BUDGET) -> NoiseScale | None:
    """The noise scale of the gradients of a loss on the batches that it was given; None for one.

    Args:
        op: ``nakami.ggn(model, data, loss)``; samples are counted as it counts them.
        budget: Bytes for gradients; batches beyond what a quarter of it holds are left out.

    Cost: a gradient for each batch, all of them in memory.
    """
    room = budget // 4 // (op.shape[0] * op.dtype.itemsize)
    batches = op.by_batch()[: max(2, room)]
    if len(batches) < 2:
        return None
    gradients = [part.gradient() / (part.n_samples if op.sums else 1) for part in batches]
    return noise_scale(gradients, [part.n_samples for part in batches])


def noise_scale(gradients: Iterable[Tensor], samples: Sequence[int]) -> NoiseScale:
    """The gradient-noise scale from gradients of some batches at the same weights.

    With ``g_i`` the mean gradient over the ``B_i`` samples of batch i, N samples in all and ``m =
    sum B_i g_i / N``: ``tr(S) = sum B_i |g_i - m|^2 / (n - 1)`` and ``|G|^2 = |m|^2 - tr(S) / N``,
    both unbiased for independent samples.

    Args:
        gradients: ``n >= 2`` flat vectors ``(P,)``, each the **mean** over its batch's samples.
        samples: Samples of each batch, ``n`` whole numbers from 1 on.

    Returns:
        A ``NoiseScale``; it holds no gradients.

    Raises:
        UsageError: Fewer than two batches, other counts, other lengths, NaN or infinity.

    Cost: ``n^2 P`` multiplications; all gradients are in memory.
    Source: McCandlish et al. 2018 (arXiv 1812.06162), section 2.2 and appendix A.1.
    """
    each = list(gradients)
    sizes = _check(each, samples)
    every, left = _parts(_inner_products(each), sizes).split([1, len(sizes)])
    trace, squared = every[0].tolist()
    n, batch = len(sizes), float(sizes.mean())
    value = trace / squared if squared > 0 else None
    error = trace_error = squared_error = None
    at_least, kind = 0.0, NoiseEnding.TWO_BATCHES
    if n > 2:
        kind = NoiseEnding.UNBIASED
        spread = (left - left.mean(0)) * ((n - 1) / n) ** 0.5
        covariance = spread.T @ spread
        trace_error, squared_error = covariance.diagonal().sqrt().tolist()
        reach = float(stdtrit(n - 1, SURE))
        at_least = _lower(trace, squared, covariance, reach)
        if not squared > reach * squared_error or not bool((left[:, 1] > 0).all()):
            value = None  # nothing but noise, or one batch carries the gradient
        else:
            error = _jackknife(left[:, 0] / left[:, 1])
    outcome = Outcome(NoiseEnding.INDISTINCT if value is None else kind, {"batches": n})
    return NoiseScale(
        value, error, at_least, trace, trace_error, squared, squared_error, batch, n, outcome,
        _advice(value, at_least, batch),
    )  # fmt: skip


def _check(gradients: list[Tensor], samples: Sequence[int]) -> Tensor:
    """The counts as ``(n,)`` float64, after a look at both arguments."""
    if len(gradients) < 2:
        way_out = "pass the gradients of two batches"
        raise wrong("gradients", "come from two batches or more", len(gradients), way_out)
    sizes = list(samples) if isinstance(samples, Iterable) else [samples]
    if len(sizes) != len(gradients) or not all(is_whole(b) and b >= 1 for b in sizes):
        rule, way_out = f"be {len(gradients)} whole numbers from 1 on", "pass len(y) of each batch"
        raise wrong("samples", rule, repr(sizes), way_out)
    shape = getattr(gradients[0], "shape", None)
    for i, gradient in enumerate(gradients):
        if not isinstance(gradient, Tensor) or gradient.ndim != 1 or gradient.is_complex():
            got = getattr(gradient, "shape", type(gradient).__name__)
            rule = "be flat tensors of real numbers"
            raise wrong_type("gradients", rule, got, "pass gradient.reshape(-1)")
        if gradient.shape != shape:
            rule, way_out = f"have the length {len(gradients[0])} of the first", "use one model"
            raise wrong("gradients", rule, f"{len(gradient)} in number {i}", way_out)
        if not bool(torch.isfinite(gradient).all()):
            raise wrong("gradients", "be finite", f"NaN or infinity in number {i}", "leave it out")
    return torch.tensor([int(b) for b in sizes], dtype=torch.float64)


def _inner_products(gradients: list[Tensor]) -> Tensor:
    """``g_i . g_j`` in float64, ``(n, n)``."""
    n, length = len(gradients), len(gradients[0])
    out = torch.zeros(n, n, dtype=torch.float64)
    for at in range(0, length, PIECE):
        rows = torch.stack([g.detach()[at : at + PIECE].double() for g in gradients])
        out += (rows @ rows.T).cpu()
    return out


def _parts(products: Tensor, sizes: Tensor) -> Tensor:
    """Unbiased ``tr(S)`` and ``|G|^2``, of all and without each batch, ``(1 + n, 2)``."""
    one = torch.cat([sizes.new_zeros(1), sizes])  # samples left out
    own = torch.cat([sizes.new_zeros(1), products.diagonal()])
    along = products @ sizes  # g_i . sum_j B_j g_j
    square = sizes @ along - 2 * one * torch.cat([sizes.new_zeros(1), along]) + one**2 * own
    total = sizes.sum() - one
    mean = square / total**2
    degrees = torch.full_like(one, len(sizes) - 2)
    degrees[0] += 1
    scatter = sizes @ products.diagonal() - one * own - total * mean
    trace = scatter.clamp_min(0.0) / degrees  # below 0 by rounding alone
    return torch.stack([trace, mean - trace / total], 1)


def _jackknife(left_out: Tensor) -> float:
    """Standard error from the estimates without one batch each, ``(n,)``."""
    n = len(left_out)
    return float(((n - 1) / n * (left_out - left_out.mean()).square().sum()).sqrt())


def _lower(a: float, b: float, covariance: Tensor, reach: float) -> float:
    """The least ratio ``c`` at which ``a - c b`` is within ``reach`` standard errors of 0."""
    (va, vab), (_, vb) = covariance.tolist()
    square, line, rest = b**2 - reach**2 * vb, a * b - reach**2 * vab, a**2 - reach**2 * va
    if a <= 0 or rest <= 0:
        return 0.0
    turn = line**2 - square * rest
    if turn < 0:
        return float("inf")
    roots = [rest / (line + sign * turn**0.5) for sign in (1, -1) if line + sign * turn**0.5]
    fitting = [c for c in roots if c > 0 and a - c * b >= 0]
    return min(fitting, default=float("inf"))


def _advice(value: float | None, at_least: float, batch: float) -> Outcome:
    """On the batch size, from the gain of doubling it."""
    if value is None and at_least <= batch:
        return Outcome(BatchAdvice.TOO_FEW, {"batch": batch})
    scale = at_least if value is None else value
    if scale == float("inf"):
        return Outcome(BatchAdvice.ALL_NOISE, {"batch": batch})
    kind = BatchAdvice.BEYOND
    if scale >= batch:
        kind = BatchAdvice.FAR_BELOW if scale >= 10 * batch else BatchAdvice.BELOW
    gain = 2 * (batch + scale) / (2 * batch + scale)
    least = "at least " if value is None else ""
    return Outcome(kind, {"batch": batch, "scale": scale, "gain": gain, "least": least})
