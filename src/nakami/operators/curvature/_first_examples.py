"""What the network's code is tried on before products are made of it: once for all batches."""

from __future__ import annotations

from torch import Tensor

from ..autodiff._autograd import PlainProduct
from ..autodiff._derivative import Derivative
from ..autodiff._known import Steps
from ..autodiff._strategies import forward_product, reverse_product
from ..model._example import Example
from ..model._parameters import Parameters
from ..per_example._examples import slices

LINEARISED = "linearised"
TRIED = 8  # examples that a route is tried on


class FirstExamples:
    """Some examples of the first batch, on which the network's code is tried once for all.

    Args:
        at: The parameters. example: The examples. room: Bytes for a block of products.
    """

    def __init__(self, at: Parameters, example: Example, room: int):
        self.at, self.example, self.room = at, example, room
        self._linearises: bool | None = None

    def check_gradients(self) -> None:
        """Whether reverse mode is right: by the steps that it takes, or as ``check`` tries it."""
        at, steps = self.at, Steps(self.at.flat)
        if self._linearises is None:
            reverse_product(self._outputs, at.flat, at.held, steps=steps)
            if not steps.known:
                self.check()

    def check(self) -> bool:
        """Whether linearised products work and agree with reverse mode; tried once.

        Their derivative is compared with differences on the way, see ``Derivative``. With batch
        statistics these are those of the few.
        """
        at, room = self.at, self.room
        if self._linearises is None:
            steps = Steps(at.flat)
            output, pull = reverse_product(self._outputs, at.flat, at.held, True, steps)
            way, _, trial = forward_product(
                self._outputs, at.flat, output, pull, at.held, 2, room, steps.coarsest
            )
            rows = slices(len(output), len(output) // self.example.count)
            parts = {f"example {i}": here for i, here in enumerate(rows)}
            Derivative(
                self._outputs,
                at.flat,
                trial,
                way,
                at.network,
                at.held,
                parts,
                room,
                steps,
                at.weights,
            ).check("the outputs by the parameters")
            self._linearises = way == LINEARISED and not isinstance(pull, PlainProduct)
        return self._linearises

    def moved(self, at: Parameters) -> FirstExamples:
        """The same examples for other parameters, or for code that may be another."""
        return FirstExamples(at, self.example, self.room)

    def _outputs(self, flat: Tensor) -> Tensor:
        return self.at.outputs(self.example.tree, flat).reshape(-1)
