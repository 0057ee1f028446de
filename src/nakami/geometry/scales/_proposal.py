"""Initial scales that let signals and gradients pass, and how they are put into a model."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from ...results import Ended, Outcome, wrong, wrong_type
from .._outcomes import ProposalEnding
from ._propagation import Propagation


@dataclass(frozen=True)
class Plan:
    """What each weight of a network becomes.

    Attributes:
        rule: What is scaled to what, in a sentence.
        scales: Root mean square that each matrix gets, by the name of the parameter.
        bias_std: Standard deviation that each bias is drawn with, by name; 0 makes it zero.
            Unchanged biases are not in it.
        directions: ``"kept"`` (a matrix is multiplied by a number) or ``"orthogonal"`` (drawn
            anew with orthogonal rows or columns, then scaled).
        seed: Of what is drawn.
        notes: What else there is to know, in sentences.
        cancels: Matrices that are left out since a factor changes no output (what follows
            normalises), with the factor that their layer would have got here.
        weight_variance, bias_variance: ``sigma_w^2``, ``sigma_b^2`` of the critical point, and
            ``q_star``, the mean square that it holds; None where the data set the scales.
    """

    rule: str
    scales: Mapping[str, float]
    bias_std: Mapping[str, float]
    directions: str
    seed: int
    notes: tuple[str, ...] = ()
    cancels: Mapping[str, float] = field(default_factory=dict)
    weight_variance: float | None = None
    bias_variance: float | None = None
    q_star: float | None = None

    def weights(self, present: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The planned weights, by name, from those of a network."""
        planned = {}
        for name, scale in self.scales.items():
            matrix = present[name].detach()
            if self.directions == "orthogonal":
                matrix = orthogonal(name, matrix, self.seed)
            planned[name] = matrix * (scale / root_mean_square(name, matrix))
        for name, std in self.bias_std.items():
            bias = present[name].detach()
            draw = torch.randn(bias.shape, generator=_own(name, self.seed), dtype=torch.float64)
            planned[name] = (std * draw).to(bias)
        return planned


@dataclass(frozen=True)
class Proposal(Ended):
    """Scales for the weights of a network; nothing is changed before ``apply``.

    Attributes:
        plan: What each weight becomes, and why.
        factors: Root mean square of each matrix over what it has now, by name.
        left: Matrices that stay as they are.
        after: The readings of the network with these weights, on the same data.
        outcome: Which way was taken, a ``ProposalEnding``; ``reason`` is its sentence.
    """

    plan: Plan
    factors: Mapping[str, float]
    left: tuple[str, ...]
    after: Propagation
    outcome: Outcome

    @property
    def method(self) -> str:
        """``"critical"`` or ``"data"``, see ``nakami.initialisation``, or ``"none"``."""
        ways = {ProposalEnding.CRITICAL: "critical", ProposalEnding.NONE: "none"}
        return ways.get(self.outcome.kind, "data")  # type: ignore[call-overload]

    def apply(self, model: nn.Module) -> nn.Module:
        """Write the proposed weights into a model, in place; returns it.

        Matrices end with the root mean square that is planned, whatever they had: doing it twice
        changes no more, and another draw of the same network may be given.

        Raises:
            UsageError: The model lacks a parameter that is planned, or has zeros alone in it.
        """
        way_out = "pass the model that was measured"
        if not isinstance(model, nn.Module):
            raise wrong_type("model", "be a torch.nn.Module", type(model).__name__, way_out)
        own = dict(model.named_parameters())
        for name in (*self.plan.scales, *self.plan.bias_std):
            if name not in own:
                raise wrong("model", f"have a parameter {name!r}", "none", way_out)
        planned = self.plan.weights(own)
        with torch.no_grad():
            for name, value in planned.items():
                own[name].copy_(value)
        return model


def orthogonal(name: str, like: Tensor, seed: int) -> Tensor:
    """A matrix of that shape, later axes joined, with orthogonal rows or columns, Haar."""
    rows, generator = like.shape[0], _own(name, seed)
    draw = torch.randn(rows, like.numel() // rows, generator=generator, dtype=torch.float64)
    tall = draw if draw.shape[0] >= draw.shape[1] else draw.T
    q, r = torch.linalg.qr(tall)
    q = q * r.diagonal().sign()  # else the signs of the rows are not uniform
    return (q if tall is draw else q.T).reshape(like.shape).to(like).contiguous()


def root_mean_square(name: str, weight: Tensor) -> float:
    """Of the entries; zero is refused."""
    value = float(weight.detach().double().square().mean().sqrt())
    if not value > 0:
        way_out = "draw its weights first, as with torch.nn.init"
        raise wrong("model", f"have weights in {name!r}", "zeros alone", way_out)
    return value


def _own(name: str, seed: int) -> torch.Generator:
    """Each weight draws from its own, so that the draw does not depend on what else is drawn."""
    return torch.Generator().manual_seed((seed + (zlib.crc32(name.encode()) << 20)) % (1 << 63))
