"""Folders of pictures or sounds, arrays, and lines of text as rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nakami.results import wrong

from .._pictures import files_below, pictures_in
from .._split import read_split
from .._text import plain_text
from ._files import SOUNDS
from ._source import FILES, ROWS, Part, Source

PARTS = {"train": "train", "training": "train", "test": "test", "testing": "test",
         "val": "validation", "valid": "validation", "validation": "validation"}  # fmt: skip
FILE, CLASS, PART, INPUTS, LABEL, LINE = "file", "class", "part", "inputs", "label", "text"


class Files(Source):
    """A folder of pictures or sounds, with a folder for each class, and for each part."""

    def __init__(self, path: Path, kind: str, files: list[Path]):
        self.path, self.kind, self._files = path, f"folder of {kind}s", files
        self._places = [file.parts[len(path.parts) :] for file in files]  # below the folder
        levels = [place[:-1] for place in self._places]
        parted = all(level and level[0].lower() in PARTS for level in levels)
        self._parts = [PARTS[level[0].lower()] if parted else "" for level in levels]
        rest = [level[1:] if parted else level for level in levels]
        classed = all(rest)
        self._classes = [level[0] if classed else "" for level in rest]
        self.columns = {FILE: kind, **({CLASS: "text"} if classed else {})}
        if parted:
            self.columns = {**self.columns, PART: "text"}

    def parts(self, types: Mapping[str, str]) -> Iterator[Part]:
        """Files in order of name."""
        self.check_columns(types)
        held: dict[str, Any] = {FILE: self._files, CLASS: self._classes, PART: self._parts}
        names = ["/".join(place) for place in self._places]
        for i in range(0, len(names), FILES):
            cut = slice(i, i + FILES)
            yield Part(tuple(names[cut]), {name: held[name][cut] for name in types}, {})


class Arrays(Source):
    """Arrays of an .npz, an .npy, or IDX files, as ``data.read_split`` finds them."""

    kind = "arrays"

    def __init__(self, path: Path):
        self.path = path
        train, test = read_split(path)
        if not isinstance(train.inputs, torch.Tensor):
            rule, way_out = "hold one array of inputs", "store one array x and its labels y"
            raise wrong("path", rule, f"{len(train.inputs)} in {path.name}", way_out)
        parts = [train] if test is None else [train, test]
        self._inputs = np.concatenate([part.inputs.numpy() for part in parts])
        self._names = [name for part in parts for name in part.names]
        self._held: dict[str, Any] = {INPUTS: self._inputs}
        self.columns = {INPUTS: "array"}
        if all(part.labels is not None for part in parts):
            labels = [part.labels for part in parts if part.labels is not None]
            self._held[LABEL] = [str(i) for each in labels for i in each.tolist()]
            self.columns[LABEL] = "text"
        if test is not None:
            self._held[PART] = ["train"] * len(train) + ["test"] * len(test)
            self.columns[PART] = "text"

    def parts(self, types: Mapping[str, str]) -> Iterator[Part]:
        """All rows in order."""
        self.check_columns(types)
        for i in range(0, len(self._names), ROWS):
            cut = slice(i, i + ROWS)
            values = {name: self._held[name][cut] for name in types}
            yield Part(tuple(self._names[cut]), values, {})


class Lines(Source):
    """Each line of a text, but empty ones."""

    kind = "lines of text"

    def __init__(self, path: Path):
        self.path = path
        lines = enumerate(plain_text(path).splitlines(), 1)
        self._lines = [(i, line) for i, line in lines if line.strip()]
        if not self._lines:
            raise wrong("path", "hold a line", f"none in {path.name}", "give a text")
        self.columns = {LINE: "text"}

    def parts(self, types: Mapping[str, str]) -> Iterator[Part]:
        """All lines in order."""
        self.check_columns(types)
        for i in range(0, len(self._lines), ROWS):
            cut = self._lines[i : i + ROWS]
            names = tuple(f"line {number}" for number, _ in cut)
            yield Part(names, {key: [line for _, line in cut] for key in types}, {})


def files_in(path: Path) -> Files:
    """A folder of pictures, or of sounds.

    Raises:
        UsageError: It holds neither, or both.
    """
    pictures = pictures_in(path)
    sounds = files_below(path, lambda f: f.suffix.lower() in SOUNDS)
    if bool(sounds) == bool(pictures):
        rule = "be a folder of pictures or of sounds"
        got = "both" if sounds else f"neither in {path.name}"
        raise wrong("path", rule, got, "give the folder that holds the one alone")
    return Files(path, "picture", pictures) if pictures else Files(path, "sound", sounds)
