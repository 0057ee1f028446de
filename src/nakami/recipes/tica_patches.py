"""Topographic ICA of patches: oriented filters on a sheet where neighbours are alike.

Patches of 12 x 12 pixels lose their mean and are whitened to 72 components; 100 units on a torus of
10 x 10 learn sparse energies of 3 x 3 neighbourhoods (``zoo.tica`` has objective, origin and
differences). By default the patches are of dead leaves, discs that hide each other: digits have
strokes of one width alone, while dead leaves have edges at all scales, as photographs do, and are
made from a seed, so that nothing has to be shipped. ``--data`` takes any folder of pictures, each
at its own size.

The whole of the patches is one batch of L-BFGS, as in the papers; an epoch is 20 of its steps.
``solver = "sgd"`` descends in mini-batches.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn

from nakami.data import Examples, dead_leaves, patches, whitening
from nakami.data._pictures import heads_of_pictures
from nakami.dynamics import OrientationTuning, orientation_tuning, sheet_contrast
from nakami.training import Training, Unsupervised
from nakami.zoo.tica import TopographicICA

from ..results import Picture, counted, named_as, wrong
from ._examples import DataFiles, digits_from, picture_files
from ._facts import mean_fact
from ._pictures import rows_of, shape_of
from ._settings import POSITIVE, Bounds
from ._subject import Network, Recipe

SIDE, PATCHES, HELD, STEPS = 12, 10_000, 2_000, 20
PICTURES, SIZE = (100, 40), 64  # of dead leaves, to train and to test


@dataclass(frozen=True)
class TICASettings:
    """What decides the weights, beside seed and data.

    Attributes:
        components: Whitened values of a patch, those of the largest variance.
        sheet: Rows and columns of the sheet.
        side: Of the square of units that is pooled over, odd.
        cost: Weight of sparsity against reconstruction.
        solver: L-BFGS with all patches at once, or SGD in mini-batches.
        epochs: Of 20 steps of L-BFGS each, or passes of sgd.
        rate: Learning rate of sgd.
        batch: Patches of one of its updates.
    """

    components: Annotated[int, Bounds(1)] = 72
    sheet: Annotated[tuple[int, int], Bounds(1)] = (10, 10)
    side: Annotated[int, Bounds(1)] = 3
    cost: Annotated[float, POSITIVE] = 0.1
    solver: Literal["lbfgs", "sgd"] = "lbfgs"
    epochs: int = 15
    rate: Annotated[float, POSITIVE] = 0.001
    batch: Annotated[int, Bounds(1)] = 100


@cache
def _made() -> tuple[Examples, Examples]:
    """Patches of dead leaves, from other pictures to test on."""
    train, test = (dead_leaves(n, size=SIZE, seed=seed) for seed, n in enumerate(PICTURES))
    return patches(train, PATCHES, SIDE), patches(test, HELD, SIDE)


def patches_from(files: DataFiles | None) -> tuple[Examples, Examples]:
    """Patches to train and to test on: of dead leaves, or of the caller's pictures."""
    if files is None:
        return _made()
    own = picture_files(files)
    if own[0]:
        return _of_files(own, files)
    train, test = digits_from(files)
    if train.inputs.ndim in (3, 4) and min(train.inputs.shape[-2:]) < SIDE:
        rule = f"hold pictures of {SIDE} x {SIDE} pixels or more"
        raise wrong("data", rule, tuple(train.inputs.shape[1:]), "raise {size}")
    with named_as("examples", "data"):
        return patches(train, PATCHES, SIDE), patches(test, HELD, SIDE)


def _of_files(own: tuple[list[Path], list[Path]], files: DataFiles) -> tuple[Examples, Examples]:
    """Patches of pictures, each at its own size; grey where all are."""
    train, test = own
    mode = files.mode or ("grey" if heads_of_pictures(train + test)[1] else "RGB")
    with named_as("examples", "data"):
        one = patches(train, PATCHES, SIDE, mode=mode)
    with named_as("examples", "data" if files.test is None else "test"):
        return one, patches(test, HELD, SIDE, mode=mode)


def without_mean(x: Tensor) -> Tensor:
    """Patches less the mean of each, flat."""
    x = x.flatten(1)
    return x - x.mean(1, keepdim=True)


def made(
    settings: TICASettings, whiten: nn.Linear, generator: torch.Generator | None = None
) -> nn.Sequential:
    """Whitening, then pooled energies of the sheet."""
    energies = TopographicICA(
        whiten.out_features,
        settings.sheet,
        side=settings.side,
        cost=settings.cost,
        generator=generator,
    )
    return nn.Sequential(OrderedDict(flatten=nn.Flatten(), whiten=whiten, energies=energies))


def untrained(settings: TICASettings) -> nn.Sequential:
    """The network with first weights, whitened for the default patches."""
    train, _ = _made()
    white = whitening(without_mean(train.inputs), settings.components)
    return made(settings, white.layer()).eval()


