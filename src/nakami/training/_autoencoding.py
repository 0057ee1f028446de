"""Gradient descent on what an autoencoder loses, with noise or penalties that keep it from copying.

Origins: Bengio, Lamblin, Popovici & Larochelle, NIPS 2006; Vincent, Larochelle, Bengio & Manzagol,
ICML 2008 (denoising); Rifai, Vincent, Muller, Glorot & Bengio, ICML 2011 (contractive); Lee,
Ekanadham & Ng, NIPS 2007 and Ng's lecture notes, 2011 (sparse).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor
from torch.optim import Optimizer

from nakami.results import check_at_least, check_fraction, is_number, wrong
from nakami.zoo._layers import seeded
from nakami.zoo.autoencoder import Autoencoder, Coder

from ._contraction import check_apart, squared_norm
from ._contrastive import alone
from ._corruption import Corruption
from ._method import Descend, Method


@final
class Autoencoding(Method):
    """``mean over the batch of [error + contraction |dh/dx|_F^2 + l1 |h|_1] + sparsity KL``.

    The error is summed over the visible units (``Autoencoder.error``), against the clean input
    whatever noise the network is given. ``KL = sum_j KL(rho || mean over the batch of h_j)`` of
    Bernoulli variables. ``step`` returns all of it.

    Args:
        module: The autoencoder: ``zoo.autoencoder.Autoencoder``, or ``EncoderDecoder`` of any two
            modules.
        optimizer: Of its parameters.
        corruption: ``Gaussian``, ``Masking``, ``SaltAndPepper`` or any ``f(x, generator)``; None:
            the network sees what it gives back.
        contraction: Weight of ``|dh/dx|_F^2``; with tied weights, else encoder and decoder share
            the contraction between them as they like.
        contraction_probes: How the norm is taken. None: of an ``Autoencoder`` in closed form, of
            other encoders exactly where the smaller of input and ``h`` has at most 64 values, else
            from 4 random probes. A number: from so many, and exactly where these are as many as
            the values of the smaller side.
        sparsity: Weight of the KL term; of sigmoid units only. rho: the wanted mean of each unit.
        l1: Weight of ``|h|_1``; keep the decoder's columns short, else they grow as ``h`` shrinks.
        generator: Source of the noise until ``start`` gives one; None: a fresh one with seed 0.

    Raises:
        UsageError: A weight below 0; ``sparsity`` of units that are not sigmoid; at the start, data
            of another shape, or outside 0..1 for a sigmoid output.
    """

    loss_name = "reconstruction loss with penalties, nats"

    def __init__(
        self,
        module: Coder,
        optimizer: Optimizer,
        *,
        corruption: Corruption | None = None,
        contraction: float = 0.0,
        contraction_probes: int | None = None,
        sparsity: float = 0.0,
        rho: float = 0.05,
        l1: float = 0.0,
        generator: torch.Generator | None = None,
    ):
        for name, value in (("contraction", contraction), ("sparsity", sparsity), ("l1", l1)):
            if not is_number(value) or not value >= 0:
                raise wrong(name, "be a number, at least 0", value, "leave it out for 0")
        if contraction_probes is not None:
            check_at_least("contraction_probes", contraction_probes, 1, "use 4")
        check_fraction("rho", rho, "use 0.05")
        if sparsity and module.activation != "sigmoid":
            got, way_out = f"0 < sparsity with {module.activation} units", "pass l1 for these"
            raise wrong("sparsity", "be asked of sigmoid units", got, way_out)
        self.module: Coder = module
        self.optimizer, self.corruption = optimizer, corruption
        self.contraction, self.sparsity, self.rho, self.l1 = contraction, sparsity, rho, l1
        self.contraction_probes, self._generator = contraction_probes, seeded(generator)

    def optimizers(self) -> Sequence[Optimizer]:
        """The one."""
        return (self.optimizer,)

    def start(self, data: Sequence[Tensor], generator: torch.Generator) -> None:
        """Check the data, and take the generator."""
        x = alone("data", data)
        checked(self.module, x)
        if self._by_autograd:
            check_apart(self.module, x[:2])
        self._generator = generator

    @property
    def _by_autograd(self) -> bool:
        closed = isinstance(self.module, Autoencoder) and self.contraction_probes is None
        return bool(self.contraction) and not closed

    def step(self, batch: Sequence[Tensor], descend: Descend) -> Tensor:
        """One update from a batch ``(N, visible)``."""
        loss = self.loss(alone("batch", batch))
        descend(loss, self.optimizer)
        return loss.detach()

    def loss(self, x: Tensor) -> Tensor:
        """The mean over the batch, a scalar; noise and probes are drawn anew."""
        given = x.clone()  # what works in place leaves the target as it was
        if self.corruption is not None:
            given = self.corruption(given, self._generator)
        asked = torch.is_grad_enabled()
        with torch.set_grad_enabled(asked or self._by_autograd):
            if self._by_autograd:
                given = given.detach().requires_grad_()
            loss = self._of(given, x)
        return loss if asked else loss.detach()

    def _of(self, given: Tensor, x: Tensor) -> Tensor:
        """The loss of clean examples ``x`` where the network is given others."""
        net = self.module
        h = net(given.clone() if self._by_autograd else given)  # in place on no leaf
        each = net.error(h, x)
        if self._by_autograd:
            norm = squared_norm(h, given, self.contraction_probes, self._generator)
            each = each + self.contraction * norm
        elif self.contraction:
            assert isinstance(net, Autoencoder)  # others have no closed form
            each = each + self.contraction * net.contraction(given, h)
        if self.l1:
            each = each + self.l1 * h.abs().flatten(1).sum(1)
        loss = each.mean()
        if self.sparsity:
            q, rho = h.mean(0).clamp(1e-6, 1 - 1e-6), self.rho
            apart = rho * torch.log(rho / q) + (1 - rho) * torch.log((1 - rho) / (1 - q))
            loss = loss + self.sparsity * apart.sum()
        return loss


def checked(module: Coder, x: Tensor) -> None:
    """Refuse data ``(N, ...)`` that an autoencoder cannot give back."""
    if isinstance(module, Autoencoder):
        n = module.weight.shape[1]
        if x.ndim != 2 or x.shape[1] != n:
            raise wrong("data", f"have shape (N, {n})", tuple(x.shape), "pass data.flatten(1)")
    if module.output == "sigmoid" and not (x.min() >= 0 and x.max() <= 1):
        got = f"{float(x.min()):g} to {float(x.max()):g}"
        way_out = ["pass data / 255 for bytes", "make the autoencoder with output='linear'"]
        raise wrong("data", "lie in 0..1 for a sigmoid output", got, way_out)
