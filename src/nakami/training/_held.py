"""Any method, with the GRUs of its module held within the region where they rest stably."""

from __future__ import annotations

from typing import Any, final

from nakami.recurrent import SpectralConstraint

from ._method import Method
from ._wrapped import Wrapped


@final
class Held(Wrapped):
    """A method whose GRUs ``nakami.recurrent.SpectralConstraint`` holds after each step.

    The constraint's memory is kept with the training, so that a resumed one ends in the same bits.

    Args:
        method: Any with one optimizer.
        delta: As for ``SpectralConstraint``.

    Attributes:
        constraint: What it has done so far.
    """

    def __init__(self, method: Method, delta: float = 0.2):
        super().__init__(method)
        (optimizer,) = method.optimizers()
        self.constraint = SpectralConstraint(method.module, optimizer, delta=delta)

    def state_dict(self) -> dict[str, Any]:
        """What the constraint knows, and what the method carries."""
        return {"constraint": self.constraint.state_dict(), "method": self.method.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take both up."""
        self.constraint.load_state_dict(state["constraint"])
        self.method.load_state_dict(state["method"])
