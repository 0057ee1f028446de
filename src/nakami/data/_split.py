"""Examples to train on, and those to test on where a file or folder holds both."""

from __future__ import annotations

from dataclasses import replace
from os import PathLike
from pathlib import Path

import numpy as np
import torch

from nakami.results import as_path, first_names, named_as, wrong

from ._arrays import reading
from ._digits import STEMS, Split, mnist
from ._examples import Examples
from ._idx import is_idx
from ._npz import INPUTS, TEST, TRAINING, parts_of
from ._pictures import heads_of_pictures, is_picture, pictures_in
from ._read import read


def read_split(
    path: str | PathLike[str],
    *,
    size: int | None = None,
    mode: str | None = None,
    key: str | None = None,
    classes: tuple[str, ...] = (),
) -> tuple[Examples, Examples | None]:
    """Examples for a training, with labels where there are some, and the test part if there is one.

    * A folder with the files of MNIST or Fashion-MNIST: training and test files; if those of one
      part alone are there, they are the examples.
    * ``.npz`` with ``x_train`` and ``x_test``: both, with ``y_train`` and ``y_test``.
    * A folder of pictures, or in it ``train`` and ``test`` (else ``val``) with pictures each, or
      one of them alone: pixels in 0..1; a folder for each class gives labels, the same in both
      parts. Without ``size`` pictures are taken as they are and must all be of one size; without
      ``mode`` they are grey where all files are.
    * Any other file that ``read`` takes; no test part.

    Args:
        path: File or folder.
        size: Pictures: scale the shorter side to it and cut out the centre.
        mode: Pictures: ``"RGB"`` or ``"grey"``.
        key: Name of the inputs in an ``.npz``.
        classes: Folders of pictures: the names of the classes 0, 1, ..., as the ``classes`` of
            other examples; default: those that are there, by name.

    Raises:
        UsageError: What ``read`` refuses; folders of other classes than ``classes``, or a test part
            with others than the training part; pictures of several sizes without ``size``.
    """
    path = as_path("path", path, "give the file or folder of the examples")
    if path.is_dir() and not pictures_in(path) and any(map(is_idx, path.iterdir())):
        return _idx_folder(path, size, mode, key)
    if path.is_dir() or is_picture(path):
        first, second = _parts(path, classes)
        size, mode = as_they_are(_files(path if second else first), size, mode)
        one = _labelled(_pictures(first, size, mode, key), classes)
        if second is None:
            return one, None
        return one, _labelled(_pictures(second, size, mode, key), one.classes)
    found = read(path, size=size, mode=mode, key=key)
    test = _test_key(path, key) if path.suffix == ".npz" else None
    return found, None if test is None else read(path, key=test)


def _idx_folder(
    folder: Path, size: int | None, mode: str | None, key: str | None
) -> tuple[Examples, Examples | None]:
    for name, value in (("size", size), ("mode", mode), ("key", key)):
        if value is not None:
            raise wrong(name, "be left out with IDX files", value, f"leave {{{name}}} out")
    splits: tuple[Split, ...] = ("train", "test")
    files, parts = [f.name for f in folder.iterdir()], []
    there = [split for split in splits if any(name.startswith(STEMS[split]) for name in files)]
    for split in there or splits[:1]:
        with named_as("data", "path"):
            found = mnist(folder, split)
        source = f"{len(found):,} {split} pictures of {folder.resolve().name}"
        names = tuple(f"{split} picture {i}" for i in range(len(found)))
        parts.append(replace(found, names=names, source=source, noun="picture"))
    return parts[0], parts[1] if len(parts) > 1 else None


def picture_files(path: Path) -> tuple[list[Path], list[Path]]:
    """The picture files that ``read_split`` takes to train and to test on; empty for none."""
    if not is_picture(path) and not path.is_dir():
        return [], []
    first, second = _parts(path, ())
    return _files(first), _files(second) if second else []


def _files(path: Path) -> list[Path]:
    return pictures_in(path) if path.is_dir() else [path]


def _parts(path: Path, classes: tuple[str, ...]) -> tuple[Path, Path | None]:
    """Folders of pictures to train and to test on; the second is None where there is one alone."""
    if not path.is_dir():
        return path, None
    train, test = _part(path, TRAINING), _part(path, TEST)
    return (train, test) if train and test else (_alone(path, train or test, classes), None)


def _part(folder: Path, names: tuple[str, ...]) -> Path | None:
    folders = [f for f in sorted(folder.iterdir()) if f.is_dir()]
    found = [f for name in names for f in folders if f.name.lower() == name]
    return found[0] if found else None


def _alone(folder: Path, part: Path | None, classes: tuple[str, ...]) -> Path:
    """The part that holds all pictures of a folder, and is no class; else the folder."""
    if part is None or part.name in classes:
        return folder
    return part if pictures_in(folder) == pictures_in(part) != [] else folder


def as_they_are(
    files: list[Path], size: int | None, mode: str | None
) -> tuple[int | None, str | None]:
    """Size and mode that leave pictures as they are, where none were given."""
    if not files or (size is not None and mode is not None):
        return size, mode
    heads, grey = heads_of_pictures(files)
    mode = mode or ("grey" if grey else "RGB")
    if size is not None:
        return size, mode
    sizes = sorted(set(heads))
    (width, height), *others = sizes
    if others or width != height:
        shown = first_names([f"{w} x {h}" for w, h in sizes])
        rule = "be given where pictures differ in size or are not square"
        raise wrong("size", rule, shown, "write {size}=28")
    return width, mode


def _pictures(path: Path, size: int | None, mode: str | None, key: str | None) -> Examples:
    return read(path, size=size, mode=mode, normalise="unit", key=key)


def _labelled(found: Examples, classes: tuple[str, ...]) -> Examples:
    """Pictures with the class that each one's folder is, if all lie in folders of classes."""
    of = [Path(name).parts[0] if len(Path(name).parts) > 1 else "" for name in found.names]
    folders = sorted(set(of))
    if "" in folders or (len(folders) < 2 and not classes):
        return found
    others = [name for name in folders if name not in classes]
    if classes and others:
        rule = f"hold folders of the classes to train on, {first_names(classes)}"
        way_out = "leave out pictures of other classes"
        raise wrong("path", rule, first_names(others), way_out)
    names = classes or tuple(folders)
    labels = torch.tensor([names.index(each) for each in of])
    source = f"{found.source}; {len(folders)} classes by folder"
    return replace(found, labels=labels, source=source, classes=names)


def _test_key(path: Path, key: str | None) -> str | None:
    """The array of test inputs that belongs to the training inputs of an ``.npz``."""
    with reading(path), path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        names = list(arrays)
    of = {name: parts for name in names if (parts := parts_of(name)) is not None}
    stems = {
        stem for name, (stem, split) in of.items() if split in TRAINING and key in (None, name)
    }
    stems = stems if key is not None else stems & {*INPUTS}
    found = [n for n, (stem, split) in of.items() if split in TEST and stem in stems]
    return min(found, key=lambda name: TEST.index(of[name][1]), default=None)
