"""Pentomino: whether three sprites are of one type, with and without hints on what patches hold.

``zoo.pentomino`` has origin and differences. With hints the lower network learns first what each
patch holds, then the upper one the picture, from its answers; without, both learn at once from the
pictures alone, from the same first weights, by as many updates of the upper network.

Without ``--data`` the pictures have 4 x 4 patches in place of the paper's 8 x 8, and the networks
64 and 512 hidden units in place of 256 and 1,024, so that the transition comes within a minute;
``reproductions/pentomino.py`` has the full size. Own pictures must be Pentomino pictures, as hints
are looked up in their pixels (``data.pentomino_patches``).

Published: learners without hints stay at chance, with hints the task is solved (abstract).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn

from nakami import data
from nakami.data import Examples
from nakami.results import named_as
from nakami.training import Supervised, Training
from nakami.zoo import pentomino

from ..results import Box, Lines, Picture, counted
from ._examples import DataFiles, classes, digits_from
from ._facts import error_fact, share_fact
from ._pictures import kernels
from ._settings import POSITIVE, Bounds
from ._subject import Network, Recipe

PICTURES, TESTED, GRID, PART, SHOWN = 8000, 1000, 4, 500, 12


@dataclass(frozen=True)
class PentominoSettings:
    """What decides the weights, beside seed and data.

    Attributes:
        patch_units: Hidden units of the lower network.
        units: Hidden units of the upper network.
        standardised: Whether the upper network takes the lower one's answers standardised.
        patch_epochs: Passes of the lower network over the patches, half of them empty.
        epochs: Passes of the upper network, and of both at once where there are no hints.
        rate: Adam's learning rate.
        batch: Examples of one update.
    """

    patch_units: Annotated[int, Bounds(1)] = 64
    units: Annotated[int, Bounds(1)] = 512
    standardised: bool = False
    patch_epochs: int = 20
    epochs: int = 20
    rate: Annotated[float, POSITIVE] = 1e-3
    batch: Annotated[int, Bounds(1)] = 128


@cache
def made() -> tuple[Examples, Examples]:
    """Pictures to train on and to test on, the same each time."""
    train, test = (data.pentominoes(n, grid=GRID, seed=s) for n, s in ((PICTURES, 0), (TESTED, 1)))
    return train.examples("training picture"), test.examples("test picture")


def pictures_from(files: DataFiles | None) -> tuple[Examples, Examples]:
    """Training and test examples: pictures made here, or the caller's files."""
    return made() if files is None else digits_from(files)


def network(
    settings: PentominoSettings,
    shape: tuple[int, ...] = (1, 8 * GRID, 8 * GRID),
    outputs: int = 2,
    generator: torch.Generator | None = None,
) -> nn.Sequential:
    """Both networks with first weights."""
    s, (channels, height, width) = settings, shape
    return pentomino.make(
        (channels, height, width),
        patch_units=s.patch_units,
        units=s.units,
        classes=outputs,
        generator=generator,
    )


def untrained(settings: PentominoSettings) -> nn.Sequential:
    """The network with first weights, in evaluation mode."""
    return network(settings).eval()


def epochs(settings: PentominoSettings) -> Mapping[str, int]:
    """The lower network, the upper one on it, and both at once without hints."""
    return {
        "patches": settings.patch_epochs,
        "hints": settings.epochs,
        "no-hints": settings.epochs,
    }


def stages(settings: PentominoSettings) -> tuple[str, ...]:
    """Answers of the lower network, hidden units of the upper one, the output."""
    return ("flatten", "units", "output")


def train(
    training: Training, train: Examples, test: Examples, settings: PentominoSettings
) -> tuple[Network, ...]:
    """Without hints and with them."""
    with named_as("pictures", "data"):
        hints, asked = (data.pentomino_patches(e.inputs) for e in (train, test))
    assert train.labels is not None  # as check_labels has seen
    first, shape = training.generator("first weights"), tuple(train.inputs.shape[1:])
    hinted = network(settings, shape, classes(train), first)
    blind = copy.deepcopy(hinted)
    lower_network(training, hinted, train, hints, settings)
    answers, upper = pentomino.answers(hinted), pentomino.picture(hinted)
    with torch.no_grad():
        x = torch.cat([answers(part) for part in train.inputs.split(PART)])
        told = torch.cat([answers(p).unflatten(1, (11, -1)).argmax(1)
                          for p in test.inputs.split(PART)])  # fmt: skip
    if settings.standardised:
        hinted.get_submodule("standardise").fit(x)  # type: ignore[operator]
    parts = {
        "no-hints": (blind, blind, train.inputs),
        "hints": (hinted, upper, x),
    }
    patch = share_fact("sprites taken for something else", (told != asked)[asked > 0], "sprite")
    found = []
    for name, (net, learns, inputs) in parts.items():
        times = learned(training, name, (net, learns), (inputs, train.labels), settings)
        how = f"{counted(settings.epochs, 'epoch')} of Adam at rate {settings.rate} {WHAT[name]}"
        facts = [error_fact(net, test), *([patch] if net is hinted else [])]
        found.append(Network(name, net.eval(), f"{how}, on the {train.source}", facts, times=times))
    return tuple(found)


