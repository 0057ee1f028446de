"""A Gauss-Newton matrix at weights that change, for a few products at each place."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..results import wrong
from ..spectra import LinearOperator
from ._curvature import Fisher
from ._frozen import named_parts
from ._routes import FAILURES

AGREES = 1e-3  # relative; both routes round by far less, a wrong one is wrong by far more


class PresentCurvature(LinearOperator):
    """``G`` of a ``Fisher`` at the weights and buffers the model has when it is made.

    A product runs the network forward with its tangent, and back: no derivative is traced
    beforehand, which pays where a matrix is used for fewer than some thirty products.

    Args:
        op: ``nakami.fisher(..., kind="ggn")``; its data are shared.

    Raises:
        UsageError: Another kind of matrix.

    Cost: a product, 5/3 of a gradient for each column (2/3 forward, 1 back).
    """

    def __init__(self, op: Fisher):
        if op.kind != "ggn":
            raise wrong("kind", "be 'ggn' at present weights", repr(op.kind), "use kind='ggn'")
        network = op.parts[0].network
        named = (*network.model.named_parameters(), *network.model.named_buffers())
        like = network.weights
        self.network = network.moved(
            {
                f"model.{name}": value.detach().to(like[f"model.{name}"])
                for name, value in named
                if f"model.{name}" in like
            }
        )
        self._op, self.parts, self.scale = op, op.parts, op.scale
        self.weights = {name: self.network.weights[name] for name in op.weights}
        self.point = torch.cat([weight.reshape(-1) for weight in self.weights.values()])
        self.shape, self.dtype, self.device = op.shape, op.dtype, op.device
        self._pulls: dict[int, Callable[[Tensor], tuple[Tensor]]] = {}
        self.route = "ggn, forward mode"

    def traced(self) -> Fisher:
        """The same matrix with products that are traced and checked, as ``nakami.fisher`` has."""
        parts = [part.moved(self.network) for part in self.parts]
        return Fisher(parts, self._op.judged, self._op.kind)

    def _matmat(self, block: Tensor) -> Tensor:
        columns = [self._column(v) for v in block.T]
        return torch.stack(columns, 1).mul_(self.scale)

    _rmatmat = _matmat

    def _column(self, v: Tensor) -> Tensor:
        out = torch.zeros_like(v)
        for at, part in enumerate(self.parts):

            def outputs(flat: Tensor, tree: object = part.example.tree) -> Tensor:
                return self.network.run(tree, named_parts(flat, self.weights))

            ahead = torch.func.jvp(outputs, (self.point,), (v,))
            z, moves = ahead[0].detach(), ahead[1].detach()
            curved = part.judged.curve(z, part.y, moves)
            pull = self._pulls.get(at) or torch.func.vjp(outputs, self.point)[1]
            if part.keep:
                self._pulls[at] = pull
            out += pull(curved)[0]
        return out


def runs_present(op: Fisher) -> bool:
    """Whether ``PresentCurvature`` works here and agrees with the checked products of ``op``.

    The weights must be those of ``op``. Cost: a product each way, and what ``op`` builds for one.
    """
    generator = torch.Generator().manual_seed(0)
    v = torch.randn(op.shape[0], generator=generator, dtype=torch.float64).to(op.device, op.dtype)
    try:
        there = PresentCurvature(op) @ v
    except FAILURES:
        return False
    here = op @ v
    return bool((here - there).norm() <= AGREES * here.norm())
