"""Dead leaves, patches and whitening."""

import pytest
import torch
from torch.testing import assert_close

from nakami import data
from nakami.results import UsageError


def test_dead_leaves_repeat_and_cover_the_picture():
    before = torch.get_rng_state()
    one, again, other = (data.dead_leaves(3, size=32, seed=s) for s in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(one.inputs, again.inputs)
    assert not torch.equal(one.inputs, other.inputs)
    assert one.inputs.shape == (3, 1, 32, 32)
    assert 0 <= one.inputs.min() < 0.2 < 0.8 < one.inputs.max() <= 1
    assert len(one.inputs.unique()) > 20
    assert (one.inputs == 0.5).double().mean() < 0.02


@pytest.mark.parametrize(("size", "radii"), [(96, (3, 12)), (40, (6, 6))])
def test_leaves_cover_pictures_much_larger_than_they_are(size, radii):
    one = data.dead_leaves(1, size=size, radii=radii).inputs
    assert (one == 0.5).double().mean() < 0.02


def test_dead_leaves_have_the_spectrum_of_photographs():
    """Power falls about as the square of the frequency, alike along both axes."""
    pictures = data.dead_leaves(40, size=64).inputs[:, 0].double()
    power = torch.fft.fft2(pictures - pictures.mean((1, 2), keepdim=True)).abs().square().mean(0)
    cycles = torch.arange(3, 13, dtype=torch.float64).log()
    for line in (power[3:13, 0], power[0, 3:13]):
        slope = torch.linalg.lstsq(
            torch.stack([cycles, torch.ones(10, dtype=torch.float64)], 1), line.log()[:, None]
        ).solution[0]
        assert -3.2 < float(slope) < -1.5


def test_patches_are_parts_of_their_pictures():
    pictures = data.dead_leaves(4, size=20)
    cut = data.patches(pictures, 30, 6, seed=2)
    assert cut.inputs.shape == (30, 1, 6, 6)
    for patch, name in zip(cut.inputs, cut.names, strict=True):
        whole = pictures.inputs[int(name.split()[-1])]
        parts = whole.unfold(1, 6, 1).unfold(2, 6, 1)
        assert (parts == patch[:, None, None]).all((3, 4)).any()
    assert len({name.split()[-1] for name in cut.names}) == 4
    assert torch.equal(data.patches(pictures, 30, 6, seed=2).inputs, cut.inputs)


def mixed(n=500, d=6):
    g = torch.Generator().manual_seed(0)
    x = torch.randn(n, d, generator=g, dtype=torch.float64)
    return x @ torch.randn(d, d, generator=g, dtype=torch.float64) + 3


@pytest.mark.parametrize("kind", ["pca", "zca"])
def test_whitened_values_are_uncorrelated_and_come_back(kind):
    x = mixed()
    white = data.whitening(x, kind=kind)
    z = white(x)
    assert_close(z.T @ z / len(z), torch.eye(6, dtype=x.dtype))
    assert_close(white.inverse(z), x)
    assert_close(white.layer()(x), z)
    assert not any(p.requires_grad for p in white.layer().parameters())
    few = data.whitening(x, 3, kind=kind)
    onto = torch.linalg.eigh(torch.cov(x.T))[1][:, -3:]  # the three directions kept
    assert_close(few.back @ few.matrix, onto @ onto.T)
    assert_close(few.matrix @ few.back, torch.eye(3).to(x) if kind == "pca" else onto @ onto.T)
    assert_close(white.variances, torch.linalg.eigvalsh(torch.cov(x.T, correction=0)).flip(0))


def test_zca_turns_least_and_pca_does_not_mix():
    x = mixed()
    zca, pca = (data.whitening(x, kind=kind) for kind in ("zca", "pca"))
    assert_close(zca.matrix, zca.matrix.T)
    centred = x - x.mean(0)
    assert (zca(x) - centred).norm() < (pca(x) - centred).norm()
    assert_close(pca.matrix @ pca.matrix.T, torch.diag(1 / pca.variances))


def test_eps_holds_directions_without_variance_down():
    x = mixed()
    x = torch.cat([x, x[:, :1]], 1)  # one value twice
    with pytest.raises(UsageError, match="components must be at most 6, the directions in which"):
        data.whitening(x)
    white = data.whitening(x, eps=0.01)
    assert_close(white.inverse(white(x)), x)
    assert white(x).square().mean(0).max() < 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: data.whitening(mixed(), kind="ica"), "kind must be one of pca, zca, got 'ica'"),
        (lambda: data.whitening(mixed(), 9), "components must be a whole number from 1 to 6"),
        (lambda: data.whitening(mixed(), eps=-1), "eps must be a number from 0 on, got -1"),
        (lambda: data.whitening(mixed().float() / 0), "x must be finite, got NaN or infinity"),
        (lambda: data.whitening(torch.ones(5, 3)), "x must hold rows that differ, got 5 alike"),
        (lambda: data.whitening(torch.ones(1, 3), eps=0.1), "x must hold rows that differ"),
        (
            lambda: data.whitening(torch.arange(6).reshape(3, 2)),
            r"x must be a floating tensor \(N, ...\) with rows, got torch.int64 of shape \(3, 2\)",
        ),
        *(
            (lambda r=radii: data.dead_leaves(1, radii=r), "radii must be the least and the great")
            for radii in [(0, 4), (8, 4), (4, float("nan")), 4, (1, 2, 3), ("a", "b")]
        ),
        (
            lambda: data.patches(data.dead_leaves(1, size=8)[:0], 5, 3),
            r"examples must hold pictures, got shape \(0, 1, 8, 8\)",
        ),
        (
            lambda: data.patches(torch.rand(2, 9, 9), 5, 3),
            "examples must be Examples, or a list of picture files, got Tensor",
        ),
        (lambda: data.dead_leaves(0), "n must be a whole number from 1 on, got 0"),
        (
            lambda: data.patches(data.dead_leaves(1, size=8), 5, 9),
            "size must be at most the shorter side of the pictures, 8, got 9",
        ),
    ],
)
def test_wrong_use_is_refused_in_a_sentence(call, message):
    with pytest.raises(UsageError, match=message):
        call()


