"""Generalised approximate message passing (GAMP) for the margin perceptron on the sphere."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from ...results import (
    Shown,
    check_at_least,
    check_fraction,
    check_seed,
    is_number,
    part,
    stepped,
    told,
    wrong,
)
from ._channel import Array, Channel, labelled, unlabelled
from ._instance import Instance

STARTS = ("uninformed", "informed")
DAMPING = ((300, 0.8), (100, 0.5), (0, 0.0))  # from a step on, the share of the old messages
EMPTY = 1e-5  # V at which no student is left
SPREAD, NEAR = 1e-2, 0.99  # of an uninformed start, and its cosine with the teacher if informed


@dataclass(frozen=True, repr=False)
class GampResult(Shown):
    """Where message passing ended on one instance.

    Attributes:
        mean: Posterior mean ``m``, ``(N,)``. variance: ``V = 1 - q``.
        q: ``|m|^2 / N``, the overlap of two students.
        overlap: ``R = m . w_0 / N`` with the teacher; equal to q within fluctuations where the
            student's margin is the teacher's. Without labels its sign is chance.
        error: ``arccos(R / sqrt(q)) / pi``, share of wrong labels of ``m`` on Gaussian patterns.
        error_up_to_sign: The same of ``|R|``.
        free_entropy: Bethe's, of this instance, nats per N; at a fixed point comparable between
            states of one instance, and with ``free_entropy`` of theory.
        converged: Whether ``change``, ``|m - m_old|^2 / N`` of the last step, over the square of
            the share of new messages in it, fell below the
            tolerance. steps: Steps taken.
        q_history, overlap_history: After each step, ``(steps,)``.
    """

    mean: Array
    variance: float
    q: float
    overlap: float
    error: float
    error_up_to_sign: float
    free_entropy: float
    converged: bool
    change: float
    steps: int
    q_history: Array
    overlap_history: Array

    def __repr__(self) -> str:
        ended = "" if self.converged else ", not converged"
        return f"GampResult(q {self.q:.4f}, R {self.overlap:.4f}, {self.steps} steps{ended})"


@dataclass(frozen=True)
class PretrainFinetune:
    """Message passing without labels, then with them.

    Attributes:
        pretrained: On the patterns without labels alone; its sign is chance.
        sign: The factor that the labels gave its mean, -1 or 1.
        finetuned: On all patterns, started there.
    """

    pretrained: GampResult
    sign: int
    finetuned: GampResult


@told
def gamp(
    instance: Instance,
    start: str | ArrayLike = "uninformed",
    *,
    student_kappa: float | None = None,
    tolerance: float = 1e-8,
    max_steps: int = 1000,
    seed: int = 0,
) -> GampResult:
    """Posterior mean of a student on the sphere, by message passing.

    With ``F = X / sqrt(N)``: ``omega = F m - V g``, channels ``g, Gamma``, ``S = sum Gamma / N``,
    ``r = S m + F^T g``, ``a = |r|^2 / N``, ``V = 2 / (1 + sqrt(1 + 4 a))``, ``m = V r``. V is the
    root that keeps ``|m|^2 / N + V = 1``: the sphere, not a Gaussian prior, which would need
    another precision, since the share of patterns that a student accepts depends on its length.
    ``S < 0`` is no error. A run that has not settled in 100 steps hovers, as it does on small
    instances, and where there are labels is damped from there on: ``g`` and ``r`` keep half of
    their old values, from step 300 on 0.8 of them. That leaves every fixed point where it is.
    Without labels both signs are solutions: a run that changes between them would be damped to 0,
    which knows nothing, so it is left to hover.

    Args:
        instance: Patterns and labels (``draw_instance``).
        start: ``"uninformed"`` (0.01 times a normal vector), ``"informed"`` (0.99 of the teacher)
            or a vector ``(N,)`` with ``|m|^2 < N``.
        student_kappa: The student's margin; the teacher's if None. Where no student is left ``V``
            falls to 0; below 1e-5 the run ends, ``converged`` False.
        tolerance: Of ``change``.
        max_steps: After which it is given up, ``converged`` False.
        seed: Of the uninformed start.

    Returns:
        See ``GampResult``.

    Raises:
        UsageError: Arguments out of range.

    Cost: two products with ``X`` a step; 20 to 100 steps, hundreds near a spinodal. Source: Rangan,
    ISIT 2011 (arXiv 1010.5141), with the sphere in place of a separable prior.
    """
    x, n = instance.patterns, instance.patterns.shape[1]
    kappa = instance.kappa if student_kappa is None else _kappa(student_kappa)
    check_fraction("tolerance", tolerance, "1e-8 is the default")
    check_at_least("max_steps", max_steps, 1, "1000 is the default")
    m = _start(start, instance, seed)
    v, g = 1 - float(m @ m) / n, np.zeros(len(x))
    track, change, r = [], np.inf, m / v
    damping = DAMPING if instance.labels.any() else DAMPING[-1:]
    for step in range(max_steps):
        old = next(share for first, share in damping if step >= first)
        channel = _channel(x @ m / np.sqrt(n) - v * g, v, kappa, instance.labels)
        g = (1 - old) * channel.g + old * g
        r = (1 - old) * (channel.gamma.sum() / n * m + x.T @ g / np.sqrt(n)) + old * r
        v = float(2 / (1 + np.sqrt(1 + 4 * (r @ r) / n)))
        new = v * r
        change, m = float((new - m) @ (new - m)) / n / (1 - old) ** 2, new
        track.append((float(m @ m) / n, float(m @ instance.teacher) / n))
        stepped(len(track), partial(float, change))
        if change < tolerance or v < EMPTY:
            break
    done = change < tolerance and v >= EMPTY
    return _result(instance, m, v, g, kappa, change, done, np.array(track))


@told
def pretrain_then_finetune(
    instance: Instance, *, tolerance: float = 1e-8, max_steps: int = 1000, seed: int = 0
) -> PretrainFinetune:
    """Learn from the patterns without labels until nothing changes, then with the labels.

    The mean of pre-training is known up to its sign; it is multiplied by ``sign(sum_mu y_mu x_mu .
    m)`` and is the start of fine-tuning. The order changes no fixed point, it may choose among
    them. Arguments and errors as ``gamp``; the instance must have patterns of both kinds.
    """
    first = instance.without_labels()
    if not 0 < len(first.labels) < len(instance.labels):
        way_out = "draw_instance with {alpha} and {beta} above 0"
        raise wrong("instance", "hold patterns with and without labels", repr(instance), way_out)
    with part("pre-training"):
        before = gamp(first, tolerance=tolerance, max_steps=max_steps, seed=seed)
    sign = -1 if float(instance.labels @ (instance.patterns @ before.mean)) < 0 else 1
    with part("fine-tuning"):
        after = gamp(instance, sign * before.mean, tolerance=tolerance, max_steps=max_steps)
    return PretrainFinetune(before, sign, after)


def _channel(omega: Array, v: float, kappa: float, labels: Array) -> Channel:
    """Both kinds, in the order of the patterns: those without labels come first or anywhere."""
    has = labels != 0
    out = [np.empty(len(omega)) for _ in range(3)]
    free = unlabelled(omega[~has], v, kappa)
    bound = labelled(omega[has], v, kappa, labels[has])
    for whole, a, b in zip(out, free, bound, strict=True):
        whole[~has], whole[has] = a, b
    return Channel(*out)


def _result(
    instance: Instance, m: Array, v: float, g: Array, kappa: float, change: float, done: bool,
    track: Array,
) -> GampResult:  # fmt: skip
    """The numbers of a mean; Bethe's free entropy takes the fields that belong to it."""
    n = len(m)
    fields = instance.patterns @ m / np.sqrt(n)
    log_z = _channel(fields - v * g, v, kappa, instance.labels).log_z
    bethe = 0.5 * np.log(v) + (log_z + v * g**2 / 2).sum() / n
    q, overlap = (float(m @ w) / n for w in (m, instance.teacher))
    cosine = overlap / np.sqrt(q) if q > 0 else 0.0
    error, either = (float(np.arccos(np.clip(c, -1, 1)) / np.pi) for c in (cosine, abs(cosine)))
    return GampResult(
        m, v, q, overlap, error, either, float(bethe), done, change, len(track), *track.T
    )


def _start(start: str | ArrayLike, instance: Instance, seed: int) -> Array:
    n = len(instance.teacher)
    if isinstance(start, str) and start == "informed":
        return NEAR * instance.teacher
    if isinstance(start, str) and start == "uninformed":
        draw = np.random.default_rng([check_seed(seed), 1])  # not the numbers of the teacher
        return SPREAD * draw.standard_normal(n)
    found = None if isinstance(start, str) else np.asarray(start, np.float64)
    if found is None or found.shape != (n,) or not float(found @ found) < n:
        way_out = f'pass "uninformed", "informed" or a vector ({n},) inside the sphere'
        raise wrong("start", f"be one of {', '.join(STARTS)} or a vector", repr(start), way_out)
    return found


def _kappa(student_kappa: float) -> float:
    if not is_number(student_kappa) or not 0 <= student_kappa <= 5:
        raise wrong("student_kappa", "be a number from 0 to 5", repr(student_kappa), "0.5 is one")
    return float(student_kappa)
