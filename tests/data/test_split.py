"""Examples to train on and to test on, from each kind of file and folder."""

import struct

import numpy as np
import pytest
import torch
from PIL import Image

from nakami import data
from nakami.results import UsageError

BYTES = np.random.default_rng(0).integers(0, 256, (12, 6, 6), dtype=np.uint8)
LABELS = np.arange(12, dtype=np.uint8) % 3


def write_idx(path, array):
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    path.write_bytes(head + array.tobytes())


def write_mnist(folder, *stems):
    folder.mkdir(exist_ok=True)
    for stem in stems:
        write_idx(folder / f"{stem}-images-idx3-ubyte", BYTES)
        write_idx(folder / f"{stem}-labels-idx1-ubyte", LABELS)
    return folder


def write_pictures(folder, size=(6, 6), mode="L", names=("a/0", "a/1", "b/2")):
    for i, name in enumerate(names):
        file = folder / f"{name}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(BYTES[i]).resize(size).convert(mode).save(file)
    return folder


def test_a_folder_of_idx_files_has_a_test_part_where_its_files_are_there(tmp_path):
    both = data.read_split(write_mnist(tmp_path / "both", "train", "t10k"))
    assert [len(part) for part in both] == [12, 12]
    assert [part.source for part in both] == [f"12 {s} pictures of both" for s in ("train", "test")]
    train, test = data.read_split(write_mnist(tmp_path / "one", "train"))
    assert test is None
    assert torch.equal(train.inputs[:, 0], torch.from_numpy(BYTES / np.float32(255)))
    assert train.labels.tolist() == LABELS.tolist()


def test_pictures_are_taken_as_they_are_with_labels_by_folder(tmp_path):
    train, test = data.read_split(write_pictures(tmp_path / "grey"))
    assert test is None
    assert torch.equal(train.inputs[:, 0], torch.from_numpy(BYTES[:3] / np.float32(255)))
    assert train.labels.tolist() == [0, 0, 1]
    assert train.source.endswith("2 classes by folder")
    colour, _ = data.read_split(write_pictures(tmp_path / "colour", mode="RGB"))
    assert colour.inputs.shape == (3, 3, 6, 6)
    grey, _ = data.read_split(tmp_path / "colour", mode="grey", size=4)
    assert grey.inputs.shape == (3, 1, 4, 4)
    loose, _ = data.read_split(write_pictures(tmp_path / "loose", names=("x", "y")))
    assert loose.labels is None


def test_folders_train_and_test_are_two_parts(tmp_path):
    write_pictures(tmp_path / "p" / "train")
    write_pictures(tmp_path / "p" / "test", names=("a/0", "b/1"))
    train, test = data.read_split(tmp_path / "p")
    assert (train.labels.tolist(), test.labels.tolist()) == ([0, 0, 1], [0, 1])


def test_classes_of_the_test_part_are_those_of_the_training_part(tmp_path):
    write_pictures(tmp_path / "p" / "train", names=("ape/0", "bee/1", "cat/2"))
    write_pictures(tmp_path / "p" / "test", names=("cat/3", "bee/4"))
    train, test = data.read_split(tmp_path / "p")
    assert train.classes == test.classes == ("ape", "bee", "cat")
    assert [test.classes[label] for label in test.labels] == ["bee", "cat"]
    write_pictures(tmp_path / "one", names=("cat/5", ".thumbnails/cat"))  # hidden: no class
    one, _ = data.read_split(tmp_path / "one", classes=train.classes)
    assert one.labels.tolist() == [2]
    write_pictures(tmp_path / "p" / "test", names=("dog/6",))
    message = "path must hold folders of the classes to train on, ape, bee, cat, got dog"
    for folder, classes in (("p", ()), ("p/test", train.classes)):
        with pytest.raises(UsageError, match=message):
            data.read_split(tmp_path / folder, classes=classes)


def test_one_part_alone_is_no_class(tmp_path):
    write_pictures(tmp_path / "p" / "train")
    alone, test = data.read_split(tmp_path / "p")
    assert (alone.labels.tolist(), alone.classes, test) == ([0, 0, 1], ("a", "b"), None)
    write_pictures(tmp_path / "p" / "Testing", names=("b/0",))
    assert data.read_split(tmp_path / "p")[1].labels.tolist() == [1]
    write_pictures(tmp_path / "ways", names=("plane/0", "train/1"))
    assert data.read_split(tmp_path / "ways")[0].classes == ("plane", "train")
    found, none = data.read_split(write_mnist(tmp_path / "mnist", "t10k"))
    assert (found.source, none) == ("12 test pictures of mnist", None)
    (tmp_path / "mnist" / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(UsageError, match="path must be a folder with t10k-labels-idx1-ubyte"):
        data.read_split(tmp_path / "mnist")


def test_of_several_test_parts_that_called_test_is_taken(tmp_path):
    write_pictures(tmp_path / "p" / "train")
    for i, name in enumerate(("aval", "val", "test", "validation"), 1):
        write_pictures(tmp_path / "p" / name, names=[f"a/{k}" for k in range(i)])
    assert data.read_split(tmp_path / "p")[1].source.startswith("3 pictures of test")
    parts = {f"x_{name}": BYTES[:n] for n, name in enumerate(("val", "test", "train"), 2)}
    np.savez(tmp_path / "x.npz", **parts)
    assert [len(part) for part in data.read_split(tmp_path / "x.npz")] == [4, 3]


@pytest.mark.parametrize(("size", "other"), [((6, 6), (5, 5)), ((6, 4), (6, 4))])
def test_pictures_of_several_sizes_or_not_square_need_a_size(tmp_path, size, other):
    write_pictures(tmp_path / "p", size)
    write_pictures(tmp_path / "p", other, names=("z",))
    shown = "5 x 5, 6 x 6" if size == (6, 6) else "6 x 4"
    message = f"size must be given where pictures differ in size or are not square, got {shown}"
    with pytest.raises(UsageError, match=f"{message}; write size=28."):
        data.read_split(tmp_path / "p")
    assert data.read_split(tmp_path / "p", size=4)[0].inputs.shape[2:] == (4, 4)


def test_an_npz_may_hold_both_parts(tmp_path):
    pixels, labels = BYTES[:, None], LABELS.astype(np.int64)
    parts = {"x_train": pixels, "y_train": labels, "x_test": pixels[:5], "y_test": labels[:5]}
    np.savez(tmp_path / "both.npz", **parts)
    train, test = data.read_split(tmp_path / "both.npz")
    assert (len(train), len(test)) == (12, 5)
    assert test.labels.tolist() == labels[:5].tolist()
    np.savez(tmp_path / "one.npz", x=pixels)
    found, none = data.read_split(tmp_path / "one.npz")
    assert none is None
    assert found.labels is None
