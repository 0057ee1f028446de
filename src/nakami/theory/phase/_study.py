"""The whole picture of one margin: curves, transitions, the diagram, and finite instances on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from ...results import (
    Plotted,
    Progress,
    Shown,
    Work,
    check_at_least,
    check_count,
    check_seed,
    wrong,
)
from ._channel import Array, Counts, Flags
from ._checks import load, one_margin
from ._curve import Curve, curve
from ._diagram import PhaseDiagram, phase_diagram
from ._fixed_points import fixed_points
from ._gamp import gamp, pretrain_then_finetune
from ._instance import Instance, draw_instance
from ._transition import Transition, transition, weak_recovery

MOST_WEIGHTS, MOST_POINTS, MOST_BYTES = 10_000, 100, 2**31


@dataclass(frozen=True, repr=False)
class Instances(Shown):
    """Message passing on finite instances, pre-trained and then fine-tuned; arrays are ``(n,)``.

    Attributes:
        alpha, beta: Patterns over N. dimension: N.
        pretrained: Error after the patterns without labels, up to the sign of the student.
        error: After those with labels too; share of wrong labels on Gaussian patterns.
            With alpha 0 as ``pretrained``, nothing was fine-tuned.
        expected: Error of the stable state of infinite N that lies nearest.
        converged: Whether both runs ended at a fixed point. steps: Of both.
        unsettled: Which did not: ``""``, ``"pre-training"``, ``"fine-tuning"`` or ``"both"``.
    """

    columns: ClassVar[tuple[str, ...]] = (
        "alpha", "beta", "pretrained", "error", "expected", "converged", "steps", "unsettled",
    )  # fmt: skip
    alpha: Array
    beta: Array
    pretrained: Array
    error: Array
    expected: Array
    converged: Flags
    steps: Counts
    unsettled: npt.NDArray[np.str_]
    dimension: int

    def __repr__(self) -> str:
        return f"Instances({len(self.alpha)} of N {self.dimension})"


@dataclass(frozen=True, repr=False)
class PhaseStudy(Plotted):
    """Theory of one margin and message passing beside it.

    Attributes:
        kappa: Margin. alphas: Labelled patterns over N; betas: unlabelled.
        by_beta: For each of ``alphas`` all states over beta. by_alpha: For each of ``betas`` over
            alpha.
        transitions: For each of ``alphas``. diagram: Over all alphas.
        instances: Finite instances at each of ``alphas``, over beta. seed: Of them.
    """

    kappa: float
    alphas: tuple[float, ...]
    betas: tuple[float, ...]
    by_beta: Curve
    by_alpha: Curve
    transitions: tuple[Transition, ...]
    diagram: PhaseDiagram
    instances: Instances
    seed: int

    def __repr__(self) -> str:
        jumps = sum(one.first_order for one in self.transitions)
        return f"PhaseStudy(kappa {self.kappa:g}: a jump at {jumps} of {len(self.alphas)} alphas)"


def study(
    kappa: float = 0.5,
    alphas: Sequence[float] = (0.01, 0.1, 0.5),
    betas: Sequence[float] = (0.0, 3.0, 5.0),
    *,
    dimension: int = 500,
    points: int = 6,
    seed: int = 0,
    progress: Progress | None = None,
) -> PhaseStudy:
    """Curves, transitions and the phase diagram of a margin, with finite instances beside them.

    Args:
        kappa: Margin, 0.0001 to 5.
        alphas: Labelled patterns over N, for the curves over beta, at most 6, all different.
        betas: Unlabelled patterns over N, for the curves over alpha, at most 6, all different.
        dimension: N of the instances, 2 to 10,000; so large that each has a pattern of each kind.
        points: Instances on each curve, evenly up to 1.3 times the largest spinodal; 0 leaves
            them out.
        seed: Of the first instance; the next have the next.
        progress: Called after each piece.

    Returns:
        See ``PhaseStudy``.

    Raises:
        UsageError: Arguments out of range.

    Cost: 10 s at the defaults, most of it for the instances.
    """
    k = one_margin("kappa", kappa)
    loads = [_loads(name, given) for name, given in (("alphas", alphas), ("betas", betas))]
    check_count(
        "dimension", dimension, MOST_WEIGHTS, "weights of an instance", "500 is the default"
    )
    if check_at_least("points", points, 0, "6 is the default") > MOST_POINTS:
        raise wrong("points", f"be at most {MOST_POINTS}", points, "6 is the default")
    found = tuple(transition(k, alpha) for alpha in loads[0])
    last = _last(found, float(weak_recovery(k)))
    at = [(a, last * (i + 1) / points) for a in loads[0] for i in range(points)]
    _check_instances(at, dimension)
    seed = check_seed(seed)
    work = Work(["curve", "curve", "diagram", *["instance"] * (points * len(loads[0]))], progress)
    by_beta = curve(k, np.array(loads[0]))
    work.done("curves over beta", "curve")
    by_alpha = curve(k, beta=np.array(loads[1]))
    work.done("curves over alpha", "curve")
    diagram = phase_diagram(k)
    work.done("phase diagram", "diagram")
    instances = _instances(k, at, dimension, seed, work)
    return PhaseStudy(k, loads[0], loads[1], by_beta, by_alpha, found, diagram, instances, seed)


def _loads(name: str, given: Sequence[float]) -> tuple[float, ...]:
    values = load(name, np.atleast_1d(np.asarray(given, dtype=np.float64)))
    if values.ndim != 1 or not 1 <= len(values) <= 6:
        raise wrong(
            name,
            "hold 1 to 6 numbers",
            len(values),
            ["{python}pass (0.01, 0.1, 0.5)", f"{{command_line}}write {{{name}}} 0.01,0.1,0.5"],
        )
    if len(set(values.tolist())) < len(values):
        raise wrong(name, "hold different numbers", values.tolist(), "name each once")
    return tuple(values.tolist())


def _check_instances(at: Sequence[tuple[float, float]], dimension: int) -> None:
    """Refuse instances that are too large, or that lack a kind of patterns."""
    if not at:
        return
    most, last = max(a for a, _ in at), max(b for _, b in at)
    size = 8 * (most + last) * dimension**2
    if size > MOST_BYTES:
        rule = f"leave instances of at most {MOST_BYTES:,} bytes"
        way_out = ["pass {points}=0", "pass a smaller {dimension}"]
        raise wrong("points", rule, f"{size:.3g} bytes at beta {last:.3g}", way_out)
    least = min(load for pair in at for load in pair if load > 0)
    if round(least * dimension) < 1:
        rule = "be so large that each instance has a pattern of each kind"
        needed = floor(0.5 / least) + 1
        got = f"{dimension} with {least:.3g} patterns for each weight"
        way_out = [f"pass {{dimension}}={needed}"] if needed <= MOST_WEIGHTS else []
        raise wrong("dimension", rule, got, [*way_out, "pass {points}=0, theory alone"])


def _last(found: Sequence[Transition], weak: float) -> float:
    """The beta up to which curves are looked at."""
    ends = [one.beta_ends for one in found if one.first_order]
    ends += [weak] if np.isfinite(weak) else []
    return 1.3 * max(ends, default=4.0)


def _instances(
    kappa: float, at: Sequence[tuple[float, float]], dimension: int, seed: int, work: Work
) -> Instances:
    rows, unsettled = list[tuple[float, ...]](), list[str]()
    for place, (alpha, beta) in enumerate(at):
        instance = draw_instance(kappa, alpha, beta, dimension, seed + place)
        pretrained, error, steps, lacks = _one_instance(instance, seed + place)
        states = fixed_points(kappa, alpha, beta)
        stable = states.bayes_error[states.stable]
        nearest = float(stable[np.abs(stable - error).argmin()])
        rows.append((alpha, beta, pretrained, error, nearest, steps))
        unsettled.append(lacks)
        work.done(f"instance at alpha {alpha:g}, beta {beta:.3g}", "instance")
    c = np.array(rows, dtype=np.float64).reshape(-1, 6).T
    fixed = np.array([not lacks for lacks in unsettled], dtype=bool)
    taken = c[5].astype(np.int64)
    return Instances(
        c[0], c[1], c[2], c[3], c[4], fixed, taken, np.array(unsettled, dtype=np.str_), dimension
    )


def _one_instance(instance: Instance, seed: int) -> tuple[float, float, int, str]:
    """Errors, pre-trained and fine-tuned, steps, and which of both did not settle."""
    if not instance.n_labelled:
        alone = gamp(instance, seed=seed)
        error = alone.error_up_to_sign
        return error, error, alone.steps, "" if alone.converged else "pre-training"
    ran = pretrain_then_finetune(instance, seed=seed)
    first, second = ran.pretrained, ran.finetuned
    lacks = {
        (True, True): "", (False, True): "pre-training", (True, False): "fine-tuning",
        (False, False): "both",
    }[first.converged, second.converged]  # fmt: skip
    return first.error_up_to_sign, second.error, first.steps + second.steps, lacks
