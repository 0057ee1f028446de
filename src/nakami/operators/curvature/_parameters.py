"""The parameters that a curvature matrix is taken by, at the weights where it is taken."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from ...results import wrong
from ..model._functional_model import FunctionalModel, named_parts


class Parameters:
    """Some parameters of a network, in one flat vector that all batches share.

    Args:
        network: The network at its weights.
        full: Names of the parameters, as in ``network.weights``.

    Attributes:
        network: The same network, whose weights of these names are parts of ``flat``.
        flat: ``(P,)``. weights: its parts by full name. names: as the model names them.
    """

    def __init__(self, network: FunctionalModel, full: Iterable[str]):
        full = tuple(full)
        self.network, self.flat = network.joined(full)
        self.weights = {name: self.network.weights[name] for name in full}
        self.names = tuple(name.removeprefix("model.") for name in full)

    def at(self, flat: Tensor) -> Parameters:
        """The same parameters at other values, ``(P,)``, which are copied."""
        flat = flat.detach().to(self.flat)
        return Parameters(self.network.with_weights(named_parts(flat, self.weights)), self.weights)

    def part(self, full: Iterable[str]) -> Parameters:
        """Some of the same parameters."""
        return Parameters(self.network, full)

    def current(self) -> Parameters:
        """The same parameters in the model as it is now."""
        return Parameters(self.network.at_current_weights(), self.weights)

    def outputs(self, tree: object, flat: Tensor) -> Tensor:
        """The network's output at a batch, at other values of the parameters."""
        return self.network.run(tree, named_parts(flat, self.weights))


def moving(network: FunctionalModel, params: str | None) -> Parameters:
    """The parameters that fit a shell pattern; by default those that require a gradient."""
    if params is not None:
        return Parameters(network, network.parameters(params))
    named = network.model.named_parameters()
    names = [n for n, p in named if p.requires_grad and p.is_floating_point()]
    if not names:
        ways = ["call requires_grad_() on some", "name them with {params}="]
        raise wrong("model", "have parameters that require a gradient", "none", ways)
    return Parameters(network, [f"model.{name}" for name in names])
