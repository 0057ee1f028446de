"""Examples with their targets, from files that users have and files that users break."""

import gzip
import struct

import numpy as np
import pytest
import torch

from nakami import data
from nakami.results import UsageError

rng = np.random.default_rng(0)
X = rng.normal(size=(20, 3)).astype(np.float32)
Y = np.arange(20) % 4


def save(folder, **arrays):
    np.savez(folder / "d.npz", **arrays)
    return folder / "d.npz"


def test_npz_in_random_order_with_its_labels(tmp_path):
    path = save(tmp_path, x=X, y=Y)
    found = data.read_labelled(path, 7, seed=1)
    assert found.targets.dtype == torch.int64
    for x, y in zip(found.inputs, found.targets, strict=True):
        row = int(np.flatnonzero((x.numpy() == X).all(1))[0])
        assert Y[row] == y
    whole = data.read_labelled(path, seed=1)
    assert torch.equal(whole.inputs[:7], found.inputs)
    assert sorted(whole.targets.tolist()) == sorted(Y.tolist())
    assert not torch.equal(data.read_labelled(path, seed=2).inputs, whole.inputs)
    assert found.source == "7 of 20 examples of d.npz"


def test_global_random_state_is_not_touched(tmp_path):
    path = save(tmp_path, x=X, y=Y)
    before = torch.get_rng_state()
    data.read_labelled(path)
    assert torch.equal(torch.get_rng_state(), before)


def test_names_of_arrays(tmp_path):
    path = save(tmp_path, x=X, y=Y, x_test=X[:5], y_test=Y[:5] + 1, other=Y + 7, mean=X * 2)
    assert sorted(data.read_labelled(path, key="x_test").targets) == sorted(Y[:5] + 1)
    assert min(data.read_labelled(path, labels="other").targets) == 7
    found = data.read_labelled(path, labels="mean")
    torch.testing.assert_close(found.targets, 2 * found.inputs)
    assert found.targets.dtype == torch.float32


def test_tokens_stay_whole(tmp_path):
    tokens = rng.integers(0, 50, (6, 8))
    found = data.read_labelled(save(tmp_path, x=tokens, y=tokens[:, ::-1]))
    assert (found.inputs.dtype, found.unit) == (torch.int64, "token")
    assert torch.equal(found.targets, found.inputs.flip(1))


def test_bytes_are_pixels_and_batches_keep_pairs(tmp_path):
    pixels = rng.integers(0, 256, (9, 1, 4, 4), dtype=np.uint8)
    found = data.read_labelled(save(tmp_path, images=pixels, labels=np.arange(9)))
    assert found.unit == "pixel, 0 to 1"
    parts = found.batches(4)
    assert [len(y) for _, y in parts] == [4, 4, 1]
    for x, y in parts:
        np.testing.assert_allclose(x, pixels[y.numpy()] / 255, atol=1e-7)


def test_idx_beside_its_labels(tmp_path):
    def idx(array):
        head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
        return gzip.compress(head + array.tobytes())

    pixels = np.arange(5, dtype=np.uint8)[:, None, None] * np.ones((1, 2, 2), np.uint8)
    images = tmp_path / "some-images-idx3-ubyte.gz"
    images.write_bytes(idx(pixels))
    with pytest.raises(UsageError, match=r"data must hold labels \(some-labels-idx1-ubyte\.gz\)"):
        data.read_labelled(images)
    (tmp_path / "some-labels-idx1-ubyte.gz").write_bytes(idx(np.arange(5, dtype=np.uint8)))
    found = data.read_labelled(images, 3)
    torch.testing.assert_close(found.inputs[:, 0, 0, 0] * 255, found.targets.float())


def test_folders_are_classes(tmp_path):
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    for shade, name in enumerate(("dog", "ant", "cat")):
        (tmp_path / "p" / name).mkdir(parents=True)
        for i in range(3):
            image.new("L", (4, 4), 80 * shade).save(tmp_path / "p" / name / f"{i}.png")
    found = data.read_labelled(tmp_path / "p", 8, size=4, mode="grey")
    assert found.classes == ("ant", "cat", "dog")
    shades = {"dog": 0.0, "ant": 80 / 255, "cat": 160 / 255}
    wanted = torch.tensor([shades[found.classes[i]] for i in found.targets])
    torch.testing.assert_close(found.inputs[:, 0, 0, 0], wanted)
    assert len(set(found.targets.tolist())) == 3  # not the first class alone
    image.new("L", (4, 4)).save(tmp_path / "p" / "loose.png")
    with pytest.raises(UsageError, match=r"a folder of pictures for each class, got loose\.png"):
        data.read_labelled(tmp_path / "p", size=4, mode="grey")
    (tmp_path / "q" / "one").mkdir(parents=True)
    image.new("L", (4, 4)).save(tmp_path / "q" / "one" / "a.png")
    with pytest.raises(UsageError, match="two classes or more, got the folder one alone"):
        data.read_labelled(tmp_path / "q", size=4)


