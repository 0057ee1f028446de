"""How long a trajectory stays on plateaus, and when it reaches a target."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...results import Shown, check_fraction, is_number, wrong, wrong_type
from ._integrals import Array
from ._trajectory import SAME, Trajectory

LEAST_DOUBT, SHARE = 1.0, 0.01


@dataclass(frozen=True, repr=False)
class PlateauLength(Shown):
    """Time on plateaus; arrays have the leading axes of the trajectory.

    Attributes:
        length: Total time, before ``hit``, with ``-d log(error) / dt`` below the threshold; up to
            the end of the trajectory where the target was not reached.
        hit: First time with an error of at most ``target`` times the initial one; inf where none.
        reached: Whether there is one.
        length_doubt, hit_doubt: Largest change of the two, to the same from the run at looser
            tolerances and from every second time of the trajectory.
        converged: Doubts of at most 1 or 1 %, and no exact symmetry at the start.
        threshold, target: What was asked.
    """

    length: Array
    hit: Array
    reached: npt.NDArray[np.bool_]
    length_doubt: Array
    hit_doubt: Array
    converged: npt.NDArray[np.bool_]
    threshold: float
    target: float

    @property
    def reason(self) -> str:
        """What did not converge, or was not reached; empty where all is well."""
        open_, late = (int((~x).sum()) for x in (self.converged, self.reached))
        found = [f"{open_} of {self.converged.size} lengths or times are in doubt"] * (open_ > 0)
        found += [f"{late} of {self.reached.size} did not reach the target"] * (late > 0)
        return "; ".join(found)

    def __repr__(self) -> str:
        lengths, hits = np.median(self.length), np.median(self.hit)
        count = f"{self.reached.sum()} of {self.reached.size} reached"
        return f"PlateauLength(median {lengths:.4g}, target at {hits:.4g}, {count})"


def plateau_length(
    trajectory: Trajectory, *, threshold: float = 0.005, target: float = 0.01
) -> PlateauLength:
    """Total time of slow progress before the target, and the time to the target.

    Args:
        trajectory: At times close enough to show plateaus: leave out ``times`` of ``trajectory()``.
        threshold: Of ``-d log(error) / dt``, above 0, per unit of time (steps over N). Times scale
            with the inverse of the learning rate: at other rates than 0.2 scale it.
        target: Share of the initial error, between 0 and 1.

    Returns:
        See ``PlateauLength``.

    Raises:
        UsageError: Arguments out of range.
    """
    _check_trajectory(trajectory)
    if not is_number(threshold) or not 0 < threshold < np.inf:
        raise wrong("threshold", "be a number above 0", repr(threshold), "0.005 is the default")
    check_fraction("target", target, "0.01 is the default")
    t, error, slope = trajectory.times, trajectory.error, trajectory.slope
    length, hit = measured(t, error, slope, threshold, target)
    check = measured(t, trajectory.check_error, trajectory.check_slope, threshold, target)
    keep = np.unique(np.append(np.arange(0, len(t), 2), len(t) - 1))
    fewer = measured(t[keep], error[..., keep], slope[..., keep], threshold, target)
    length_doubt = np.maximum(abs(length - check[0]), abs(length - fewer[0]))
    reached = np.isfinite(hit)
    with np.errstate(invalid="ignore"):
        apart = [np.where(hit == x, 0.0, abs(hit - x)) for x in (check[1], fewer[1])]
    hit_doubt = np.maximum(*apart)
    converged = (trajectory.asymmetry > SAME) & (hit_doubt <= np.maximum(LEAST_DOUBT, SHARE * hit))
    converged &= length_doubt <= np.maximum(LEAST_DOUBT, SHARE * length)
    return PlateauLength(
        length, hit, reached, length_doubt, hit_doubt, converged, float(threshold), float(target)
    )


def _check_trajectory(value: object) -> None:
    if not isinstance(value, Trajectory):
        got, way_out = type(value).__name__, "pass the result of trajectory(start)"
        raise wrong_type("trajectory", "be a Trajectory", got, way_out)


def measured(
    t: Array, error: Array, slope: Array, threshold: float, target: float
) -> tuple[Array, Array]:
    """Length and time of the target; between times, straight lines of log(error) and its slope."""
    with np.errstate(divide="ignore", invalid="ignore"):
        log = np.log(error / error[..., :1]) - np.log(target)
        rate = np.nan_to_num(-slope / error - threshold, nan=-threshold)
    below = log <= 0
    reached = below.any(axis=-1)
    last = np.maximum(np.where(reached, below.argmax(axis=-1), len(t) - 1), 1)[..., None]
    before, after = (np.take_along_axis(log, last - i, -1)[..., 0] for i in (1, 0))
    left, right = t[last - 1][..., 0], t[last][..., 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        at = np.clip(left + (right - left) * before / (before - after), left, right)
    end = np.where(reached, at, t[-1])
    width = np.clip(end[..., None] - t[:-1], 0, np.diff(t))  # of each interval, before the end
    first, change = rate[..., :-1], np.diff(rate, axis=-1) * width / np.diff(t)
    second = first + change
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.where(first * second < 0, np.abs(first / (second - first)), 0.0)
    share = np.where(first < 0, np.where(second < 0, 1.0, part), np.where(second < 0, 1 - part, 0))
    return (share * width).sum(axis=-1), np.where(reached, at, np.inf)
