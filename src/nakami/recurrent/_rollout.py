"""A recurrent net over some steps, as a module that operators read."""

from __future__ import annotations

from torch import Tensor, nn

from ..operators import View
from ._state_map import StateMap


class Rollout(nn.Module):
    """The state after some steps as a module of the state before them, and of the inputs.

    Args:
        step_map: The net.
        inputs: One sequence (t, I), where inputs are fixed.
    """

    def __init__(self, step_map: StateMap, inputs: Tensor | None = None):
        super().__init__()
        self.step_map, self.inputs = step_map, inputs

    def forward(self, h: Tensor, x: Tensor | None = None) -> Tensor:
        """States (B, S) after all inputs, (B, t, I)."""
        if x is None:
            assert self.inputs is not None
            x = self.inputs.expand(len(h), -1, -1)
        for t in range(x.shape[1]):
            h = self.step_map(x[:, t], h)
        return h


def rolled(step_map: StateMap, inputs: Tensor | None = None) -> View:
    """A rollout as operators take it: it has no weights of its own that would say where it is."""
    return View(Rollout(step_map, inputs), device=step_map.device)
