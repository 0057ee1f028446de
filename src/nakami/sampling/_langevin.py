"""Langevin dynamics of continuous units: two replicas that drive each other in circles.

Origin: Ohzeki, Ichiki, "Langevin dynamics neglecting detailed balance condition", Phys. Rev. E 92,
012105 (2015).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias, final

import torch
from torch import Tensor

from ..results import check_at_least, check_callable, each, is_number, told, wrong, wrong_type
from ._chains import Run
from ._machine import seeded

Field: TypeAlias = Callable[[Tensor], Tensor]


@final
class UnadjustedLangevin(Run):
    """Pairs of replicas of ``p(x) ~ exp(-U(x))`` by Euler steps, without detailed balance.

    ``x1 += step (-grad U(x1) + gamma grad U(x2)) + sqrt(2 step) noise`` and
    ``x2 += step (-grad U(x2) - gamma grad U(x1)) + sqrt(2 step) noise``. For small steps both
    replicas have the law ``p``, independently of each other, at any ``gamma``. At ``gamma=0`` they
    are two runs of the plain unadjusted Langevin algorithm.

    No step is ever rejected, so the law is that of ``U`` only up to a bias of order ``step``.
    For ``U = c x^2 / 2`` exactly: variance ``(1 / c) / (1 - step c (1 + gamma^2) / 2)``,
    autocorrelation time of x ``2 / (step c (1 + gamma^2)) - 1`` sweeps, stable for
    ``step c (1 + gamma^2) < 2``. All three depend on ``step (1 + gamma^2)`` alone: **at equal bias
    the gain of** ``gamma`` **cancels exactly** in means of x, and means of ``x^2`` get slower. It
    pays only where the step is bounded by something else.

    Args:
        energy: ``U`` in nats, of states ``(B, ...)``, giving ``(B,)``; differentiated by autograd.
        gradient: ``grad U`` in its place, of states ``(B, ...)``, giving the same shape; called
            under ``torch.no_grad``.
        start: States to begin from, ``(chains, 2, ...)``, floating; the second axis is the pair.
            Dtype and device are those of the run.
        step: Length of a step in time, above 0.
        gamma: Strength of the circular drift, any finite number.
        generator: Source of the random numbers; None: a fresh one with seed 0.

    Attributes:
        states: ``(chains, 2, ...)``. Record a statistic of a replica, or its mean over both: the
            replicas of a pair are not independent over time, chains are.

    Cost: a gradient of ``2 chains`` states a sweep.

    Raises:
        UsageError: An argument is out of range; the step is so large that states overflow.
    """

    def __init__(
        self,
        energy: Field | None = None,
        *,
        gradient: Field | None = None,
        start: Tensor,
        step: float,
        gamma: float = 0.0,
        generator: torch.Generator | None = None,
    ):
        self._slope = _slope(energy, gradient)
        self.states = _checked(start)
        self.step, self.gamma = _positive(step), _finite(gamma)
        self._generator = seeded(generator, self.states)
        if not torch.isfinite(self._gradient()).all():
            got = "NaN or infinite values there"
            raise wrong("start", "have a finite gradient of the energy", got, "start elsewhere")

    @told
    @torch.no_grad()
    def sweep(self, count: int = 1) -> Tensor:
        """States after ``count`` sweeps of one step each, ``(chains, 2, ...)``."""
        for _ in each(check_at_least("count", count, 1, "pass count=1"), "sweeps"):
            slope = self._gradient()
            drift = -slope
            if self.gamma:
                drift[:, 0] += self.gamma * slope[:, 1]
                drift[:, 1] -= self.gamma * slope[:, 0]
            noise = torch.empty_like(slope).normal_(generator=self._generator)
            moved = self.states + self.step * drift + math.sqrt(2 * self.step) * noise
            if not torch.isfinite(moved).all():
                raise _overflow(self.step, self.gamma)
            self.states = moved
        return self.states

    def state_dict(self) -> dict[str, Any]:
        """What a run goes on from, beside energy and generator."""
        return {"states": self.states}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what ``state_dict`` gave."""
        self.states = _checked(state["states"])

    @torch.no_grad()
    def _gradient(self) -> Tensor:
        """``grad U`` of all replicas, in the shape of ``states``."""
        x = self.states.flatten(0, 1)
        found = self._slope(x)
        if not isinstance(found, Tensor) or found.shape != x.shape:
            got = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            way_out = "pass a function of a batch of states, or an energy in its place"
            raise wrong("gradient", f"give the shape of its states, {tuple(x.shape)}", got, way_out)
        return found.detach().reshape(self.states.shape)


def by_autograd(energy: Field, x: Tensor) -> Tensor:
    """``grad U`` of each row, for an energy ``(B, ...) -> (B,)``; parameters get no gradients."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        value = energy(x)
        if not isinstance(value, Tensor) or value.shape != x.shape[:1]:
            shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            way_out = "sum over the units of each state, not over the batch"
            raise wrong("energy", f"give one number a state, shape ({len(x)},)", shape, way_out)
        parts = (value.sum(), x)
        found = torch.autograd.grad(*parts, allow_unused=True)[0] if value.requires_grad else None
    if found is None:
        rule, got = "be differentiable by its states", "a value that autograd cannot follow to them"
        raise wrong("energy", rule, got, "pass gradient= in its place")
    return found


def _slope(energy: Field | None, gradient: Field | None) -> Field:
    check_callable("energy", energy, "energy(x)")
    check_callable("gradient", gradient, "gradient(x)")
    if energy is not None and gradient is None:
        return partial(by_autograd, energy)
    if gradient is not None and energy is None:
        return gradient
    got = "neither" if energy is None else "both"
    raise wrong("energy", "be given, or gradient in its place", got, "pass one of the two")


def _checked(start: object) -> Tensor:
    if not isinstance(start, Tensor):
        way_out = "pass torch.randn(100, 2, units)"
        raise wrong_type("start", "be a tensor", type(start).__name__, way_out)
    if start.ndim < 3 or start.shape[1] != 2 or not start.numel():
        rule, way_out = "have shape (chains, 2, units)", "pass torch.randn(100, 2, units)"
        raise wrong("start", rule, tuple(start.shape), way_out)
    if not start.is_floating_point():
        raise wrong_type("start", "be floating", start.dtype, "pass start.float()")
    if not torch.isfinite(start).all():
        raise wrong("start", "be finite", "NaN or infinite values", "pass finite states")
    return start.detach().clone()


def _positive(step: object) -> float:
    if not is_number(step) or not 0 < step < math.inf:
        raise wrong("step", "be a finite number above 0", repr(step), "pass step=0.01")
    return float(step)


def _finite(gamma: object) -> float:
    if not is_number(gamma) or not math.isfinite(gamma):
        raise wrong("gamma", "be a finite number", repr(gamma), "pass gamma=0 or gamma=1")
    return float(gamma)


def _overflow(step: float, gamma: float) -> Exception:
    rule = "be below 2 / ((1 + gamma^2) c), c the largest curvature of the energy that is met"
    got = f"states that overflow at step={step:g}, gamma={gamma:g}"
    ways_out = (f"pass step={step / 4:.2g}", "begin where the energy is lower")
    return wrong("step", rule, got, ways_out)
