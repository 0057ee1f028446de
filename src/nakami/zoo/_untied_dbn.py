"""Deep belief network whose recognition and generative weights have come apart.

Origin: Hinton, Osindero & Teh, "A fast learning algorithm for deep belief nets", Neural Computation
18 (2006). ``training.UpDown`` trains it.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nakami.results import wrong

from . import _directed
from ._label_rbm import LabelRBM
from ._layers import one_on, seeded
from .rbm import RBM


class UntiedDBN(nn.Module):
    """``p(v, h) = p_top(h_L) prod_l p(h_(l-1) | h_l)``, recognised by weights of its own.

    Calling it gives ``log p(label | v)`` but for a constant if the top machine has labels, else the
    hidden probabilities of the top machine, both by way of recognition means.

    Args:
        rbms: Machines whose weights both ways begin with, from the bottom up.
        top: The machine on them; copied, as they are.

    Attributes:
        up, down: The layers that recognise, and that generate. top: The undirected machine.
    """

    def __init__(self, rbms: Sequence[RBM], top: RBM):
        super().__init__()
        self.up, self.down = nn.ModuleList(), nn.ModuleList()
        for rbm in rbms:
            weight = rbm.weight.detach()
            ways = (self.up, weight, rbm.hidden_bias), (self.down, weight.T, rbm.visible_bias)
            for layers, matrix, bias in ways:
                linear = nn.utils.skip_init(nn.Linear, *reversed(matrix.shape)).to(matrix)
                with torch.no_grad():
                    linear.weight.copy_(matrix)
                    linear.bias.copy_(bias)
                layers.append(linear)
        self.top = copy.deepcopy(top)
        wanted = rbms[-1].weight.shape[0] if rbms else self._below_top
        if self._below_top != wanted:
            rule, way_out = f"have {wanted} visible units beside labels", "see DBN.untied"
            raise wrong("top", rule, self._below_top, way_out)

    def forward(self, v: Tensor) -> Tensor:
        """``(N, visible) -> (N, classes)``, or ``(N, hidden units)`` without labels."""
        means = self.recognition_means(v)
        return self.top.label_logits(means) if isinstance(self.top, LabelRBM) else self.top(means)

    def recognition_means(self, v: Tensor) -> Tensor:
        """What the top machine sees beside a label, ``(N, visible) -> (N, units)``."""
        for layer in range(self.directed):
            v = torch.sigmoid(self.recognised(layer, v))
        return v

    @property
    def visible_units(self) -> int:
        """Units of the lowest layer."""
        return cast("nn.Linear", self.up[0]).in_features if len(self.up) else self._below_top

    @property
    def directed(self) -> int:
        """Number of layers below the top machine."""
        return len(self.up)

    @property
    def undirected(self) -> RBM:
        """The part of the model that has a ``log Z``: the top machine."""
        return self.top

    def undirected_means(self, v: Tensor) -> Tensor:
        """Visible units of the top machine given v, labels among them."""
        means = self.recognition_means(v)
        if not isinstance(self.top, LabelRBM):
            return means
        return torch.cat([means, self.top.label_logits(means).softmax(1)], 1)

    def recognised(self, layer: int, x: Tensor) -> Tensor:
        """Log odds of a layer's upper units given its lower ones."""
        logit: Tensor = self.up[layer](x)
        return logit

    def generated(self, layer: int, h: Tensor) -> Tensor:
        """Log odds of a layer's lower units given its upper ones; labels beside them count not."""
        down = cast("nn.Linear", self.down[layer])
        return F.linear(h[:, : down.in_features], down.weight, down.bias)

    def top_log_weight(self, h: Tensor) -> Tensor:
        """``log p*(h)`` of the top machine, summed over labels if it has some, ``(N,)``."""
        if not isinstance(self.top, LabelRBM):
            return -self.top.free_energy(h)
        own = h @ self.top.visible_bias[: self._below_top]
        return own + self.top.label_logits(h).logsumexp(1)

    def sample(
        self,
        count: int,
        *,
        labels: Tensor | None = None,
        steps: int = 1000,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Means of visible units drawn from the generative model, ``(count, visible)``.

        Args:
            count: Of chains.
            labels: Class of each, ``(count,)``: label units are held there; None: they are free.
            steps: Of block Gibbs sampling in the top machine.
            generator: Source of the draws; None: a fresh one with seed 0.
        """
        held = None
        if labels is not None:
            if not isinstance(self.top, LabelRBM):
                raise wrong("labels", "be left out without label units", labels, "pass a LabelRBM")
            held = one_on("labels", labels, count, self.top.classes).to(self.top.weight)
        return _directed.sample(self, count, steps, seeded(generator), held)

    def bound(self, v: Tensor, draws: int = 10, generator: torch.Generator | None = None) -> Tensor:
        """As ``DBN.bound``: a lower bound on ``log p(v) + log Z`` of the top machine, ``(N,)``."""
        return _directed.bound(self, v, draws, seeded(generator))

    @property
    def _below_top(self) -> int:
        if isinstance(self.top, LabelRBM):
            return self.top.unlabelled
        return self.top.weight.shape[1]
