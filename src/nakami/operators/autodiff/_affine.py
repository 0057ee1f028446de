"""Whether a network with held multipliers is its own affine function, ``J x + b``."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ...results import UsageError, counted
from ..model._detached import Numbers
from ..model._functional_model import FunctionalModel
from ._strategies import allowed_gap

Product = Callable[[Tensor], Tensor]


def affine_part(
    network: FunctionalModel, function: Product, point: Tensor, image: Tensor
) -> tuple[Tensor, float]:
    """``b``, and how far ``J x + b`` is from the output, relative to its size.

    ``b`` is the output at the state 0, with the numbers that are held at ``point``: a run of the
    network that does not know ``J``. So the two agree only where every step is linear.

    Args:
        network: Read by its detached derivative.
        function: The map that is differentiated, ``(n,) -> (m,)``, run by ``network``.
        point: Where, ``(n,)``.
        image: ``J x``, ``(m,)``.

    Raises:
        UsageError: They do not agree, or J x is 0; names the functions that are not linear.
    """
    with network.held(Numbers()) as numbers:
        output = function(_moving(point)).detach()
    numbers.taken = True
    with network.held(numbers):
        offset = function(_moving(torch.zeros_like(point))).detach()
    size = float(output.norm()) or 1.0
    residual = float((image + offset - output).norm()) / size
    if not residual <= allowed_gap(point.dtype):
        names = [n for n in sorted(numbers.met) if _reaches(network, function, point, image, n)]
        named = ", ".join(names) if names else "a step of its own"
        raise UsageError(
            f"derivative='detached' must know every step that is not linear, got {named}, with "
            f"which J x + b misses the output by {residual:.2g} of its size; choose stages without "
            f"{'it' if len(names) < 2 else 'them'}, or write it with activations, softmax and "
            "normalisations of torch."
        )
    if not image.any():
        raise UsageError(
            "derivative='detached' must leave a step that is linear in the state, got "
            f"{counted(len(numbers.values), 'number')} held and J x = 0; end before the softmax or "
            "normalisation that comes last."
        )
    return offset, residual


def _moving(point: Tensor) -> Tensor:
    return point.detach().clone().requires_grad_()


def _reaches(
    network: FunctionalModel, function: Product, point: Tensor, image: Tensor, name: str
) -> bool:
    """Whether ``J x`` changes where the values of a function are held too."""
    with network.held(Numbers(also=frozenset([name]))):
        other = torch.func.jvp(function, (point,), (point,))[1]
    return bool((other - image).norm() > allowed_gap(point.dtype) * image.norm())
