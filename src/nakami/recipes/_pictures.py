"""Pictures that recipes offer: filters, samples, reconstructions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from os import PathLike

import torch
from torch import Tensor, nn

from nakami import dynamics
from nakami.data import Examples
from nakami.results import Picture, wrong
from nakami.training import Corruption
from nakami.zoo.autoencoder import ACTIVATIONS, Autoencoder

from ._examples import digits_from
from ._subject import Network

COLUMNS, FILTERS = 10, 60  # in a row, and how many of many are shown
CHANNELS = (1, 3)  # grey, colour


def shape_of(examples: Examples) -> tuple[int, int, int] | None:
    """Channels, height and width of one example; None where it is no picture.

    Flat examples are pictures where their number of values is a square.
    """
    shape = tuple(examples.inputs.shape[1:])
    if len(shape) == 3 and shape[0] in CHANNELS:
        return shape
    if len(shape) == 2:
        return (1, *shape)
    side = math.isqrt(math.prod(shape))
    return (1, side, side) if len(shape) == 1 and side * side == shape[0] else None


def pictures_from(files: str | PathLike[str] | None, least: int = 1) -> tuple[Examples, Examples]:
    """Training and test pictures ``(N, C, H, W)``: the shipped digits, or those of the caller.

    Args:
        files: As for ``digits_from``.
        least: Pixels of their shorter side, at least.

    Raises:
        UsageError: What ``digits_from`` refuses; examples that are no pictures, or too small ones.
    """
    train, test = digits_from(files)
    shape = shape_of(train)
    if shape is None or min(shape[1:]) < least:
        rule = "hold pictures" + (f" of {least} pixels a side or more" if least > 1 else "")
        way_out = "pass a folder of pictures, IDX files, or an .npz of shape (N, H, W)"
        raise wrong("data", rule, tuple(train.inputs.shape), way_out)
    train, test = (replace(e, inputs=e.inputs.reshape(-1, *shape)) for e in (train, test))
    return train, test


def filters(weight: Tensor, examples: Examples, what: str = "the first layer") -> list[Picture]:
    """The weights of each unit to its inputs; empty where examples are no pictures.

    Args:
        weight: ``(units, inputs)``; the first 60 units are shown.
        examples: What the inputs are.
        what: Whose filters they are.
    """
    rows = weight.detach()[:FILTERS]
    shown = "all" if len(rows) == len(weight) else f"the first {len(rows)} of {len(weight):,}"
    caption = f"Weights of {shown} units to the input; all on one scale, 0 in its middle."
    return gallery(f"Filters of {what}", caption, rows, examples, None)


def kernels(weight: Tensor, what: str) -> list[Picture]:
    """The kernels of a convolution on grey or coloured pictures; else empty.

    Args:
        weight: ``(maps, channels, height, width)``; the first 60 maps are shown.
        what: Whose kernels they are.
    """
    cells = weight.detach().cpu()[:FILTERS]
    if cells.shape[1] not in CHANNELS:
        return []
    shown = "all" if len(cells) == len(weight) else f"the first {len(cells)} of {len(weight):,}"
    caption = f"Weights of {shown} maps to the input; all on one scale, 0 in its middle."
    return [Picture(f"Filters of {what}", caption, cells[None], None)]


def evolution(network: Network, examples: Examples, stage: str, shown: int = 200) -> list[Picture]:
    """What units of a stage answer to over the training, each at the input it then likes best.

    Args:
        network: With ``times``; without, nothing is shown.
        examples: The first ``shown`` of them are looked through.
        stage: Whose units: the six that are excited most at the end.
        shown: At most so many.
    """
    if not network.times:
        return []
    inputs = examples.inputs[:shown]
    found = dynamics.feature_evolution(network.model, inputs, network.times, stage)
    return found.pictures("deconvolved")


def gallery(
    title: str,
    caption: str,
    images: Tensor,
    examples: Examples,
    values: tuple[float, float] | None = (0.0, 1.0),
) -> list[Picture]:
    """Images side by side, as one picture; empty where examples are no pictures.

    Args:
        title: What it shows.
        caption: A sentence below it.
        images: ``(N, values of an example)``.
        examples: What has this shape.
        values: Drawn black and white; None: as much on both sides of 0.
    """
    shape = shape_of(examples)
    if shape is None:
        return []
    cells = images.detach().cpu().reshape(1, -1, *shape)
    return [Picture(title, caption, cells, values)]


def rows_of(
    title: str,
    caption: str,
    rows: Mapping[str, Tensor],
    examples: Examples,
    values: tuple[float, float] | None = (0.0, 1.0),
) -> list[Picture]:
    """Images in rows with names, one below the other: an input, what a network made of it.

    Args:
        title: What it shows.
        caption: A sentence below it.
        rows: By name ``(N, values of an example)``, of the same N.
        examples: What has this shape.
        values: As for ``gallery``.
    """
    shape = shape_of(examples)
    if shape is None:
        return []
    cells = [images.detach().cpu().reshape(-1, *shape).numpy() for images in rows.values()]
    return [Picture(title, caption, cells, values, tuple(rows))]


@torch.no_grad()
def reconstructions(
    stack: nn.ModuleList,
    examples: Examples,
    generator: torch.Generator,
    noise: Corruption | None = None,
) -> list[Picture]:
    """What stacked autoencoders give back of the first examples: the lowest alone, and all.

    Args:
        stack: ``Autoencoder``s from the bottom up.
        examples: To give back, the first ten.
        generator: Of the noise.
        noise: What the lowest is given in place of the example.
    """
    layers = [layer for layer in stack if isinstance(layer, Autoencoder)]
    clean = examples.inputs[:COLUMNS].flatten(1).to(layers[0].weight)
    given = clean if noise is None else noise(clean, generator)
    rows = {"input": clean} | ({} if noise is None else {"with noise": given})
    rows["one layer"] = layers[0].reconstruct(given)
    if len(layers) > 1:
        h = given
        for layer in layers:
            h = layer(h)
        for layer in reversed(layers):
            h = ACTIVATIONS[layer.output](layer.decoded(h))
        rows["all layers"] = h
    caption = "First test examples, and what the lowest layer and all layers make of them."
    ends = (min(0.0, float(clean.min())), max(1.0, float(clean.max())))
    return rows_of("Reconstructions", caption, rows, examples, ends)
