"""Sharpness in an optimizer's coordinates, read again and again with few products."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from ...operators import View, as_view
from ...spectra import ritz
from ..rate._matrix import Loss, matrix_of
from ..rate._optimizers import adaptive, check_optimizer, coordinates, make, seen
from ..rate._rule import Rule
from ..rate._trials import PRODUCT

COLD, WARM = 3, 2  # products of the first reading and of the others


class SharpnessMonitor:
    """Lower bounds of the sharpness on fixed data, at the model's weights at each reading.

    Attributes:
        n_examples: Examples of the data. size: parameters.
        vector: Eigenvector of the last reading, ``(size,)``, from which the next one starts.
    """

    def __init__(
        self,
        model: nn.Module | View,
        optimizer: Optimizer,
        data: Any,
        loss: Loss,
        memory_budget: int | None = None,
    ):
        check_optimizer(optimizer)
        view = as_view(model).for_training()
        self.model, self.optimizer = view.model, optimizer
        self._op = matrix_of(view, data, loss, memory_budget)
        make(optimizer, self._named())
        self.n_examples = self._op.n_examples
        self.size = self._op.shape[0]
        self.vector: Tensor | None = None

    @property
    def price(self) -> float:
        """Gradient evaluations on the data that the next reading takes, by count."""
        return PRODUCT * (COLD if self.vector is None else WARM)

    @property
    def ready(self) -> bool:
        """Whether the optimizer has denominators by now, of parameters that get gradients."""
        weights = self._named().values()
        return not adaptive(self.optimizer) or any(seen(self.optimizer, w) for w in weights)

    def read(self, seed: int) -> tuple[float, float, Rule]:
        """Sharpness now, its residual, and the optimizer's update along one direction."""
        op = self._op.at_current_weights()
        frame = coordinates(self.optimizer, self._named(), op)
        products = COLD if self.vector is None else WARM
        found = ritz(frame.matrix(op), products, start=self.vector, seed=seed)
        self.vector = found.vector
        return found.value + frame.common, found.residual, frame.rule

    def _named(self) -> dict[str, Tensor]:
        parameters: dict[str, Tensor] = dict(self.model.named_parameters())
        return {name: parameters[name] for name in self._op.names}
