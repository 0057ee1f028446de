"""Files that users have, and files that users break."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from nakami import data
from nakami.results import UsageError

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
rng = np.random.default_rng(0)
BYTES = rng.integers(0, 256, (5, 6, 7), dtype=np.uint8)


def idx(array, code=8):
    head = bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.tobytes()


@pytest.mark.parametrize("packed", [False, True])
def test_idx_with_its_labels(tmp_path, packed):
    end, pack = (".gz", gzip.compress) if packed else ("", bytes)
    images = tmp_path / f"some-images-idx3-ubyte{end}"
    images.write_bytes(pack(idx(BYTES)))
    (tmp_path / f"some-labels-idx1-ubyte{end}").write_bytes(pack(idx(np.arange(5, dtype=np.uint8))))
    read = data.read(images, n=3)
    np.testing.assert_allclose(read.inputs[:, 0], BYTES[:3] / 255, atol=1e-7)
    assert read.labels.tolist() == [0, 1, 2]
    assert (read.unit, read.picture) == ("pixel, 0 to 1", {"mean": [0.0], "std": [1.0]})


def test_arrays_floats_as_they_are_and_bytes_scaled(tmp_path):
    x = rng.normal(size=(4, 3, 5))
    np.save(tmp_path / "x.npy", x)
    read = data.read(tmp_path / "x.npy", n=2)
    np.testing.assert_allclose(read.inputs, x[:2], rtol=1e-6)
    assert (read.unit, read.labels, read.picture) == ("as stored", None, None)
    assert read.names == ("x 0", "x 1")
    np.save(tmp_path / "b.npy", BYTES[:, None])
    read = data.read(tmp_path / "b.npy")
    assert float(read.inputs.max()) == pytest.approx(BYTES.max() / 255, abs=1e-7)
    assert read.unit == "pixel, 0 to 1"
    assert read.inputs.dtype == torch.float32


def test_archives_by_usual_names_or_by_key(tmp_path):
    x, y = BYTES.astype(np.float32), np.arange(5)
    for name, arrays, key in (
        ("a", {"inputs": x, "labels": y}, None),
        ("b", {"anything": x}, None),
        ("c", {"x_train": x + 1, "x_test": x, "y_test": y}, "x_test"),
    ):
        np.savez(tmp_path / f"{name}.npz", **arrays)
        read = data.read(tmp_path / f"{name}.npz", key=key)
        np.testing.assert_array_equal(read.inputs, x)
        assert (read.labels is None) == (name == "b")


def picture(path, size=(300, 260), colour=(200, 100, 50)):
    Image.new("RGB", size, colour).save(path)
    return path


def test_pictures_as_imagenet_networks_take_them(tmp_path):
    read = data.read(picture(tmp_path / "a.png"))
    assert read.inputs.shape == (1, 3, 224, 224)
    expected = [
        (200 / 255 - 0.485) / 0.229,
        (100 / 255 - 0.456) / 0.224,
        (50 / 255 - 0.406) / 0.225,
    ]
    np.testing.assert_allclose(read.inputs.mean((0, 2, 3)), expected, rtol=1e-5)
    assert float(read.inputs.std((0, 2, 3)).max()) < 1e-5
    back = read.inputs[0, 0, 0, 0] * read.picture["std"][0] + read.picture["mean"][0]
    assert float(back) == pytest.approx(200 / 255, abs=1e-6)
    assert "ImageNet" in read.unit
    assert read.names == ("a.png",)


def test_pictures_as_efficientnet_lite_takes_them(tmp_path):
    read = data.read(picture(tmp_path / "a.png"), normalise="efficientnet-lite")
    expected = (np.array([200, 100, 50]) - 127) / 128
    np.testing.assert_allclose(read.inputs[0, :, 3, 7], expected, atol=1e-6)
    back = read.inputs[0, 0, 0, 0] * read.picture["std"][0] + read.picture["mean"][0]
    assert float(back) == pytest.approx(200 / 255, abs=1e-6)
    assert read.unit == "centred pixel, (byte - 127) / 128"


def test_what_one_reader_says_is_its_own(tmp_path):
    file = picture(tmp_path / "a.png")
    data.read(file).picture["mean"][0] = 9.0
    assert data.read(file).picture["mean"][0] == 0.485


def test_scaling_and_cutting_against_a_ramp(tmp_path):
    """A horizontal ramp keeps its slope: 512 wide and 256 high, cut from column 144 to 368."""
    ramp = np.tile(np.linspace(0, 255, 1024).astype(np.uint8), (512, 1))
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    row = data.read(tmp_path / "ramp.png", normalise="unit").inputs[0, 0, 112]
    expected = (2 * (144 + np.arange(224)) + 0.5) / 1023
    np.testing.assert_allclose(row, expected, atol=1.5 / 255)


def test_pictures_for_small_networks_are_taken_pixel_by_pixel(tmp_path):
    pixels = rng.integers(0, 256, (28, 28), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "digit.png")
    read = data.read(tmp_path / "digit.png", size=28, mode="grey")
    np.testing.assert_allclose(read.inputs[0, 0], pixels / 255, atol=1e-7)
    assert (read.unit, read.picture) == ("pixel, 0 to 1", {"mean": [0.0], "std": [1.0]})
    colour = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(colour).save(tmp_path / "c.png")
    read = data.read(tmp_path / "c.png", size=32, normalise="unit")
    np.testing.assert_allclose(read.inputs[0], np.moveaxis(colour, -1, 0) / 255, atol=1e-7)


def test_folder_in_order_of_name_with_folders_inside(tmp_path):
    (tmp_path / "cats").mkdir()
    for name in ("b.png", "a.jpg", "cats/c.png", ".hidden.png"):
        picture(tmp_path / name)
    (tmp_path / "labels.csv").write_text("not a picture")
    assert data.read(tmp_path).names == ("a.jpg", "b.png", "cats/c.png")
    assert len(data.read(tmp_path, n=2)) == 2


def broken(tmp_path, kind):
    path = tmp_path / {"npy": "x.npy", "npz": "x.npz", "idx": "x-ubyte", "gz": "x-ubyte.gz"}.get(
        kind.partition(" ")[0], "x.png"
    )
    match kind:
        case "npy objects":
            np.save(path, np.array([{"a": 1}] * 3), allow_pickle=True)
        case "npy nan":
            x = np.zeros((4, 2), np.float32)
            x[2, 1] = np.nan
            np.save(path, x)
        case "npy complex":
            np.save(path, np.zeros((4, 2), complex))
        case "npy vector":
            np.save(path, np.zeros(4))
        case "npy last":
            np.save(path, np.zeros((4, 8, 8, 3), np.uint8))
        case "npy text":
            path.write_text("hello")
        case "npy short":
            np.save(path, np.zeros((40, 20)))
            path.write_bytes(path.read_bytes()[:500])
        case "npz many":
            np.savez(path, a=np.zeros((2, 2)), b=np.zeros((2, 2)))
        case "npz labels":
            np.savez(path, x=np.zeros((2, 2)), y=np.zeros(3, int))
        case "npz text":
            path.write_bytes(b"PK\x03\x04 and no more")
        case "idx magic":
            path.write_bytes(b"\x89PNG and more")
        case "idx empty":
            path.write_bytes(b"")
        case "idx type":
            path.write_bytes(idx(np.zeros((2, 3, 3), np.float32), 0x0D))
        case "idx short":
            path.write_bytes(idx(BYTES)[:-7])
        case "idx head":
            path.write_bytes(idx(BYTES)[:9])
        case "idx labels":
            path.write_bytes(idx(np.arange(5, dtype=np.uint8)))
        case "gz short":
            path.write_bytes(gzip.compress(idx(BYTES))[:60])
        case "gz text":
            path.write_text("hello")
        case "png text":
            path.write_text("hello")
        case "png deep":
            Image.fromarray(np.full((300, 300), 40_000, np.uint16)).save(path)
        case "png short":
            whole = picture(path).read_bytes()
            path.write_bytes(whole[: len(whole) // 2])
    return path


@pytest.mark.parametrize(
    ("kind", "match"),
    [
        ("npy objects", r"x\.npy must hold plain numbers, got an object array.*np\.save"),
        (
            "npy nan",
            r"finite numbers, got NaN .* in 1 of 4 examples \(first: row 2, counted from 0\)",
        ),
        (
            "npy complex",
            r"must hold floating numbers or bytes \(uint8\), got dtype complex128; .* as int64",
        ),
        ("npy vector", r"must hold examples along axis 0, \(N, \.\.\.\), got shape \(4,\)"),
        ("npy last", r"channels first, .*, got shape \(4, 8, 8, 3\); store np\.moveaxis"),
        ("npy text", r"x\.npy must start like a NumPy file, got 68 65 6c 6c 6f; write"),
        ("npy short", r"x\.npy cannot be read as a NumPy file"),
        ("npz many", r"must hold inputs, got arrays a, b; name one of them: key=NAME"),
        ("npz labels", r"labels in .* must be 2 whole numbers, got int64 \(3,\)"),
        ("npz text", r"x\.npz cannot be read as a NumPy file"),
        ("idx magic", r"must start like an IDX file .*, got 89 50 4e 47"),
        ("idx empty", r"must start like an IDX file .*, got nothing"),
        ("idx type", r"must hold unsigned bytes \(type 0x08\), got type 0x0d; store"),
        ("idx short", r"must hold 210 bytes of values after its header, got 203; .*truncated"),
        ("idx head", r"truncated"),
        ("idx labels", r"must hold pictures \(3 axes\), got 1 axis"),
        ("gz short", r"x-ubyte\.gz is damaged"),
        ("gz text", r"x-ubyte\.gz is damaged"),
        ("png text", r"x\.png cannot be read as a picture .*repair or remove that file"),
        ("png deep", r"x\.png must hold 8 bits per channel, got mode I;16; save it as 8-bit PNG"),
        ("png short", r"x\.png cannot be read as a picture"),
    ],
)
def test_a_broken_file_is_named_in_one_sentence(tmp_path, kind, match):
    with pytest.raises(UsageError, match=match) as caught:
        data.read(broken(tmp_path, kind))
    assert "\n" not in str(caught.value)


def test_wrong_use(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((2, 2)))
    (tmp_path / "notes.txt").touch()
    (tmp_path / "empty").mkdir()
    file = picture(tmp_path / "empty.png")
    for arguments, match in (
        (
            (tmp_path / "nothing",),
            r"path must exist \(.*\), got .*nothing; pass a path that exists",
        ),
        ((tmp_path / "empty",), r"path must be a folder with pictures, got .*empty; put \.png"),
        ((tmp_path / "notes.txt",), r"path must be \.npy, .*, got .*notes\.txt; convert it"),
        ((tmp_path / "x.npy", 0), r"n must be a whole number from 1 on, got 0"),
    ):
        with pytest.raises(UsageError, match=match):
            data.read(*arguments)
    for options, match in (
        ({"mode": "cmyk"}, r"mode 'cmyk' is unknown"),
        ({"normalise": "imagnet"}, r"normalise 'imagnet' is unknown; nearest.*'imagenet'"),
        ({"mode": "grey", "normalise": "imagenet"}, r"normalise must be 'unit' for grey pictures"),
        (
            {"mode": "grey", "normalise": "efficientnet-lite"},
            r"normalise must be 'unit' for grey pictures, got 'efficientnet-lite'",
        ),
        ({"size": 0}, r"size must be a whole number from 1 on, got 0; pass the pixels"),
    ):
        with pytest.raises(UsageError, match=match):
            data.read(file, **options)
    with pytest.raises(
        UsageError,
        match=r"size, mode and normalise must be left out, which are for pictures, got x\.npy",
    ):
        data.read(tmp_path / "x.npy", size=28)
    with pytest.raises(
        UsageError, match=r"key must come with an \.npz, .*, got x\.npy; leave it out"
    ):
        data.read(tmp_path / "x.npy", key="x")


def test_the_source_says_what_was_done_to_pictures(tmp_path):
    for i, side in enumerate((28, 28, 40)):
        picture(tmp_path / f"{i}.png", (side, 28))
    options = {"size": 28, "normalise": "unit"}
    said = data.read(tmp_path / "0.png", **options).source
    assert said == "0.png: 28 x 28 as they are, RGB, unit"
    assert ": from 2 sizes, shorter side" in data.read(tmp_path, **options).source
    said = data.read(tmp_path, n=2, mode="grey").source
    assert said.endswith(
        "from 28 x 28, shorter side scaled to 256, centre 224 x 224 cut out, grey, unit"
    )


@pytest.mark.parametrize(("name", "taken"), [("a.PNG", True), (".a.png", False), ("a.npy", False)])
def test_what_counts_as_a_picture(name, taken):
    assert data.is_picture(Path(name)) is taken


def heads(*sizes):
    return bytes([0, 0, 8, len(sizes)]) + struct.pack(f">{len(sizes)}I", *sizes) + b"abc"


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("sizes", [(2**32 - 1,) * 3, (2**20, 2**14, 2**10)])
def test_a_head_that_asks_for_more_than_any_memory(tmp_path, packed, sizes):
    path = tmp_path / f"x-images-idx3-ubyte{'.gz' if packed else ''}"
    path.write_bytes(gzip.compress(heads(*sizes)) if packed else heads(*sizes))
    with pytest.raises(UsageError, match=r"must hold \d+ bytes of values .*, got 3; .*truncated"):
        data.read(path)


@pytest.mark.parametrize("n", [None, 2])
def test_labels_are_one_for_each_example_of_the_file_however_many_are_read(tmp_path, n):
    np.savez(tmp_path / "x.npz", x=np.zeros((4, 2)), y=np.arange(6))
    with pytest.raises(UsageError, match=r"labels in .* must be 4 whole numbers, got int64 \(6,"):
        data.read(tmp_path / "x.npz", n)
    for stem in ("some", "train"):
        (tmp_path / f"{stem}-images-idx3-ubyte").write_bytes(idx(BYTES))
        (tmp_path / f"{stem}-labels-idx1-ubyte").write_bytes(idx(np.arange(6, dtype=np.uint8)))
    with pytest.raises(UsageError, match=r"must hold 5 labels, one for each picture, got 6"):
        data.read(tmp_path / "some-images-idx3-ubyte", n)
    with pytest.raises(UsageError, match=r"images and labels in .* must match, got .* 5 and 6"):
        data.mnist(tmp_path, n=n)


@pytest.mark.parametrize("array", [np.float32(3), np.full((2, 2), 1e300)])
def test_an_array_of_no_examples_or_beyond_float32_is_refused(tmp_path, array):
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(UsageError, match=r"must hold (examples along axis 0|finite numbers)"):
        data.read(tmp_path / "x.npy", 2)


@pytest.mark.parametrize("size", [np.int64(8), torch.tensor(8)])
def test_the_size_of_pictures_may_be_of_any_library(tmp_path, size):
    file = picture(tmp_path / "x.png")
    assert torch.equal(data.read(file, size=size).inputs, data.read(file, size=8).inputs)
    for wrong, match in (({"size": 8.5}, "size"), ({"size": True}, "size"), ({"mode": 3}, "mode")):
        with pytest.raises(UsageError, match=f"^{match} "):
            data.read(file, **wrong)


def test_what_is_no_path_is_refused(tmp_path):
    for call in (data.read, data.read_labelled, data.mnist):
        with pytest.raises(TypeError, match=r"(path|folder) must be a path, got None; give "):
            call(None)


def test_folders_that_cannot_be_walked_are_refused(tmp_path, monkeypatch):
    for call in (data.read, data.read_labelled):
        with pytest.raises(UsageError, match=r"^path must be a folder with pictures, got /, a wh"):
            call("/")
    (tmp_path / "a").mkdir()
    picture(tmp_path / "a" / "x.png")

    def closed(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.is_file", closed)
    for call in (data.read, data.read_labelled):
        with pytest.raises(UsageError, match=r"^path must .* where .*Permission denied.*; give"):
            call(tmp_path)


IMAGES = {"x_train": BYTES[:3, None], "y_train": np.arange(3), "x_test": BYTES[3:, None],
          "y_test": np.arange(2), "class_names": np.array(["a", "b", "c"])}  # fmt: skip
ARCHIVES = {
    "usual": (IMAGES, "x_train", "y_train", "arrays x_train and y_train of 5"),
    "no training": (
        {k: v for k, v in IMAGES.items() if "train" not in k}, "x_test", "y_test",
        "arrays x_test and y_test of 3",
    ),
    "medmnist": (
        {"val_images": BYTES[:2, None], "val_labels": np.arange(2)[:, None],
         "train_images": BYTES[:, None], "train_labels": np.arange(5)[:, None]},
        "train_images", "train_labels", "arrays train_images and train_labels of 4",
    ),
    "capital": ({"X": BYTES[:, None], "y": np.arange(5)}, "X", "y", ""),
    "names beside": (
        {"pictures": BYTES[:, None], "y": np.arange(5), "class_names": np.array(["a"])},
        "pictures", "y", "arrays pictures and y of 3",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ARCHIVES)
def test_the_usual_archives_are_read_and_what_was_taken_is_said(tmp_path, case):
    arrays, x, y, said = ARCHIVES[case]
    np.savez(tmp_path / "d.npz", **arrays)
    read = data.read(tmp_path / "d.npz")
    np.testing.assert_allclose(read.inputs, arrays[x] / 255, atol=1e-7)
    assert read.labels.tolist() == arrays[y].reshape(-1).tolist()
    assert read.source.partition(", ")[2] == said
    drawn = data.read_labelled(tmp_path / "d.npz")
    assert sorted(drawn.targets.reshape(-1).tolist()) == sorted(read.labels.tolist())
    assert drawn.source.partition(", ")[2] == said


@pytest.mark.parametrize("names", [("x_test", "x_val"), ("a", "b"), ("train_x", "x_train")])
def test_an_archive_of_several_inputs_is_refused_with_the_names(tmp_path, names):
    np.savez(tmp_path / "d.npz", **dict.fromkeys(names, BYTES[:, None]), y=np.arange(5))
    match = f"must hold inputs, got arrays {', '.join(names)}, y; name one of them: key=NAME"
    for read in (data.read, data.read_labelled):
        with pytest.raises(UsageError, match=match):
            read(tmp_path / "d.npz")


IDS = rng.integers(1, 30, (4, 6))


def test_tokens_are_read_as_whole_numbers(tmp_path):
    np.save(tmp_path / "t.npy", IDS)
    read = data.read(tmp_path / "t.npy", n=3)
    assert (read.inputs.dtype, len(read), read.labels) == (torch.int64, 3, None)
    np.testing.assert_array_equal(read.inputs, IDS[:3])
    assert read.unit == "component of the embedding"


@pytest.mark.parametrize("padded", [False, True])
def test_what_a_tokenizer_returns(tmp_path, padded):
    mask, types = np.ones_like(IDS), np.zeros_like(IDS)
    mask[1, 4:] = 1 - padded
    arrays = {"input_ids": IDS, "attention_mask": mask, "token_type_ids": types}
    np.savez(tmp_path / "t.npz", **arrays, labels=np.arange(4) % 2)
    read, drawn = data.read(tmp_path / "t.npz"), data.read_labelled(tmp_path / "t.npz", seed=1)
    assert read.labels.tolist() == [0, 1, 0, 1]
    if not padded:
        np.testing.assert_array_equal(read.inputs, IDS)
        assert read.source.endswith(
            "attention_mask and token_type_ids the same everywhere, left out"
        )
        return
    assert set(read.inputs) == {"input_ids", "attention_mask"}
    np.testing.assert_array_equal(read[1:3].inputs["attention_mask"], mask[1:3])
    for inputs, targets in drawn.batches(2):
        for ids, row, label in zip(*inputs.values(), targets, strict=True):
            i = int(np.flatnonzero((ids.numpy() == IDS).all(1))[0])
            np.testing.assert_array_equal(row, mask[i])
            assert label == i % 2


def test_a_mask_of_other_examples_is_refused(tmp_path):
    np.savez(tmp_path / "t.npz", input_ids=IDS, attention_mask=np.ones((3, 6), int))
    with pytest.raises(
        UsageError, match=r"'attention_mask' in .* whole numbers for 4 examples, got"
    ):
        data.read(tmp_path / "t.npz")
