"""Barycenters of histograms: checks, the choice of the loop, and the result."""

from __future__ import annotations

import torch
from torch import Tensor

from ...results import (
    NotConvergedWarning,
    check_budget,
    check_choice,
    is_number,
    stepped,
    told,
    warn,
    wrong,
    wrong_type,
)
from .._check import SAME_MASS, check_ends, check_mass, check_reg, divided
from .._costs import Cost, Grid, as_cost, kernel_of
from .._divergences import check_own, is_two_sided
from ._problem import Ends, Problem, entropy, normalised
from ._projections import debiased, entropic
from ._result import Barycenter, Look
from ._sharp import sharp
from ._wide import REASON, undone

KINDS = ("entropic", "debiased", "lambda")
TOLERANCE, MAX_STEPS = 1e-6, 2000
SUM_OF_WEIGHTS = 1e-6
BLURRED = 0.9  # share of the coarsest detail undone in a step, below which less blur helps


@told
def barycenter(
    masses: Tensor,
    cost: Cost | Tensor,
    reg: float,
    weights: Tensor | None = None,
    kind: str = "entropic",
    *,
    tolerance: float = TOLERANCE,
    max_steps: int = MAX_STEPS,
    entropy_floor: float | None = None,
    memory_budget: int | None = None,
) -> Barycenter:
    """The histogram nearest to several, ``argmin_q sum_m w_m loss(p_m, q)``.

    Kinds:

    * ``"entropic"``: of the entropic cost ``C``. Blurred: of one input it is ``blur(p)``, and
      Gaussians come out with ``reg / 2`` more variance along each axis. Converges fast and smooth.
    * ``"debiased"``: of the Sinkhorn divergence (Janati et al. 2020). Exact for Gaussians of one
      covariance, and of one input it is that input.
    * ``"lambda"``: of the lambda-divergence ``D[p_m : q]`` (Amari et al. 2019). Likewise.

    Both sharp kinds begin at the entropic one and take the blur away. What is large is found in few
    steps and fine detail in many; where mass of an input must split, their minimum is sharper than
    the exact barycenter, and ``max_steps`` of some hundred or ``entropy_floor`` comes nearer.

    Args:
        masses: ``(M, *shape)``, or ``(B, M, *shape)`` for ``B`` barycenters at once; at least 0,
            of one total mass for each barycenter. Float32 or float64.
        cost: ``Grid``, ``Points`` or a matrix; only the entropic kind takes two sides of different
            points, inputs on the first.
        reg: Factor of the entropy, in units of the cost, above 0.
        weights: ``(M,)`` or ``(B, M)``, at least 0, of sum 1; None: equal.
        kind: See above.
        tolerance: On ``residual``.
        max_steps: Where it stops at the latest.
        entropy_floor: For the sharp kinds: stop at the first look at which no entropy of the batch
            is above this, in nats. That of the inputs is a good one.
        memory_budget: Bytes for kernels; default 1 GiB.

    Returns:
        The barycenter, its entropy beside that of the inputs, residual and steps; detached.

    Raises:
        UsageError: Masses as for ``sinkhorn``, weights that do not fit, an unknown kind.

    Cost: a step is two sums over all pairs for each input, and one or two for the barycenter.
    """
    geometry, budget = as_cost(cost), check_budget(memory_budget)
    reg, (tolerance, most) = check_reg(reg), check_ends(tolerance, max_steps)
    check_choice("kind", kind, KINDS, "leave it out for entropic")
    if kind != "entropic":
        check_own(geometry)
    masses, alone = _check_inputs(masses, geometry)
    share = _check_weights(weights, *masses.shape[:2])
    problem = _problem(masses, share, geometry, reg, budget)
    floor, sharpens = _check_floor(entropy_floor, kind), kind != "entropic"
    left = undone(problem.own, masses[:, 0].to(problem.log_p)) if sharpens else 1.0
    end = Ends(tolerance, most, floor, left)
    looks: list[Look] = []

    def as_given(part: Tensor) -> Tensor:
        kept = torch.bool if part.dtype == torch.bool else masses.dtype
        return part[0].to(kept) if alone else part.to(kept)

    def report(step: int, log_q: Tensor, residual: Tensor) -> None:
        looks.append(Look(step, as_given(entropy(log_q)), as_given(residual)))
        stepped(step, residual.max)

    loop = {"entropic": entropic, "debiased": debiased, "lambda": sharp}[kind]
    found = loop(problem, end, report)
    converged = found.residual <= tolerance
    if found.reason == REASON:
        _warn_of_reg(reg)
    elif found.steps >= most and not bool(converged.all()):
        _warn(found.residual, end, kind)
    total = masses[:, 0].to(found.log_q).flatten(1).sum(1)
    scale = total.view(-1, *[1] * (found.log_q.ndim - 1))
    return Barycenter(
        mass=as_given(found.log_q.exp() * scale),
        entropy=as_given(entropy(found.log_q)),
        input_entropy=as_given(problem.mean(entropy(problem.log_p))),
        kind=kind,
        residual=as_given(found.residual),
        converged=as_given(converged),
        reason=found.reason,
        steps=found.steps,
        looks=tuple(looks),
        reg=reg,
        convention=geometry.convention,
        even=isinstance(geometry, Grid) and geometry.power == 2,
    )


