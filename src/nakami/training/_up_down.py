"""The up-down algorithm of a deep belief network: wake, a few Gibbs steps at the top, sleep.

Origin: Hinton, Osindero & Teh, "A fast learning algorithm for deep belief nets", Neural Computation
18 (2006); without the top machine Hinton, Dayan, Frey & Neal, "The wake-sleep algorithm for
unsupervised neural networks", Science 268 (1995).

Deliberate difference from the paper's program: visible units of the sleep phase are drawn, not
their means, so that the expected update is the gradient that ``UpDown`` names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor
from torch.optim import Optimizer

from nakami.results import check_at_least, wrong
from nakami.sampling import BinaryUnits
from nakami.sampling._units import bernoulli
from nakami.zoo._directed import log_probability
from nakami.zoo._label_rbm import LabelRBM
from nakami.zoo._layers import one_on, seeded
from nakami.zoo._untied_dbn import UntiedDBN
from nakami.zoo.rbm import run_chain

from ._method import Descend, Method


@final
class UpDown(Method):
    """Ascent of three things at once, by one optimizer.

    Generative weights on ``E log p(h_(l-1) | h_l)``, states drawn upwards from the data (wake); the
    top machine by contrastive divergence from there; recognition weights on
    ``E log q(h_l | h_(l-1))``, states drawn downwards from where that chain ends (sleep). Together
    they are no gradient of one function. ``step`` returns the sum of their losses, in nats.

    A batch is ``(v,)``, or ``(v, labels)`` where the top machine has label units.

    Args:
        module: From ``DBN.untied``, best after its machines learned one on the other.
        optimizer: Of its parameters, at a small rate.
        k: Gibbs steps of the top machine. The paper takes 3, later 6 and 10.
        generator: Source of the draws until ``start`` gives one; None: a fresh one with seed 0.

    Raises:
        UsageError: At the start, pixels of another shape or outside 0..1, or labels that are not
            the classes of the top machine.
    """

    loss_name = "wake, top and sleep losses, nats"

    def __init__(
        self,
        module: UntiedDBN,
        optimizer: Optimizer,
        *,
        k: int = 3,
        generator: torch.Generator | None = None,
    ):
        self.module: UntiedDBN = module
        self.optimizer, self.k = optimizer, check_at_least("k", k, 1, "pass k=3")
        self._generator = seeded(generator)

    def optimizers(self) -> Sequence[Optimizer]:
        """The one."""
        return (self.optimizer,)

    def start(self, data: Sequence[Tensor], generator: torch.Generator) -> None:
        """Check the data, and take the generator."""
        wanted = 2 if isinstance(self.module.top, LabelRBM) else 1
        n, shape = self.module.visible_units, tuple(data[0].shape)
        if len(data) != wanted or len(shape) != 2 or shape[1] != n:
            rule = f"be pixels of shape (N, {n})" + (" and labels" if wanted == 2 else " alone")
            got = f"{len(data)} tensors, the first {shape}"
            raise wrong("data", rule, got, "pass (pixels.flatten(1),) or (pixels, labels)")
        BinaryUnits().check("data", data[0])
        if isinstance(self.module.top, LabelRBM):
            one_on("labels", data[1], len(data[0]), self.module.top.classes)
        self._generator = generator

    def step(self, batch: Sequence[Tensor], descend: Descend) -> Tensor:
        """One update."""
        net, draw = self.module, self._generator
        with torch.no_grad():
            woken = [batch[0]]
            for layer in range(net.directed):
                woken.append(bernoulli(torch.sigmoid(net.recognised(layer, woken[-1])), draw))
            top = net.top
            seen = top.labelled(woken[-1], batch[1]) if isinstance(top, LabelRBM) else woken[-1]
            model = run_chain(top, seen, self.k, draw).model
            slept = [model]
            for layer in reversed(range(net.directed)):
                slept.insert(0, bernoulli(torch.sigmoid(net.generated(layer, slept[0])), draw))
        loss = (top.free_energy(seen) - top.free_energy(model)).mean()
        for layer in range(net.directed):
            loss = (
                loss - log_probability(net.generated(layer, woken[layer + 1]), woken[layer]).mean()
            )
            logit = net.recognised(layer, slept[layer])
            loss = loss - log_probability(logit, slept[layer + 1][:, : logit.shape[1]]).mean()
        descend(loss, self.optimizer)
        return loss.detach()
