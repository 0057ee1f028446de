"""Layers of a deep belief network that learn together, regularised from above.

Origin: Goh, Thome, Cord & Lim, "Top-down regularization of deep belief networks", NIPS 2013: after
greedy learning, and before back-propagation. The formulas are as remembered of the paper.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast, final

import torch
from torch import Tensor
from torch.nn import functional as F

from nakami.results import check_fraction, wrong
from nakami.zoo._layers import one_on
from nakami.zoo.dbn import DBN
from nakami.zoo.rbm import RBM

from ._contrastive import ContrastiveDivergence
from ._method import Descend, Method


@final
class TopDown(Method):
    """Contrastive divergence of all layers at once, between signals from below and from above.

    Upwards ``z_l = p(h_l | z_(l-1))``, downwards ``y_l`` from the label or from ``z_top``; each
    machine then learns from ``s_l = (1 - phi) z_l + phi y_l``: ``s_(l-1) s_l^T`` less that of a
    chain from ``s_l``. With ``phi=0`` this is contrastive divergence on what the layers below give.
    ``step`` returns the mean reconstruction error of the machines.

    A batch is ``(v, labels)``, or ``(v,)``: then the top layer's own means go down. With labels the
    top machine's hidden units are those of the classes.

    Args:
        module: The stack, after its machines learned one on the other.
        learner: ``learner(rbm)``, how a machine learns; without a sampler.
        phi: Share of what comes from above, 0 to 1.
    """

    loss_name = "mean squared reconstruction error"

    def __init__(
        self, module: DBN, learner: Callable[[RBM], ContrastiveDivergence], *, phi: float = 0.1
    ):
        if phi:
            check_fraction("phi", phi, "use 0.1")
        self.module: DBN = module
        self.phi = phi
        self._machines = [cast("RBM", rbm) for rbm in module.rbms]
        self._learners = [learner(rbm) for rbm in self._machines]

    def start(self, data: Sequence[Tensor], generator: torch.Generator) -> None:
        """Check the data, and give each machine the generator."""
        if not 1 <= len(data) <= 2:
            got, way_out = f"{len(data)} tensors", "pass (pixels.flatten(1),) or (pixels, labels)"
            raise wrong("data", "be pixels, or pixels and labels", got, way_out)
        if len(data) == 2:  # the stack ends with a unit for each class
            one_on("labels", data[1], len(data[0]), self.module.undirected.weight.shape[0])
        v = data[0].to(self.module.undirected.weight.device)
        with torch.no_grad():
            for depth, learner in enumerate(self._learners):
                learner.start((self.module(v, depth),), generator)

    def epoch(self, index: int) -> None:
        """Take the momentum of this epoch."""
        for learner in self._learners:
            learner.epoch(index)

    def at_rate(self, share: float) -> None:
        """Every machine learns at this share of its first rate from here on."""
        for learner in self._learners:
            learner.at_rate(share)

    @torch.no_grad()
    def step(self, batch: Sequence[Tensor], descend: Descend | None = None) -> Tensor:
        """One update of every machine, all from the weights before it."""
        signals = self.signals(*batch)
        steps = zip(self._learners, signals, signals[1:], strict=False)
        errors = [learner.step_from(*pair) for learner, *pair in steps]
        return torch.stack(errors).mean()

    def signals(self, v: Tensor, labels: Tensor | None = None) -> list[Tensor]:
        """``v, s_1, s_2, ...``."""
        up = [v]
        for rbm in self._machines:
            up.append(rbm(up[-1]))
        if not self.phi:
            return up
        width = up[-1].shape[1]
        down = [up[-1] if labels is None else F.one_hot(labels, width).to(v)]
        for rbm in reversed(self._machines[1:]):
            down.insert(0, rbm.visible(down[0]))
        return [v, *(torch.lerp(z, y, self.phi) for z, y in zip(up[1:], down, strict=True))]

    def state_dict(self) -> dict[str, Any]:
        """What each machine's learner carries."""
        return {"learners": [learner.state_dict() for learner in self._learners]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what each machine's learner carried."""
        for learner, each in zip(self._learners, state["learners"], strict=True):
            learner.load_state_dict(each)
