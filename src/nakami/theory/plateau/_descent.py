"""Batch gradient and natural-gradient descent of a small network, beside each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import erf

from ...results import (
    Shown,
    check_at_least,
    check_choice,
    check_fraction,
    is_number,
    stepped,
    told,
    wrong,
)
from ._integrals import Array, real
from ._loss import gradient, population_fisher
from ._order import order_parameters, weights

RULES = ("gradient", "natural")
DIVERGED, STILL = 1e6, 1e-6  # losses over the first; change over the last tenth of all steps


@dataclass(frozen=True, repr=False)
class Descent(Shown):
    """Losses along one descent.

    Attributes:
        rule: ``"gradient"`` or ``"natural"``.
        losses: Before each step and at the end, ``(steps + 1,)``.
        hit: Steps after which the loss was at most ``target`` times the first; -1 where
            it never was.
        reached: Whether it was. steps: Taken.
        J, w: Weights at the end.
        condition: Largest over smallest eigenvalue of the Fisher matrix with damping at the last
            natural step; NaN for plain gradients.
        reason: Why it ended before the target; empty where it did not.
    """

    rule: str
    losses: Array
    hit: int
    reached: bool
    steps: int
    J: Array
    w: Array
    condition: float
    reason: str = ""

    def __repr__(self) -> str:
        told = f"target after {self.hit} steps" if self.reached else self.reason
        return f"Descent({self.rule}, {told})"


@told
def descend(
    J: ArrayLike,
    B: ArrayLike,
    w: ArrayLike,
    v: ArrayLike,
    rule: str = "gradient",
    *,
    rate: float = 0.2,
    damping: float = 1e-3,
    target: float = 0.01,
    max_steps: int = 10_000,
    inputs: ArrayLike | None = None,
) -> Descent:
    """``theta -= rate gradient``, or ``theta -= rate (Fisher + damping)^-1 gradient``.

    ``theta = (J / sqrt(N), w)``. Near a singular region the Fisher matrix has directions with
    nearly no information; dividing by it gives them back their speed, and most runs pass plateaus
    in a few steps. With one output a few end where a student's readout is 0 and stay, as the
    gradient is 0 there.

    Args:
        J: First layer of the student at the start, ``(K, N)``.
        B: First layer of the teacher, ``(M, N)``.
        w: Readouts of the student, ``(K, O)``.
        v: Readouts of the teacher, ``(M, O)``.
        rule: ``"gradient"`` or ``"natural"``.
        rate: Of a step, above 0. Gradients need it below ``2 / largest eigenvalue of the Hessian``,
            natural gradients below 2.
        damping: Above 0, in the unit of the Fisher matrix; natural gradients only.
        target: Share of the first loss at which to end.
        max_steps: After which to end, ``reached`` False.
        inputs: ``(S, N)``, for loss, gradient and Fisher matrix on a sample; None is the
            population, ``xi ~ N(0, 1)``, in closed form.

    Returns:
        See ``Descent``.

    Raises:
        UsageError: Arguments out of range, or that do not fit.

    Cost: 0.1 ms a gradient step and 0.5 ms a natural one at K = 2, N = 10, without ``inputs``.
    """
    check_choice("rule", rule, RULES, 'pass "gradient" or "natural"')
    for name, value in (("rate", rate), ("damping", damping)):
        if not is_number(value) or not 0 < value < np.inf:
            raise wrong(name, "be a number above 0", repr(value), "leave it out for the default")
    check_fraction("target", target, "0.01 is the default")
    check_at_least("max_steps", max_steps, 1, "10000 is the default")
    j, b, w, v = weights(J, B, w, v)
    if j.ndim != 2 or b.ndim != 2 or w.ndim != 2 or v.ndim != 2:
        raise wrong("J, B, w and v", "have two axes", f"J of shape {j.shape}", "call it for each")
    root = j.shape[1] ** 0.5
    at = _Sample(b / root, v, inputs) if inputs is not None else _Population(b / root, v)
    theta, shape, split = np.append(j / root, w), j.shape, j.size
    losses, condition, reason = [], float("nan"), ""
    for step in range(max_steps + 1):
        j, w = theta[:split].reshape(shape), theta[split:].reshape(w.shape)
        losses.append(at.loss(j, w))
        stepped(step, lambda: losses[-1] / losses[0])
        if losses[-1] <= target * losses[0]:
            break
        if not losses[-1] <= DIVERGED * losses[0]:
            reason = f"the loss grew beyond {DIVERGED:g} times the first; pass a smaller rate"
            break
        if step == max_steps:
            reason = _late(losses)
            break
        slope = at.gradient(j, w)
        if rule == "natural":
            values, vectors = np.linalg.eigh(at.fisher(j, w))
            values = np.maximum(values, 0) + damping
            condition = float(values[-1] / values[0])
            slope = vectors @ ((vectors.T @ slope) / values)
        theta = theta - rate * slope
    reached = not reason
    hit = step if reached else -1
    return Descent(
        rule, np.array(losses), hit, reached, step, j * root, w, condition, reason
    )  # fmt: skip


def _late(losses: list[float]) -> str:
    steps = len(losses) - 1
    if steps >= 10 and abs(losses[-1 - steps // 10] - losses[-1]) < STILL * losses[-1]:
        share = losses[-1] / losses[0]
        where = f"the loss stands at {share:.2g} of the first after {steps} steps"
        return f"{where}, at a critical point or on a plateau; start elsewhere"
    return f"the target was not reached in {steps} steps; pass a larger max_steps"


class _Population:
    """Loss, gradient and Fisher matrix over all inputs."""

    def __init__(self, b: Array, v: Array):
        self.b, self.v = b, v

    def loss(self, j: Array, w: Array) -> float:
        n = j.shape[1] ** 0.5
        return float(order_parameters(j * n, self.b * n, w, self.v).generalisation_error)

    def gradient(self, j: Array, w: Array) -> Array:
        return np.append(*gradient(j, self.b, w, self.v))

    def fisher(self, j: Array, w: Array) -> Array:
        return population_fisher(j * j.shape[1] ** 0.5, w)


class _Sample:
    """The same over given inputs."""

    def __init__(self, b: Array, v: Array, inputs: ArrayLike):
        self.x = real("inputs", inputs, "pass inputs (S, N)")
        if self.x.ndim != 2 or self.x.shape[1] != b.shape[1]:
            rule = f"have the shape (S, {b.shape[1]})"
            raise wrong("inputs", rule, f"shape {self.x.shape}", "pass one row for each input")
        self.y = erf(self.x @ b.T / 2**0.5) @ v

    def loss(self, j: Array, w: Array) -> float:
        rest = self.y - erf(self.x @ j.T / 2**0.5) @ w
        return float((rest**2).sum() / (2 * len(rest)))

    def gradient(self, j: Array, w: Array) -> Array:
        g, slope = self._units(j)
        rest = g @ w - self.y
        return np.append(((rest @ w.T) * slope).T @ self.x, g.T @ rest) / len(rest)

    def fisher(self, j: Array, w: Array) -> Array:
        (g, slope), (k, n), o = self._units(j), j.shape, w.shape[1]
        found = np.zeros((k * (n + o), k * (n + o)))
        for out in range(o):
            first = ((slope * w[:, out])[:, :, None] * self.x[:, None]).reshape(len(g), k * n)
            second = np.zeros((len(g), k, o))
            second[:, :, out] = g
            each = np.concatenate([first, second.reshape(len(g), k * o)], axis=1)
            found += each.T @ each / len(g)
        return found

    def _units(self, j: Array) -> tuple[Array, Array]:
        x = self.x @ j.T
        return erf(x / 2**0.5), (2 / np.pi) ** 0.5 * np.exp(-x * x / 2)
