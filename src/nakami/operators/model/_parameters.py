"""Some parameters of a network as one flat vector: what a matrix by parameters is taken by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from ...results import wrong
from ._example import is_number
from ._functional_model import FunctionalModel


def as_real(weight: Tensor) -> Tensor:
    """A weight, or its gradient, as real numbers: a last axis of 2 where it is complex."""
    return torch.view_as_real(weight) if weight.is_complex() else weight


def named_parts(flat: Tensor, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A flat vector, ``(P,)``, as tensors with the names and shapes of ``weights``."""
    parts = flat.split([as_real(w).numel() for w in weights.values()])
    return {name: _like(w, part) for (name, w), part in zip(weights.items(), parts, strict=True)}


def _like(weight: Tensor, part: Tensor) -> Tensor:
    if not weight.is_complex():
        return part.reshape(weight.shape)
    pairs = part.reshape(*weight.shape, 2)
    return torch.complex(pairs[..., 0], pairs[..., 1])


class Parameters:
    """Some parameters of a network, in one flat vector.

    A complex one counts as pairs of real ones, real and imaginary part side by side.

    Args:
        network: The network at its weights.
        full: Names of the parameters, as in ``network.weights``.

    Attributes:
        network: The same network, whose weights of these names are parts of ``flat``.
        flat: ``(P,)``. weights: its parts by full name. names: as the model names them.
    """

    def __init__(self, network: FunctionalModel, full: Iterable[str]):
        network.check_exact("derivatives by parameters")
        own = {name: network.weights[name] for name in full}
        self.flat = torch.cat([as_real(weight).reshape(-1) for weight in own.values()])
        self.weights = named_parts(self.flat, own)
        self.network = network.with_weights(self.weights)
        self.names = tuple(name.removeprefix("model.") for name in own)

    def at(self, flat: Tensor) -> Parameters:
        """The same parameters at other values, ``(P,)``, which are copied."""
        weights = self.split(flat.detach().to(self.flat))
        return Parameters(self.network.with_weights(weights), weights)

    def current(self) -> Parameters:
        """The same parameters in the model as it is now."""
        return Parameters(self.network.at_current_weights(), self.weights)

    def split(self, flat: Tensor) -> dict[str, Tensor]:
        """Other values, ``(P,)``, by full name (views; copies of complex ones)."""
        return named_parts(flat, self.weights)

    def outputs(self, tree: object, flat: Tensor, fixed: bool = False) -> Tensor:
        """The network's output at a batch, at other values; ``fixed`` as for its ``run``."""
        return self.network.run(tree, self.split(flat), fixed=fixed)

    def held(self, point: Tensor, act: Callable[[], Any]) -> Any:
        """What ``act`` returns while the network is still, at other values of the parameters."""
        with torch.enable_grad():  # so that what runs again keeps what it kept before
            moved = self.split(point)
        return self.network.run_in(act, moved)


def moving(network: FunctionalModel, params: str | None) -> Parameters:
    """The parameters that fit a shell pattern; by default those that require a gradient."""
    if params is not None:
        return Parameters(network, network.parameters(params))
    named = network.model.named_parameters()
    names = [f"model.{n}" for n, p in named if p.requires_grad and is_number(p)]
    if not names:
        ways = ["call requires_grad_() on some", "name them with {params}="]
        raise wrong("model", "have parameters that require a gradient", "none", ways)
    return Parameters(network, names)
