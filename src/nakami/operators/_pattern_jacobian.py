"""The Jacobian of a network whose units are on the sides of another run."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ._jacobian import Jacobian
from .model._example import Example
from .model._functional_model import FunctionalModel
from .model._pattern import ActivationPattern
from .model._stages import Stages


def pattern_of(network: FunctionalModel, x: Example, to: str) -> ActivationPattern:
    """On which side of its kinks each unit of a network is at ``x``, up to a stage."""
    with torch.no_grad(), ActivationPattern() as found:
        network.activations(x.tree, (to,))
    return found


class PatternJacobian(Jacobian):
    """A Jacobian with the units that are ``flipped`` held on the sides of a pattern.

    Of the network whose functions continue there as they are on that side. Where no unit is
    flipped it is the network's own Jacobian.

    Args:
        pattern: Sides of the units up to ``to``, as ``pattern_of`` finds them.
        flipped: Which units are held, as ``pattern.differing`` says it.
        network, x, places, to, start, memory_budget: As for ``Jacobian``.
    """

    def __init__(
        self,
        pattern: ActivationPattern,
        flipped: Sequence[Tensor],
        network: FunctionalModel,
        x: Example,
        places: Stages,
        to: str,
        start: str,
        memory_budget: int | None = None,
    ):
        self._pattern, self._flipped = pattern, flipped
        super().__init__(network, x, places, to, start, memory_budget)

    def function(self, flat: Tensor) -> Tensor:
        """The state at the end at another state at the start, on the sides of the pattern."""
        with self._pattern.held(self._flipped):
            return super().function(flat)
