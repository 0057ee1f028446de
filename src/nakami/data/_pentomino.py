"""Pentomino pictures: whether three sprites are of one type, with the type in each patch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from nakami.results import PIXEL, check_at_least, check_seed, wrong

from ._examples import Examples, plain_picture

SPRITES = {  # rows from top to bottom, x is on
    "L": "x. x. x. xx",
    "J": ".x .x .x xx",
    "N": ".x .x xx x.",
    "N2": "x. x. xx .x",
    "P": "xx xx x.",
    "Q": "xx xx .x",
    "F": ".xx xx. .x.",
    "F2": "xx. .xx .x.",
    "Y": ".x xx .x .x",
    "Y2": "x. xx x. x.",
}
SIDE, SHOWN = 8, 3  # pixels of a patch, sprites in a picture
PENTOMINO_TYPES = tuple(SPRITES)
CLASSES = ("different", "same")
WAY_OUT = "make some with data.pentominoes(1000)"


@dataclass(frozen=True)
class Pentominoes:
    """Pictures of ``grid x grid`` patches of 8 x 8 pixels, three of which hold a sprite.

    Attributes:
        pictures: ``(N, 1, 8 grid, 8 grid)``, zeros and ones.
        targets: ``(N,)`` int64: 1 where all three sprites are of one type, else 0.
        patches: ``(N, grid^2)`` int64, row by row: 0 an empty patch, else 1 + the sprite's type.
        types: Names of the types 0, 1, ...
        seed: Of the draws.
    """

    pictures: Tensor
    targets: Tensor
    patches: Tensor
    types: tuple[str, ...]
    seed: int

    def __len__(self) -> int:
        return len(self.targets)

    def examples(self, noun: str = "picture") -> Examples:
        """Pictures with their targets as labels."""
        names = tuple(f"{noun} {i}" for i in range(len(self)))
        source = f"{len(self):,} Pentomino pictures made from seed {self.seed}"
        given: dict[str, Any] = plain_picture(1)
        return Examples(
            self.pictures, self.targets, names, PIXEL, source, given, "picture", CLASSES
        )

    def cut(self) -> Tensor:
        """All patches, ``(N, grid^2, 1, 8, 8)``, in the order of ``patches``."""
        return pentomino_cells(self.pictures)


def pentomino_cells(pictures: Tensor) -> Tensor:
    """Patches row by row, ``(N, 1, H, W) -> (N, H W / 64, 1, 8, 8)``."""
    cells = pictures.unfold(2, SIDE, SIDE).unfold(3, SIDE, SIDE)
    return cells.reshape(len(pictures), -1, 1, SIDE, SIDE)


def pentominoes(n: int, *, grid: int = 8, seed: int = 0) -> Pentominoes:
    """Pictures with three sprites, all of one type or two of one and one of another.

    Types, quarter turns, scales 1 or 2, three different patches and the places in them are drawn
    uniformly; a picture has one type with probability 1/2. The program of the authors draws patches
    with replacement and checks for collisions.

    Args:
        n: How many.
        grid: Patches along a side, 2 or more; theirs has 8. Fewer make an easier task.
        seed: Decides all that is random.

    Source: Gulcehre & Bengio, "Knowledge matters: importance of prior information for
    optimization", arXiv 1301.4083.
    """
    n = check_at_least("n", n, 1, "pass n=1000")
    g = torch.Generator().manual_seed(check_seed(seed))
    grid = check_at_least("grid", grid, 2, "pass grid=8")
    targets, types = _types(n, g)
    where = torch.rand(n, grid * grid, generator=g).argsort(1)[:, :SHOWN]
    bank, size = _bank()
    turns = torch.randint(4, (n, SHOWN), generator=g)
    scales = torch.randint(2, (n, SHOWN), generator=g)
    free = SIDE - size[types, turns, scales] + 1  # (n, 3, 2), places along both axes
    shift = (torch.rand(n, SHOWN, 2, generator=g) * free).long().minimum(free - 1)
    drawn = _shifted(bank[types, turns, scales], shift)
    patches = torch.zeros(n, grid * grid, dtype=torch.long).scatter_(1, where, types + 1)
    cells = torch.zeros(n, grid * grid, SIDE, SIDE)
    cells[torch.arange(n)[:, None], where] = drawn
    cells = cells.reshape(n, grid, grid, SIDE, SIDE).transpose(2, 3)
    pictures = cells.reshape(n, 1, grid * SIDE, grid * SIDE)
    return Pentominoes(pictures, targets, patches, PENTOMINO_TYPES, seed)


def _types(n: int, g: torch.Generator) -> tuple[Tensor, Tensor]:
    """Targets ``(n,)`` and types of the three sprites ``(n, 3)``, the odd one last."""
    targets = torch.randint(2, (n,), generator=g)
    one = torch.randint(len(SPRITES), (n,), generator=g)
    other = (one + torch.randint(1, len(SPRITES), (n,), generator=g)) % len(SPRITES)
    return targets, torch.stack([one, one, torch.where(targets == 1, one, other)], 1)


@cache
def _bank() -> tuple[Tensor, Tensor]:
    """Sprites by type, quarter turns and scale, ``(10, 4, 2, 8, 8)``, and sizes ``(10, 4, 2, 2)``.

    Each lies in the top left corner of its patch.
    """
    bank = torch.zeros(len(SPRITES), 4, 2, SIDE, SIDE)
    size = torch.zeros(len(SPRITES), 4, 2, 2, dtype=torch.long)
    for kind, text in enumerate(SPRITES.values()):
        sprite = torch.tensor([[float(c == "x") for c in row] for row in text.split()])
        for turn in range(4):
            turned = torch.rot90(sprite, turn)
            for scale in range(2):
                made = turned.repeat_interleave(scale + 1, 0).repeat_interleave(scale + 1, 1)
                bank[kind, turn, scale, : made.shape[0], : made.shape[1]] = made
                size[kind, turn, scale] = torch.tensor(made.shape)
    return bank, size


def _shifted(cells: Tensor, shift: Tensor) -> Tensor:
    """Cells ``(..., 8, 8)`` moved down and right by ``(..., 2)``, nothing coming in."""
    around = F.pad(cells, [SIDE, 0, SIDE, 0])
    along = torch.arange(SIDE) + SIDE
    rows = (along - shift[..., :1])[..., :, None].expand(*cells.shape[:-1], 2 * SIDE)
    columns = (along - shift[..., 1:])[..., None, :].expand(cells.shape)
    return around.gather(-2, rows).gather(-1, columns)


def pentomino_patches(pictures: Tensor) -> Tensor:
    """What the patches of Pentomino pictures hold, from their pixels by looking it up.

    Args:
        pictures: ``(N, 1, H, W)``, sides multiples of 8; a pixel is on from 0.5 on.

    Returns:
        As ``Pentominoes.patches``, ``(N, H W / 64)``.

    Raises:
        UsageError: Sides that are none, or a patch that is neither empty nor one of the sprites.
    """
    if pictures.ndim != 4 or pictures.shape[1] != 1 or any(n % SIDE for n in pictures.shape[2:]):
        rule, way_out = "be (N, 1, H, W) with sides that are multiples of 8", WAY_OUT
        raise wrong("pictures", rule, tuple(pictures.shape), way_out)
    cells = pentomino_cells(pictures).flatten(2) >= 0.5  # (N, patches, 64)
    keys = (cells.long() << torch.arange(SIDE * SIDE)).sum(2)  # all 64 bits of an int64
    known, kinds = _known()
    place = torch.searchsorted(known, keys).clamp_max(len(known) - 1)
    found = known[place] == keys
    if not found.all():
        row, patch = (~found).nonzero()[0].tolist()
        rule = "hold in each patch of 8 x 8 pixels nothing or one of the ten sprites"
        raise wrong("pictures", rule, f"another in patch {patch} of picture {row}", WAY_OUT)
    return kinds[place]


@cache
def _known() -> tuple[Tensor, Tensor]:
    """Every patch there is as a whole number, sorted, and what it holds."""
    bank, size = _bank()
    cells, kinds = [torch.zeros(1, SIDE, SIDE)], [0]
    for kind, turn, scale in product(range(len(SPRITES)), range(4), range(2)):
        height, width = (SIDE - size[kind, turn, scale] + 1).tolist()
        shift = torch.cartesian_prod(torch.arange(height), torch.arange(width)).reshape(-1, 2)
        cells.append(_shifted(bank[kind, turn, scale].expand(len(shift), SIDE, SIDE), shift))
        kinds += [kind + 1] * len(shift)
    bits = torch.cat(cells).flatten(1) >= 0.5
    keys, order = (bits.long() << torch.arange(SIDE * SIDE)).sum(1).sort()
    return keys, torch.tensor(kinds)[order]
