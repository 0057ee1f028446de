"""How readings of recurrent nets ended."""

from __future__ import annotations

from ..results import Ending

DISTINCT = "{distinct} distinct fixed {distinct:point|points}, from {reached} of {starts} starts"
MORE = "; pass states= of real trajectories as starts"
LOST = "; the others did not settle in {steps} Newton steps" + MORE
AVERAGED = "averaged over {steps} steps"
LONGER = (
    " in {blocks} blocks of {length}, which depend on each other (correlation {correlation:.2f})"
)


class FixedPointEnding(Ending):
    """How a search ended; numbers: ``distinct, reached, starts, steps``."""

    FOUND = True, DISTINCT
    SOME_LOST = True, DISTINCT + LOST
    NONE = False, "no start settled in {steps} Newton steps" + MORE


class LyapunovEnding(Ending):
    """How an average along trajectories ended; numbers: ``steps, blocks, length, correlation``."""

    STEADY = True, AVERAGED + " in {blocks} blocks of {length}"
    CORRELATED = False, AVERAGED + LONGER + ": take longer sequences"
    SHORT = False, AVERAGED + ", too few for a standard error"