def _problem(masses: Tensor, share: Tensor, geometry: Cost, reg: float, budget: int) -> Problem:
    """In float64 logs; ``masses`` are ``(B, M, *shape)``."""
    wide = torch.float32 if masses.device.type == "mps" else torch.float64
    inputs = masses.flatten(0, 1)
    log_p = normalised(inputs.to(wide).log())
    kernel = kernel_of(geometry, reg, inputs, budget)
    own = kernel if is_two_sided(geometry) else kernel_of(geometry, reg, masses[:, 0], budget)
    return Problem(
        log_p=log_p,
        weights=share.to(log_p),
        kernel=kernel,
        own=own,
    )


def _check_inputs(masses: object, geometry: Cost) -> tuple[Tensor, bool]:
    """``(B, M, *shape)`` of equal total mass, and whether ``B`` was not given."""
    if not isinstance(masses, Tensor):
        ways = ["pass torch.stack([p1, p2])", "mind the order: masses, cost, reg"]
        raise wrong_type("masses", "be a tensor of histograms (M, ...)", masses, ways)
    shape, axes = geometry.shape, masses.ndim - len(geometry.shape)
    if axes not in (1, 2) or masses.shape[axes:] != shape or not masses.numel():
        sizes = ", ".join(map(str, shape))
        rule = f"have shape (M, {sizes}), or (B, M, {sizes}), to fit the cost"
        ways = ["pass torch.stack([p1, p2])", "give the cost of its points"]
        raise wrong("masses", rule, tuple(masses.shape), ways)
    flat = check_mass("masses", masses.reshape(-1, *shape), shape)
    made = flat.reshape(-1, masses.shape[axes - 1], *shape)
    sums = made.flatten(2).double().sum(2)
    apart = (sums / sums[:, :1] - 1).abs()
    if bool((apart > SAME_MASS[made.dtype]).any()):
        got = f"{float(sums.min()):.7g} to {float(sums.max()):.7g}"
        way_out = f"pass {divided('masses', masses, len(shape))}"
        raise wrong("masses", "have one total mass for each barycenter", got, way_out)
    return made, axes == 1


def _check_weights(weights: object, batch: int, count: int) -> Tensor:
    """``(B, M)`` in float64, of sum 1."""
    if weights is None:
        return torch.full((batch, count), 1 / count, dtype=torch.float64)
    if not isinstance(weights, Tensor):
        way_out = "pass torch.tensor([0.5, 0.5])"
        raise wrong_type("weights", "be a tensor of a number for each input", weights, way_out)
    if weights.shape not in ((count,), (batch, count)):
        rule = f"have shape ({count},) or ({batch}, {count}), a number for each input"
        raise wrong("weights", rule, tuple(weights.shape), "leave them out for equal ones")
    share = weights.detach().double().expand(batch, count)
    if not bool((share >= 0).all()):  # NaN as well
        got = f"{float(share.min()):.6g}"
        raise wrong("weights", "be at least 0", got, "pass weights.clamp_min(0), of sum 1")
    sums = share.sum(1)
    if not bool(((sums - 1).abs() <= SUM_OF_WEIGHTS).all()):
        got = f"{float(sums[int((sums - 1).abs().argmax())]):.9g}"
        raise wrong("weights", "have sum 1", got, f"pass {divided('weights', weights, 1)}")
    return share / sums[:, None]


def _check_floor(floor: object, kind: str) -> float | None:
    if floor is None:
        return None
    if kind == "entropic":
        got, ways = f"{floor!r} for {kind}", ["leave it out", "pass kind='lambda' or 'debiased'"]
        raise wrong("entropy_floor", "be left out for this {kind}", got, ways)
    if not is_number(floor) or not float(floor) > 0:
        way_out = "pass the entropy of the inputs, in nats"
        raise wrong("entropy_floor", "be a positive number", repr(floor), way_out)
    return float(floor)


def _warn(residual: Tensor, ends: Ends, kind: str) -> None:
    left = int((~(residual <= ends.tolerance)).sum())
    ways = ["raise {max_steps}", "raise {tolerance}"]
    if kind == "entropic":
        ways.append("raise {reg}")  # the sharp kinds undo it, and take the more steps
    elif ends.undone < BLURRED:
        ways.insert(0, "lower {reg}")
    warn(
        NotConvergedWarning(
            "{argument} was not reached in {got} (residual {rule}); {way_out}.",
            argument="tolerance",
            got=f"{ends.most} steps for {left} of {len(residual)}",
            rule=f"{float(residual.max()):.2e}, asked {ends.tolerance:.0e}",
            way_out=ways,
        )
    )


def _warn_of_reg(reg: float) -> None:
    warn(
        NotConvergedWarning(
            "{argument} {got} is so large that the loss hardly depends on the barycenter, which is "
            "not found; {way_out}.",
            argument="reg",
            got=f"{reg:g}",
            way_out=["lower {reg}", "pass {kind}='entropic' for a blurred one"],
        )
    )
