"""A denoising autoencoder of digits, and the Markov chain that draws digits from it.

One hidden layer of 1,000 ReLUs learns to give back digits of which two fifths of the pixels are set
to black or white, and, by walkback, those that its own chain has led away from. The network that is
read gives back an input: 784 pixels to 784 pixels.

Origin: Vincent, Larochelle, Bengio & Manzagol, ICML 2008; Bengio, Yao, Alain & Vincent,
"Generalized denoising auto-encoders as generative models", NIPS 2013 (chain and walkback).

Deliberate differences: ReLUs, Adam, and sizes for the 4,000 shipped digits. The chain draws black
and white pixels, while the data are grey; walkback shows the network the former, too.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import nn

from nakami.data import Examples
from nakami.sampling import DenoisingChain
from nakami.training import SaltAndPepper, Training, Walkback
from nakami.zoo import mlp
from nakami.zoo.autoencoder import EncoderDecoder

from ..results import Picture, counted
from ._examples import digits_from
from ._facts import mean_fact
from ._pictures import COLUMNS, filters, rows_of
from ._settings import POSITIVE, Bounds
from ._stacked import pixels_of_digits
from ._subject import Network, Recipe

SWEEPS = (1, 3, 10, 30, 100, 300)  # of the chain, after which it is shown


@dataclass(frozen=True)
class DAESettings:
    """What decides the weights, beside seed and data.

    Attributes:
        hidden: Hidden units.
        epochs: Passes over the data.
        rate: Learning rate of Adam.
        batch: Examples of one update.
        noise: Share of the pixels that are set to black or white.
        continuation: Chance that the chain of an example goes on in training; 0: plain denoising.
    """

    hidden: Annotated[int, Bounds(1)] = 1000
    epochs: int = 30
    rate: Annotated[float, POSITIVE] = 0.001
    batch: Annotated[int, Bounds(1)] = 100
    noise: Annotated[float, Bounds(0, 1, without=(0, 1))] = 0.4
    continuation: Annotated[float, Bounds(0, 1, without=(1,))] = 0.5


def made(
    settings: DAESettings, pixels: int, generator: torch.Generator | None = None
) -> tuple[EncoderDecoder, nn.Sequential]:
    """The autoencoder with first weights, and the map of an input to what it gives back."""
    net = mlp.make((pixels, settings.hidden, pixels), generator=generator)
    parts = OrderedDict(net.named_children())
    coder = EncoderDecoder(nn.Sequential(parts["linear1"], parts["hidden1"]), parts["output"])
    return coder, nn.Sequential(OrderedDict(**parts, pixels=nn.Sigmoid()))


def untrained(settings: DAESettings) -> nn.Sequential:
    """The network with first weights."""
    return made(settings, pixels_of_digits())[1].eval()


def epochs(settings: DAESettings) -> Mapping[str, int]:
    """One phase."""
    return {"trained": settings.epochs}


def stages(settings: DAESettings) -> tuple[str, ...]:
    """The hidden units, and what is given back."""
    return ("hidden1", "pixels")


def train(
    training: Training, train: Examples, test: Examples, settings: DAESettings
) -> tuple[Network]:
    """The one network."""
    inputs, noise = train.inputs.flatten(1), SaltAndPepper(settings.noise)
    coder, model = made(settings, inputs.shape[1], training.generator("first weights"))
    optimizer = torch.optim.Adam(coder.parameters(), settings.rate)
    on = settings.continuation
    chain = {"continuation": on} if on else {"steps": 1}
    method = Walkback(coder, optimizer, noise, **chain)
    training.run("trained", method, lambda: (inputs,), batch=settings.batch)
    how = f"walkback that goes on with chance {on}" if on else "plain denoising"
    said = (
        f"{counted(settings.epochs, 'epoch')} of Adam at rate {settings.rate} on the loss of "
        f"reconstruction, {settings.noise:.0%} of the pixels set to black or white, {how}, on the "
        f"{train.source}"
    )
    clean = test.inputs.flatten(1)
    with torch.no_grad():
        given = noise(clean, training.generator("test noise"))
        losses = coder.error(coder(given), clean)
    fact = mean_fact(losses, "test loss of reconstruction from noise", "nats", test.noun)
    return (Network("trained", model.eval(), said, [fact], coder),)


@torch.no_grad()
def pictures(
    networks: Sequence[Network], test: Examples, settings: DAESettings, generator: torch.Generator
) -> list[Picture]:
    """Filters, reconstructions, and the chain that begins at test examples."""
    coder, lowest = networks[0].origin, networks[0].model.get_submodule("linear1")
    assert isinstance(coder, EncoderDecoder)
    assert isinstance(lowest, nn.Linear)
    clean, noise = test.inputs[:COLUMNS].flatten(1), SaltAndPepper(settings.noise)
    given = noise(clean, generator)
    rows = {"input": clean, "with noise": given, "given back": coder.reconstruct(given)}
    chain = DenoisingChain(coder.draw, noise, clean, generator=generator)
    seen, done = {"start": clean}, 0
    for sweeps in SWEEPS:
        chain.sweep(sweeps - done)
        seen[counted(sweeps, "sweep")] = coder.reconstruct(chain.corrupted)
        done = sweeps
    moves = "Each sweep adds noise and draws black and white pixels; shown are their means."
    return [
        *filters(lowest.weight, test),
        *rows_of("Reconstructions", "First test examples, without and with noise.", rows, test),
        *rows_of("Chains from test examples", moves, seen, test),
    ]


ENTRY = Recipe(
    settings=DAESettings(),
    examples=digits_from,
    untrained=untrained,
    epochs=epochs,
    train=train,
    stages=stages,
    labelled=False,
    in_unit=True,
    pictures=pictures,
)
