"""Autoencoder with one hidden layer, or of any two modules (``training.Autoencoding`` trains it).

Origin: Rumelhart, Hinton & Williams 1986; Bengio, Lamblin, Popovici & Larochelle, NIPS 2006 (as a
layer of a deep network); Vincent, Larochelle, Bengio & Manzagol, ICML 2008 (denoising); Rifai,
Vincent, Muller, Glorot & Bengio, ICML 2011 (contractive).

Calling it gives the hidden units, as the restricted Boltzmann machine beside it does, so that the
features of both are read and stacked alike. Layouts are those of ``rbm.py``.

Deliberate differences: first weights ``U(-r, r)`` with ``r = sqrt(6 / (visible + hidden))`` for all
activations (Glorot & Bengio 2010; the papers take 4 r for sigmoid units).
"""

from __future__ import annotations

from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nakami.results import unknown, wrong

from ._entry import Entry
from ._layers import normal, seeded, uniform

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "linear": lambda x: x,
}
OUTPUTS = ("sigmoid", "linear")


class Coder(nn.Module):
    """What all autoencoders share: the output's distribution. Calling one gives hidden units ``h``.

    Args:
        output: ``g`` of what it gives back, ``r = g(decoded(h))``: ``"sigmoid"`` for data in 0..1,
            with cross-entropy as its loss, or ``"linear"``, with half the squared error.
    """

    activation: str  # of the hidden units

    def __init__(self, output: str):
        super().__init__()
        if output not in OUTPUTS:
            raise unknown("output", output, OUTPUTS)
        self.output = output

    @abstractmethod
    def decoded(self, h: Tensor) -> Tensor:
        """What is given back before the output's ``g``, ``(N, ...)`` as the data."""

    def reconstruct(self, x: Tensor) -> Tensor:
        """``r``, what the hidden units give back of ``x``, of the same shape."""
        return ACTIVATIONS[self.output](self.decoded(self(x)))

    def draw(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """A sample of the output's distribution, of the shape of ``x``.

        Zeros and ones with the means ``r`` for a sigmoid output; for a linear one ``r`` with
        standard normal noise, the distributions that ``error`` is the likelihood of.
        """
        r = self.reconstruct(x)
        if self.output == "linear":
            return r + normal(r, generator)
        return (uniform(r, generator) < r).to(r)

    def error(self, h: Tensor, x: Tensor) -> Tensor:
        """The loss of each example, in nats, **summed** over its values, ``(N,)``.

        Cross-entropy for a sigmoid output; for a linear one ``|r - x|^2 / 2``, the negative log
        likelihood at unit variance but for its constant.
        """
        z = self.decoded(h)
        if z.shape != x.shape:
            got, way_out = tuple(z.shape), "pass one whose output has this shape"
            raise wrong(
                "decoder", f"give back the shape of the data, {tuple(x.shape)}", got, way_out
            )
        if self.output == "linear":
            return 0.5 * (z - x).square().flatten(1).sum(1)
        return F.binary_cross_entropy_with_logits(z, x, reduction="none").flatten(1).sum(1)


class EncoderDecoder(Coder):
    """``h = encoder(x)``, ``r = g(decoder(h))`` of any two modules. Calling it gives ``h``.

    Args:
        encoder: ``(N, ...)`` to hidden units ``(N, ...)``, each example by itself.
        decoder: Hidden units to the shape of the data.
        output: As for ``Autoencoder``.

    Attributes:
        activation: Name of the encoder's last module, in small letters: ``"sigmoid"``.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, *, output: str = "sigmoid"):
        super().__init__(output)
        self.encoder, self.decoder = encoder, decoder
        self.activation = type(list(encoder.modules())[-1]).__name__.lower()

    def forward(self, x: Tensor) -> Tensor:
        """The hidden units."""
        h: Tensor = self.encoder(x)
        return h

    def decoded(self, h: Tensor) -> Tensor:
        """What is given back before the output's ``g``."""
        z: Tensor = self.decoder(h)
        return z


class Autoencoder(Coder):
    """``h = f(W x + b)``, ``r = g(V h + a)``; tied: ``V = W^T``. Calling it gives ``h``.

    Args:
        visible: Number of inputs. hidden: number of hidden units.
        tied: Whether the decoder has the encoder's weights.
        activation: ``f``: ``"sigmoid"``, ``"tanh"``, ``"relu"`` or ``"linear"``.
        output: ``g``: ``"sigmoid"`` for data in 0..1, with cross-entropy as its loss, or
            ``"linear"``, with half the squared error.
        generator: Source of the first weights; None: a fresh one with seed 0.
        dtype: Floating type of the parameters.

    Attributes:
        weight: ``W``, ``(hidden, visible)``. back: ``V^T``, of the same shape; None where tied.
        visible_bias: ``a``. hidden_bias: ``b``; both start at 0.
    """

    def __init__(
        self,
        visible: int,
        hidden: int,
        *,
        tied: bool = True,
        activation: str = "sigmoid",
        output: str = "sigmoid",
        generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float32,
    ):
        super().__init__(output)
        for name, value in (("visible", visible), ("hidden", hidden)):
            if value < 1:
                raise wrong(name, "be at least 1", value, "pass a positive number of units")
        if activation not in ACTIVATIONS:
            raise unknown("activation", activation, ACTIVATIONS)
        self.activation = activation
        generator, r = seeded(generator), (6 / (visible + hidden)) ** 0.5

        def drawn() -> nn.Parameter:
            empty = torch.empty(hidden, visible, dtype=dtype)
            return nn.Parameter(empty.uniform_(-r, r, generator=generator))

        self.weight = drawn()
        self.back = None if tied else drawn()
        self.visible_bias = nn.Parameter(torch.zeros(visible, dtype=dtype))
        self.hidden_bias = nn.Parameter(torch.zeros(hidden, dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        """The hidden units, ``(N, visible) -> (N, hidden)``."""
        return ACTIVATIONS[self.activation](F.linear(x, self.weight, self.hidden_bias))

    def decoded(self, h: Tensor) -> Tensor:
        """``V h + a``, before the output's ``g``, ``(N, hidden) -> (N, visible)``."""
        return F.linear(h, (self.weight if self.back is None else self.back).T, self.visible_bias)

    def contraction(self, x: Tensor, h: Tensor | None = None) -> Tensor:
        """``|dh/dx|_F^2`` of each example, in closed form, ``(N,)``.

        ``sum_j f'(z_j)^2 |w_j|^2``; of sigmoid units ``f' = h (1 - h)``.

        Args:
            x: Examples, ``(N, visible)``.
            h: Their hidden units, where these are there already.
        """
        h = self(x) if h is None else h
        if self.activation == "sigmoid":
            slope = h * (1 - h)
        elif self.activation == "tanh":
            slope = 1 - h.square()
        elif self.activation == "relu":
            slope = (h > 0).to(h)
        else:
            slope = torch.ones_like(h)
        return slope.square() @ self.weight.square().sum(1)


def make(*, generator: torch.Generator | None = None) -> nn.Sequential:
    """Modules ``flatten`` and ``hidden``: 784 inputs, 500 sigmoid units, tied weights.

    Args:
        generator: Source of the first weights; None: a fresh one with seed 0.
    """
    hidden = Autoencoder(784, 500, generator=generator)
    return nn.Sequential(OrderedDict[str, nn.Module](flatten=nn.Flatten(), hidden=hidden))


ENTRY = Entry(
    make=make,
    input=(1, 28, 28),
    output=(500,),
    parameters=393_284,
    task="features",
    origin="Rumelhart et al. 1986; Bengio et al. 2006",
    preprocessing="unit",
    data="digits",
)