def train(
    training: Training, train: Examples, test: Examples, settings: TICASettings
) -> tuple[Network]:
    """The one network."""
    white = whitening(without_mean(train.inputs), settings.components)
    model = made(settings, white.layer(), training.generator("first weights"))
    sheet = _sheet(model)
    before = _selectivity(model, test, "orientation selectivity before training")
    every = settings.solver == "lbfgs"
    optimizer: Any = (
        torch.optim.LBFGS(
            sheet.parameters(), max_iter=STEPS, history_size=10, line_search_fn="strong_wolfe"
        )
        if every
        else torch.optim.SGD(sheet.parameters(), settings.rate, 0.9)
    )

    def objective(x: Tensor) -> Tensor:
        return sheet.objective(model.whiten(x.flatten(1)))  # type: ignore[operator]

    method = Unsupervised(model, optimizer, objective, "objective of a patch")
    batch = len(train) if every else settings.batch
    training.run("sheet", method, lambda: (train.inputs,), batch=batch)
    how = f"{counted(STEPS * settings.epochs, 'step')} of L-BFGS" if every else "gradient descent"
    said = (
        f"{how} on reconstruction and {settings.cost:g} times the energies of "
        f"{settings.side} x {settings.side} units, on {train.source}"
    )
    return (Network("trained", model.eval(), said, [*facts(model, test), *before], sheet),)


def facts(model: nn.Module, test: Examples) -> list[dict[str, Any]]:
    """Objective, selectivity, and how alike neighbours on the sheet are beside distant units."""
    sheet, whiten = _sheet(model), model.get_submodule("whiten")
    with torch.no_grad():
        z = whiten(test.inputs.flatten(1))
        energies = torch.corrcoef(sheet.units(z).square().double().T)
        found = [mean_fact(sheet.objective(z), "test objective", "", test.noun)]
    if shape_of(test) is None:
        return found
    tuned = orientation_tuning(filters(model, test))
    found.append(_selective(tuned, "orientation selectivity"))
    turned = (2 * (tuned.preferred[:, None] - tuned.preferred)).cos()
    apart = -(tuned.place[:, None] - tuned.place).norm(dim=2)
    alike = {"energies' correlation": energies, "cos of twice the angle": turned, "nearness": apart}
    for name, matrix in alike.items():
        if max(sheet.sheet) < 6:  # no units three steps apart
            break
        seen = sheet_contrast(matrix, sheet.sheet)
        found.append(
            {
                "label": f"{name}: neighbours less distant units",
                "value": seen.difference,
                "spread": seen.spread,
                "spread_kind": f"standard deviation on shuffled sheets; neighbours {seen.near:.3f}",
                "unit": "pixels" if matrix is apart else "",
            }
        )
    return found


def filters(model: nn.Module, examples: Examples) -> Tensor:
    """What each unit multiplies pixels with, ``(units, H, W)``, the mean of the channels."""
    shape = shape_of(examples)
    assert shape is not None
    whiten = model.get_submodule("whiten")
    assert isinstance(whiten, nn.Linear)
    return (_sheet(model).filters @ whiten.weight).detach().reshape(-1, *shape).mean(1)


def _sheet(model: nn.Module) -> TopographicICA:
    found = model.get_submodule("energies")
    assert isinstance(found, TopographicICA)
    return found


def _selectivity(model: nn.Module, test: Examples, label: str) -> list[dict[str, Any]]:
    """The mean over the units; nothing where filters are no pictures."""
    if shape_of(test) is None:
        return []
    return [_selective(orientation_tuning(filters(model, test)), label)]


def _selective(tuned: OrientationTuning, label: str) -> dict[str, Any]:
    return mean_fact(tuned.selectivity, label, "", "unit")


def pictures(
    networks: Sequence[Network], test: Examples, settings: TICASettings, generator: torch.Generator
) -> list[Picture]:
    """The sheet: what each unit gives back, and what it asks for."""
    model = networks[0].model
    sheet, whiten = _sheet(model), model.get_submodule("whiten")
    assert isinstance(whiten, nn.Linear)
    w, matrix = sheet.filters.detach().double(), whiten.weight.detach().double()
    shown = {
        "Sheet of units, as patches": (
            w @ torch.linalg.pinv(matrix).T,
            "What each unit gives back, place by place on the sheet; its edges are joined.",
        ),
        "Sheet of units, as filters": (w @ matrix, "What each unit multiplies pixels with."),
    }
    made = []
    for title, (images, caption) in shown.items():
        images = images / images.abs().amax(1, keepdim=True).clamp_min(1e-30)
        grid = images.float().reshape(*settings.sheet, -1)
        rows = {f"row {i + 1}": row for i, row in enumerate(grid)}
        made += rows_of(title, f"{caption} Each on a scale of its own.", rows, test, None)
    return made


def epochs(settings: TICASettings) -> Mapping[str, int]:
    """One phase."""
    return {"sheet": settings.epochs}


def stages(settings: TICASettings) -> tuple[str, ...]:
    """Whitened values and pooled energies."""
    return ("whiten", "energies")


ENTRY = Recipe(
    settings=TICASettings(),
    examples=patches_from,
    untrained=untrained,
    epochs=epochs,
    train=train,
    stages=stages,
    labelled=False,
    pictures=pictures,
)
