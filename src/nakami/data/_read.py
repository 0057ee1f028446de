"""One door for a user's own inputs: a file or a folder becomes ``Examples``."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Literal

from nakami.results import as_path, check_at_least, counted, wrong

from ._arrays import from_array, read_array
from ._examples import Examples
from ._idx import idx_items, is_idx, read_idx
from ._pictures import is_picture, pictures_in, read_pictures

TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet", ".arrow")
KINDS = ".npy, .npz, an IDX file, a picture or a folder of pictures"


def read(
    path: str | PathLike[str],
    n: int | None = None,
    *,
    size: int | None = None,
    mode: str | None = None,
    normalise: Literal["imagenet", "efficientnet-lite", "unit"] | None = None,
    key: str | None = None,
) -> Examples:
    """Read inputs for a network from a file or a folder.

    * ``.npy``, ``.npz``: examples along axis 0, channels first, never reordered. uint8 is divided
      by 255 (unit ``pixel, 0 to 1``); floating numbers are taken as they are (unit ``as stored``).
      Other whole numbers are tokens, int64. In an ``.npz`` the inputs are called inputs, x, images,
      data or input_ids (or ``key``); else those of the training set (x_train, train_images), of
      the only set, or the only array. Labels are called labels, y or targets (y_train).
      ``source`` says which arrays were taken, where the file holds others. What a tokenizer gives
      beside input_ids (attention_mask, ...) makes ``inputs`` a dict, unless it says nothing.
    * IDX (MNIST family; plain or ``.gz``): pictures ``(N, 1, H, W)`` divided by 255; labels from
      the file of the same name with ``labels-idx1`` in place of ``images-idx3``, if it is there.
    * A picture, or a folder of them (with folders inside, in order of name): RGB, shorter side
      scaled to 256 and the centre 224 x 224 cut out, ImageNet mean subtracted and deviation
      divided.

    Args:
        path: File or folder.
        n: At most this many examples, from the first on; None: all.
        size: Pictures: scale the shorter side to ``size`` and cut the centre ``size x size``, so
            that a picture of that size is taken as it is. None: 256, then 224.
        mode: Pictures: ``"RGB"`` (None) or ``"grey"``, giving 3 channels or 1.
        normalise: Pictures: ``"imagenet"`` (None, in RGB), ``"efficientnet-lite"``,
            ``(byte - 127) / 128``, or ``"unit"``, pixels in 0..1 (None, in grey).
        key: Name of the inputs in an ``.npz``.

    Raises:
        UsageError: Nothing there, an empty folder, a damaged file (named), NaN, another dtype,
            object arrays, or an option that does not fit.
    """
    path = as_path("path", path, "give the file or folder of the inputs")
    n = None if n is None else check_at_least("n", n, 1, "pass how many examples to read")
    if not path.exists():
        raise wrong(
            "path", f"exist ({KINDS})", path, f"pass a path that exists, relative to {Path.cwd()}"
        )
    if key is not None and path.suffix != ".npz":
        raise wrong(
            "key", "come with an .npz, which holds arrays by name", path.name, "leave it out"
        )
    if path.is_dir():
        return read_pictures(_files(path, n), path, size, mode, normalise)
    if is_picture(path):
        return read_pictures([path], path, size, mode, normalise)
    if any(option is not None for option in (size, mode, normalise)):
        raise wrong(
            "{size}, {mode} and {normalise}", "be left out, which are for pictures", path.name,
            "leave them out",
        )  # fmt: skip
    if path.suffix in (".npy", ".npz"):
        return read_array(path, n, key)
    if is_idx(path):
        return _read_idx(path, n)
    way_out = "convert it with np.save('x.npy', array)"
    if path.suffix.lower() in TABLES:
        way_out = f"run nakami data inspect {path}, which writes a schema, and pass that"
    raise wrong("path", f"be {KINDS}", path, way_out)


def _files(folder: Path, n: int | None) -> list[Path]:
    files = pictures_in(folder)[:n]
    if files:
        return files
    others = sorted(f for f in folder.iterdir() if f.suffix in (".npy", ".npz") or is_idx(f))
    hint = f"give one file, as {others[0]}" if others else "put .png or .jpg files there"
    raise wrong("path", "be a folder with pictures", folder, hint)


def _read_idx(path: Path, n: int | None) -> Examples:
    array = read_idx(path, n)
    if array.ndim != 3:
        way_out = "pass the file ...images-idx3-ubyte"
        axes = counted(array.ndim, "axis", "axes")
        raise wrong(f"{path}", "hold pictures (3 axes)", axes, way_out)
    partner = idx_partner(path)
    if partner == path or not partner.is_file():
        return from_array(array[:, None], None, path)
    labels = read_idx(partner, n)
    if idx_items(partner) != idx_items(path):
        rule, got = f"hold {idx_items(path)} labels, one for each picture", idx_items(partner)
        raise wrong(f"{partner}", rule, got, "fetch both files again")
    return from_array(array[:, None], labels, path)


def idx_partner(path: Path) -> Path:
    """The file of the labels beside that of the images."""
    return path.with_name(path.name.replace("images-idx3", "labels-idx1"))
