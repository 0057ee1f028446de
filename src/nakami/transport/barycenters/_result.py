"""What a barycenter is returned with: how far it is from exact, and whether it is too sharp."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True)
class Look:
    """The iteration at one step: ``entropy`` and ``residual`` as those of the result."""

    step: int
    entropy: Tensor
    residual: Tensor


@dataclass(frozen=True, repr=False)
class Barycenter:
    """A weighted barycenter, or one for each of a batch ``(B,)``.

    Attributes:
        mass: The barycenter, ``(*shape,)`` or ``(B, *shape)``, of the total mass of the inputs.
        entropy: ``- sum q log q`` of it, taken as a histogram of sum 1; nats.
        input_entropy: That of the inputs, averaged with the weights.
        kind: ``"entropic"``, ``"debiased"`` or ``"lambda"``.
        residual: L1 error of the plans' marginals on the side of the barycenter, averaged with the
            weights (debiased: plus that of its plan with itself); of ``"lambda"`` the larger of
            that and of the L1 change of the barycenter in a step. Of both sharp kinds it is taken
            over the share of the coarsest detail that a step undoes, near 1 for a small ``reg``;
            what is left of finer detail may be more. 2 where ``reg`` is too large for them.
        converged: Whether it is at most the tolerance asked for.
        reason: Why the iteration stopped.
        steps: Iterations.
        looks: Entropy and residual on the way.
        reg: The factor of the entropy, in units of the cost.
        convention: The cost in words.
        even: Whether points lie evenly and the cost is ``|x - y|^2``, as on a ``Grid``: entropies
            then compare.
    """

    mass: Tensor
    entropy: Tensor
    input_entropy: Tensor
    kind: str
    residual: Tensor
    converged: Tensor
    reason: str
    steps: int
    looks: tuple[Look, ...] = field(compare=False)
    reg: float
    convention: str
    even: bool

    @property
    def oversharp(self) -> Tensor:
        """Whether its entropy is below the average of the inputs'; only told of ``even`` points.

        Between densities the exact barycenter for ``|x - y|^2`` never is: the entropy is concave
        along it (McCann 1997; Agueh and Carlier 2011). On other points entropy counts points: fewer
        of them, or sparser ones, have less at an equal spread.
        """
        slack = 1e-6 if self.entropy.dtype == torch.float64 else 1e-4
        return (self.entropy < self.input_entropy - slack) & self.even

    def __repr__(self) -> str:
        own, inputs, residual = (
            _span(part) for part in (self.entropy, self.input_entropy, self.residual)
        )
        sharp = ", SHARPER THAN ITS INPUTS" if bool(self.oversharp.any()) else ""
        return (
            f"Barycenter({self.kind}, {tuple(self.mass.shape)}, entropy {own} of inputs' {inputs}"
            f"{sharp}, reg {self.reg:g}, cost {self.convention}, residual {residual}, "
            f"{self.steps} steps, {self.reason})"
        )


def _span(values: Tensor) -> str:
    low, high = float(values.min()), float(values.max())
    return f"{low:.4g}" if values.ndim == 0 or low == high else f"{low:.4g} to {high:.4g}"