def written(folder, sizes, mode="L"):
    """Pictures of these widths and heights, random bytes; their pixels by name."""
    pillow = pytest.importorskip("PIL.Image")
    g, found = torch.Generator().manual_seed(3), {}
    for i, (width, height) in enumerate(sizes):
        shape = (height, width) if mode == "L" else (height, width, 3)
        array = torch.randint(256, shape, generator=g, dtype=torch.uint8)
        folder.mkdir(parents=True, exist_ok=True)
        pillow.fromarray(array.numpy(), mode).save(folder / f"{i}.png")
        found[f"{i}.png"] = (array if mode == "RGB" else array[..., None]).movedim(-1, 0) / 255
    return found


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_patches_of_files_are_parts_of_pictures_of_any_size(tmp_path, mode):
    pixels = written(tmp_path, [(30, 20), (9, 40), (12, 12)], mode)
    cut = data.patches(sorted(tmp_path.glob("*.png")), 60, 8)
    assert cut.inputs.shape == (60, 1 if mode == "L" else 3, 8, 8)
    places = {name: [] for name in pixels}
    for patch, name in zip(cut.inputs, cut.names, strict=True):
        windows = pixels[name.split()[-1]].unfold(1, 8, 1).unfold(2, 8, 1)
        where = (windows == patch[:, None, None]).all(-1).all(-1).all(0).nonzero()
        assert len(where) == 1
        places[name.split()[-1]].append(tuple(where[0].tolist()))
    assert all(len(found) > 10 for found in places.values())
    top, left = zip(*places["0.png"], strict=True)
    assert max(top) > 8  # of 0 to 12
    assert max(left) > 15  # of 0 to 22


def test_files_of_one_size_give_the_patches_that_the_pictures_read_give(tmp_path):
    written(tmp_path, [(20, 20)] * 5)
    read = data.read(tmp_path, size=20, mode="grey")
    files = sorted(tmp_path.glob("*.png"))
    cut, wanted = data.patches(files, 40, 6, seed=4), data.patches(read, 40, 6, seed=4)
    assert torch.equal(cut.inputs, wanted.inputs)
    assert cut.names == wanted.names
    assert (cut.unit, cut.picture) == (wanted.unit, wanted.picture)


def test_files_that_give_no_patches_are_refused(tmp_path):
    written(tmp_path, [(20, 20), (30, 7)])
    files = sorted(tmp_path.glob("*.png"))
    message = "examples must hold pictures of 8 x 8 pixels or more, got 1.png of 30 x 7; leave"
    with pytest.raises(UsageError, match=message):
        data.patches(files, 5, 8)
    with pytest.raises(UsageError, match="examples must hold pictures, got no file"):
        data.patches([], 5, 8)
    with pytest.raises(UsageError, match="or a list of picture files, got str"):
        data.patches(str(files[0]), 5, 8)
    with pytest.raises(UsageError, match="mode 'blue' is unknown"):
        data.patches(files[:1], 5, 8, mode="blue")
    with pytest.raises(UsageError, match="mode must be left out, as it is for files"):
        data.patches(data.dead_leaves(1, size=20), 5, 8, mode="grey")