WHAT = {
    "no-hints": "on both networks at once",
    "hints": "on the upper network, the lower one having learned what patches hold",
}


def lower_network(
    training: Training,
    net: nn.Sequential,
    train: Examples,
    hints: Tensor,
    settings: PentominoSettings,
) -> None:
    """Train it on patches, as many of them empty as not, where there are as many."""
    lower = nn.Sequential(pentomino.patches(net), nn.Flatten())

    def patches() -> tuple[Tensor, Tensor]:
        cells, labels = data.pentomino_cells(train.inputs).flatten(0, 1), hints.flatten()
        on, off = labels.nonzero()[:, 0], (labels == 0).nonzero()[:, 0]
        drawn = torch.randperm(len(off), generator=training.generator("empty patches"))
        rows = torch.cat([on, off[drawn[: len(on)]]])
        return cells[rows], labels[rows]

    method = Supervised(lower, torch.optim.Adam(lower.parameters(), settings.rate))
    training.run("patches", method, patches, batch=settings.batch)


def learned(
    training: Training,
    phase: str,
    nets: tuple[nn.Sequential, nn.Sequential],
    examples: tuple[Tensor, Tensor],
    settings: PentominoSettings,
) -> dict[str, dict[str, Tensor]]:
    """Train the second of both, a part of the first or itself; weights of the first by epoch."""
    net, learns = nets
    kept = {"0": copy.deepcopy(net.state_dict())}
    method = Supervised(learns, torch.optim.Adam(learns.parameters(), settings.rate))
    snapshots = {e: f"{phase}, epoch {e}" for e in range(1, settings.epochs)}
    training.run(phase, method, lambda: examples, batch=settings.batch, snapshots=snapshots)
    last = copy.deepcopy(learns.state_dict())
    for epoch, name in snapshots.items():
        training.read(name, learns)
        kept[str(epoch)] = copy.deepcopy(net.state_dict())
    learns.load_state_dict(last)
    return kept | {str(settings.epochs): copy.deepcopy(net.state_dict())}


@torch.no_grad()
def pictures(
    networks: Sequence[Network],
    test: Examples,
    settings: PentominoSettings,
    generator: torch.Generator,
) -> list[Picture | Lines]:
    """Shares right by epoch, test pictures with what patches are taken for, filters."""
    lines: dict[str, tuple[list[float], list[float]]] = {}
    for network in networks:
        net, rights = copy.deepcopy(network.model), []
        for state in network.times.values():
            net.load_state_dict(state)
            rights.append(1 - error_fact(net, test)["value"] / 100)
        lines[network.name] = ([float(e) for e in network.times], rights)
    caption = (
        f"Share of {counted(len(test), 'test picture')} that are right after each epoch; a guess "
        "between two equally frequent classes has a half."
    )
    by_epoch = Lines("Right by epoch", caption, "epoch", "share right", lines, (0.0, 0.5, 1.0))
    hinted = networks[-1].model
    first: Any = hinted.get_submodule("patch_hidden")
    return [by_epoch, told(hinted, test), *kernels(first.weight, "the lower network, with hints")]


@torch.no_grad()
def told(net: nn.Module, test: Examples) -> Picture:
    """The first test pictures, with the type that the lower network sees in each sprite."""
    assert isinstance(net, nn.Sequential)
    shown, names = test[:SHOWN], ("nothing", *data.PENTOMINO_TYPES)
    asked = data.pentomino_patches(shown.inputs)
    found = pentomino.patches(net)(shown.inputs).argmax(1).flatten(1)
    across, boxes = shown.inputs.shape[3] // pentomino.SIDE, []
    for row, place in asked.nonzero().tolist():
        y, x = (pentomino.SIDE * i for i in divmod(place, across))
        kind: Literal["right", "wrong"] = (
            "right" if found[row, place] == asked[row, place] else "wrong"
        )
        name = names[int(found[row, place])]
        boxes.append(Box(0, row, x, y, x + pentomino.SIDE, y + pentomino.SIDE, name, kind))
    says = net(shown.inputs).argmax(1).tolist()
    known = test.classes or tuple(map(str, range(max(says) + 1)))
    caption = (
        "The first test pictures, and what the lower network takes each sprite for. With hints the "
        f"pictures are taken for: {', '.join(known[k] for k in says)}."
    )
    return Picture(
        "Sprites", caption, shown.inputs.cpu()[None], (0.0, 1.0), boxes=tuple(boxes), columns=4
    )


ENTRY = Recipe(
    settings=PentominoSettings(),
    examples=pictures_from,
    untrained=untrained,
    epochs=epochs,
    train=train,
    stages=stages,
    pictures=pictures,
)