@pytest.mark.parametrize("name", ["x", "y"])
def test_what_is_not_finite_is_named_by_its_row_of_the_file(tmp_path, name):
    arrays = {"x": X.copy(), "y": X.copy()}
    arrays[name][[3, 11], 1] = np.nan
    path = save(tmp_path, **arrays)
    words = r"NaN or infinity in 2 of 20 examples \(first: row 3, counted from 0\)"
    for seed in range(3):
        with pytest.raises(UsageError, match=words):
            data.read_labelled(path, seed=seed)


WRONG = {
    "no labels": ({"x": X}, {}, r"must hold labels, got arrays x; name one of them: labels=NAME"),
    "no inputs": ({"a": X, "b": X, "y": Y}, {}, r"must hold inputs, got arrays a, b, y"),
    "unknown key": ({"x": X, "y": Y}, {"key": "z"}, r"must hold 'z', got arrays x, y"),
    "unknown labels": ({"x": X, "y": Y}, {"labels": "z"}, r"must hold 'z', got arrays x, y"),
    "fewer": ({"x": X, "y": Y[:3]}, {}, r"'y' in .* must hold 20 targets, one for each"),
    "empty": ({"x": X[:0], "y": Y[:0]}, {}, r"along axis 0 of 'x', .*got shape \(0, 3\)"),
    "text": ({"x": X, "y": Y.astype(str)}, {}, r"'y' in .* must hold numbers, got dtype <U"),
    "nan": ({"x": X, "y": X * np.nan}, {}, r"'y' in .* must hold finite numbers"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arrays(tmp_path, case):
    arrays, options, message = WRONG[case]
    with pytest.raises(UsageError, match=message):
        data.read_labelled(save(tmp_path, **arrays), **options)


def test_files_without_labels(tmp_path):
    np.save(tmp_path / "x.npy", X)
    with pytest.raises(UsageError, match=r"data must hold labels, got x\.npy; give an \.npz"):
        data.read_labelled(tmp_path / "x.npy")
    with pytest.raises(UsageError, match=r"labels must come with an \.npz.*got x\.npy"):
        data.read_labelled(tmp_path / "x.npy", labels="y")
    (tmp_path / "b.npz").write_bytes(b"no")
    with pytest.raises(UsageError, match="start like a NumPy file"):
        data.read_labelled(tmp_path / "b.npz")


@pytest.mark.parametrize("n", [0, -1, 2.5, True])
def test_a_number_that_is_none_is_refused(tmp_path, n):
    path = save(tmp_path, x=X, y=Y)
    for read in (data.read, data.read_labelled):
        with pytest.raises(UsageError, match=f"n must be a whole number from 1 on, got {n}; pass"):
            read(path, n)
    with pytest.raises(UsageError, match="n must be a whole number from 1 on"):
        data.with_targets(data.digits(), n)


def test_numbers_of_any_library_are_taken(tmp_path):
    path = save(tmp_path, x=X, y=Y)
    for n in (np.int64(4), torch.tensor(4)):
        assert len(data.read(path, n)) == len(data.read_labelled(path, n)) == 4


def test_examples_without_labels_are_refused(tmp_path):
    np.save(tmp_path / "x.npy", X)
    with pytest.raises(UsageError, match=r"examples must have labels, got none \(20 examples of x"):
        data.with_targets(data.read(tmp_path / "x.npy"))


def test_both_readers_pair_the_same_arrays(tmp_path):
    path = save(tmp_path, x=X, y=Y, x_test=X[:5], y_test=Y[:5] + 1)
    found = data.read(path, key="x_test")
    assert found.labels.tolist() == (Y[:5] + 1).tolist()


def test_targets_that_int64_cannot_hold(tmp_path):
    np.savez(tmp_path / "x.npz", x=np.zeros((2, 2)), y=np.array([1, 2**63], dtype=np.uint64))
    with pytest.raises(UsageError, match=r"'y' in .* must be below 2\^63, got 9223372036854775808"):
        data.read_labelled(tmp_path / "x.npz")


def test_labels_that_repeat_the_tokens_are_those_that_follow(tmp_path):
    ids, mask = rng.integers(0, 50, (6, 5)), np.ones((6, 5), int)
    labels = ids.copy()
    labels[2, 3:], mask[2, 3:] = -100, 0
    path = save(tmp_path, input_ids=ids, attention_mask=mask, labels=labels)
    found = data.read_labelled(path)
    assert found.source.endswith("d.npz, labels shifted by one, the token that follows")
    for row, keep, target in zip(*found.inputs.values(), found.targets, strict=True):
        i = int(np.flatnonzero((ids[:, :-1] == row.numpy()).all(1))[0])
        np.testing.assert_array_equal(target, labels[i, 1:])
        np.testing.assert_array_equal(keep, mask[i, :-1])
    whole = data.read_labelled(save(tmp_path, x=ids, y=ids))  # a network that copies
    assert torch.equal(whole.inputs, whole.targets)
