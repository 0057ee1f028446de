"""Pentomino pictures against the sprites drawn by hand, their symmetries and their counts."""

import numpy as np
import pytest
import torch

from nakami import data
from nakami.data._pentomino import SPRITES
from nakami.results import UsageError

SHAPES = {
    name: np.array([[c == "x" for c in row] for row in text.split()])
    for name, text in SPRITES.items()
}


def turned(shape):
    """All quarter turns, as hashable arrays."""
    return {(t.shape, t.tobytes()) for t in (np.rot90(shape, k).copy() for k in range(4))}


@pytest.fixture(scope="module")
def made():
    return data.pentominoes(2000, seed=3)


def test_no_two_types_coincide_under_rotation():
    names = list(SHAPES)
    assert len(names) == 10
    assert all(shape.sum() == 5 for shape in SHAPES.values())
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            assert not turned(SHAPES[a]) & turned(SHAPES[b]), (a, b)


def test_five_pairs_are_mirror_images():
    pairs = {
        frozenset((a, b))
        for a in SHAPES
        for b in SHAPES
        if turned(SHAPES[a][:, ::-1]) & turned(SHAPES[b])
    }
    assert pairs == {frozenset(p) for p in (("L", "J"), ("N", "N2"), ("P", "Q"), ("F", "F2"),
                                            ("Y", "Y2"))}  # fmt: skip


def test_each_patch_holds_its_sprite_or_nothing(made):
    bounds = {}
    for name, shape in SHAPES.items():
        for k in range(4):
            for scale in (1, 2):
                sprite = np.kron(np.rot90(shape, k), np.ones((scale, scale)))
                bounds[sprite.shape, sprite.astype(bool).tobytes()] = name
    seen = set()
    for picture, labels in zip(made.pictures[:200].numpy(), made.patches[:200].tolist(),
                               strict=True):  # fmt: skip
        for place, label in enumerate(labels):
            y, x = divmod(place, 8)
            cell = picture[0, 8 * y : 8 * y + 8, 8 * x : 8 * x + 8] > 0
            if not label:
                assert not cell.any()
                continue
            rows, columns = np.flatnonzero(cell.any(1)), np.flatnonzero(cell.any(0))
            box = cell[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            key = box.shape, np.ascontiguousarray(box).tobytes()
            assert bounds[key] == made.types[label - 1]
            seen.add((key, rows[0], columns[0]))
    assert len({key for key, _, _ in seen}) == 80  # every type, turn and scale
    assert {int(first) for _, first, _ in seen} == set(range(7))


def test_targets_are_balanced_and_say_what_the_patches_hold(made):
    assert (made.patches > 0).sum(1).eq(3).all()
    distinct = [len(set(row[row > 0].tolist())) for row in made.patches]
    assert [int(d == 1) for d in distinct] == made.targets.tolist()
    assert set(distinct) == {1, 2}
    n = len(made)
    assert abs(int(made.targets.sum()) - n / 2) < 4 * (n / 4) ** 0.5
    each = torch.bincount(made.patches.flatten(), minlength=11)[1:]
    assert (each - 3 * n / 10).abs().max() < 6 * (3 * n / 10) ** 0.5
    of_places = (made.patches > 0).sum(0)
    assert (of_places - 3 * n / 64).abs().max() < 5 * (3 * n / 64) ** 0.5


def test_the_same_seed_gives_the_same_pictures_and_patches_are_cut_in_order(made):
    again, other = data.pentominoes(2000, seed=3), data.pentominoes(2000, seed=4)
    assert torch.equal(again.pictures, made.pictures)
    assert not torch.equal(other.pictures, made.pictures)
    cells = made.cut()
    assert cells.shape == (2000, 64, 1, 8, 8)
    assert torch.equal(cells[5, 10, 0], made.pictures[5, 0, 8:16, 16:24])
    assert torch.equal(cells.flatten(2).any(2), made.patches > 0)
    examples = made.examples("test picture")
    assert examples.classes == ("different", "same")
    assert examples.names[1] == "test picture 1"


def test_a_wrong_count_is_refused():
    with pytest.raises(UsageError, match="n must be"):
        data.pentominoes(0)
    with pytest.raises(UsageError, match="grid must be"):
        data.pentominoes(1, grid=1)


@pytest.mark.parametrize("grid", [2, 8])
def test_patches_are_read_from_the_pixels(grid):
    made = data.pentominoes(500, grid=grid, seed=1)
    assert made.pictures.shape == (500, 1, 8 * grid, 8 * grid)
    assert torch.equal(data.pentomino_patches(made.pictures), made.patches)
    other = made.pictures.clone()
    other[3, 0, :8, :8] = 0
    other[3, 0, 0, 0] = 1  # a single pixel
    with pytest.raises(UsageError, match="one of the ten sprites, got another in patch 0 of"):
        data.pentomino_patches(other)
    with pytest.raises(UsageError, match="sides that are multiples of 8"):
        data.pentomino_patches(other[:, :, 1:])
