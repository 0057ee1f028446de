"""Training and test examples of a recipe: those shipped, or the caller's files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nakami import data
from nakami.data import Examples, Prepared
from nakami.data._split import picture_files as split_picture_files
from nakami.results import as_path, named_as, wrong

LABELS = (
    "give an .npz with the arrays x and y, an IDX file beside its labels, or a folder with a "
    "folder of pictures for each class"
)
HELD_OUT = 10  # one of so many examples is tested on where no test part is there


@dataclass(frozen=True)
class DataFiles(PathLike[str]):
    """The caller's examples, as ``nakami.data.read_split`` reads them.

    Attributes:
        path: File or folder. test: another of examples to test on, its test part if it has one;
            None: the test part of ``path``,
            or where it has none a random tenth, always the same, which is left out of training.
        size: Of pictures. mode: likewise. key: of an ``.npz``.
        memory_budget: Bytes that the tensors of a schema may take in memory, None: 4 GiB. Larger
            ones are kept beside the schema, in a folder of its name that ends in ``.prepared``, and
            read from there, to the same bits.
    """

    path: str | PathLike[str]
    test: str | PathLike[str] | None = None
    size: int | None = None
    mode: str | None = None
    key: str | None = None
    memory_budget: int | None = None

    def __fspath__(self) -> str:
        return fspath(self.path)

    @property
    def reading(self) -> dict[str, Any]:
        """The options of ``read_split``."""
        return {"size": self.size, "mode": self.mode, "key": self.key}

    def about(self) -> dict[str, Any]:
        """What was given, by option; paths from the root on."""
        paths = {"data": self.path, "test": self.test}
        found = {
            name: str(Path(path).resolve()) for name, path in paths.items() if path is not None
        }
        return {**found, **{k: v for k, v in self.reading.items() if v is not None}}


def data_files(data: str | PathLike[str]) -> DataFiles:
    """A path as ``DataFiles``."""
    return data if isinstance(data, DataFiles) else DataFiles(data)


def digits_from(files: str | PathLike[str] | None) -> tuple[Examples, Examples]:
    """Training and test examples: the shipped digits, or those of the caller's files.

    Args:
        files: ``DataFiles``, or a path; None: the shipped digits.

    Raises:
        UsageError: What ``read_split`` refuses; tokens; shapes that differ; too few examples.
    """
    if files is None:
        return data.digits("train"), data.digits("test")
    files = data_files(files)
    if is_schema(files):
        both = of_schema(files)
        check_floats(*both, way_out='write vector = "bag" below the text in the schema')
        return both
    with named_as("path", "data"):
        train, test = data.read_split(files.path, **files.reading)
    if files.test is not None:
        with named_as("path", "test"):
            other, part = data.read_split(files.test, classes=train.classes, **files.reading)
            test = part or other
    if test is None:
        train, test = held_out(train)
    check_floats(train, test)
    shapes = [tuple(examples.inputs.shape[1:]) for examples in (train, test)]
    if shapes[0] != shapes[1]:
        rule = f"hold examples of the shape of those to train on, {shapes[0]}"
        raise wrong("test", rule, shapes[1], "pass files of the same kind")
    return train, test


def is_schema(files: DataFiles) -> bool:
    """Whether a schema of ``nakami data inspect`` stands in place of the data."""
    return Path(files.path).suffix == ".toml"


def of_schema(files: DataFiles) -> tuple[Examples, Examples]:
    """Both parts of a schema's data, as ``prepared_of`` gives them."""
    prepared = prepared_of(files)
    return prepared.examples("train"), prepared.examples("test")


def prepared_of(files: DataFiles) -> Prepared:
    """The data of a schema; read again only where schema or data were changed.

    Args:
        files: Whose ``path`` is the schema's.

    Raises:
        UsageError: What ``data.read_schema`` or ``data.prepare`` refuses; options, which the schema
            names itself.
    """
    for name, value in ({**files.reading, "test": files.test}).items():
        if value is not None:
            way_out = "write it into the schema"
            if name == "test":
                way_out = f"write path = '{fspath(value)}' below [split] of the schema"
            raise wrong(name, "be left out with a schema", value, way_out)
    with named_as("path", "data"):
        schema = data.read_schema(files.path)
    stamp = schema.path.stat().st_mtime_ns if schema.path.exists() else 0
    return _prepared(Path(files.path).resolve(), schema.to_toml(), stamp, files.memory_budget)


@lru_cache(maxsize=1)
def _prepared(path: Path, schema: str, stamp: int, budget: int | None) -> Prepared:
    folder = path.with_suffix(".prepared")
    with named_as("path", "data"):
        return data.prepare(data.read_schema(path), memory_budget=budget, folder=folder)


def check_floats(
    train: Examples, test: Examples, way_out: str = "store measured numbers as float32"
) -> None:
    """Refuse tokens."""
    for argument, examples in (("data", train), ("test", test)):
        if not isinstance(examples.inputs, Tensor) or not examples.inputs.is_floating_point():
            rule = "hold pictures or floating numbers"
            raise wrong(argument, rule, f"tokens ({examples.source})", way_out)


def picture_files(files: DataFiles) -> tuple[list[Path], list[Path]]:
    """Picture files to train and to test on, as ``digits_from`` would take them; else empty.

    Empty too where they are to be scaled.

    Raises:
        UsageError: Too few pictures to test on some, or no picture at ``test``.
    """
    if files.size is not None or files.key is not None:
        return [], []
    train, test = split_picture_files(as_path("data", files.path))
    if not train:
        return [], []
    if files.test is not None:
        other, part = split_picture_files(as_path("test", files.test))
        test = part or other
        if not test:
            way_out = "give a folder with some"
            raise wrong("test", "be pictures, as {data} is", Path(files.test).name, way_out)
    if not test:
        held = tenth(len(train)).tolist()
        test = [file for file, out in zip(train, held, strict=True) if out]
        train = [file for file, out in zip(train, held, strict=True) if not out]
    return train, test


def held_out(examples: Examples) -> tuple[Examples, Examples]:
    """All but a random tenth of the examples, and these, both in order."""
    held, whole = tenth(len(examples)), examples.source
    return (
        replace(examples[~held], source=f"{whole}, without a random tenth"),
        replace(examples[held], source=f"{whole}, a random tenth"),
    )


def tenth(n: int) -> Tensor:
    """Which of ``n`` are held out, ``(n,)`` bool, the same for each run.

    Rows at equal distances would be of one class alone where the classes of a file come in turns.
    """
    if n < HELD_OUT:
        rule = f"hold {HELD_OUT} examples or more, as a tenth is tested on"
        raise wrong("data", rule, n, "pass examples to test on as {test}=PATH")
    order = torch.randperm(n, generator=torch.Generator().manual_seed(0))
    held = torch.zeros(n, dtype=torch.bool)
    held[order[: n // HELD_OUT]] = True
    return held


def check_labels(name: str, train: Examples, test: Examples) -> None:
    """Refuse examples without labels, or with labels that no classifier is trained on."""
    for argument, examples in (("data", train), ("test", test)):
        if examples.labels is None:
            if folder := _one_folder(examples):
                rule, way_out = "hold two classes or more", "add a folder of pictures for another"
                raise wrong(argument, rule, f"the folder {folder} alone", way_out)
            rule = f"hold labels, which {name} needs"
            raise wrong(argument, rule, f"none ({examples.source})", LABELS)
        if int(examples.labels.min()) < 0:
            raise wrong(
                argument,
                "hold labels from 0 on",
                int(examples.labels.min()),
                "count classes from 0",
            )
    known = classes(train)
    if known > max(2, len(train)):
        rule = f"hold labels below its number of examples, {len(train)}"
        raise wrong("data", rule, known - 1, "number the classes 0, 1, 2, ...")
    assert test.labels is not None
    if int(test.labels.max()) >= known:
        rule = f"hold labels of the {known} classes of the examples to train on"
        raise wrong("test", rule, int(test.labels.max()), "leave out examples of other classes")


def _one_folder(examples: Examples) -> str:
    """The folder that all pictures lie in, where they do; else empty."""
    parts = [Path(name).parts for name in examples.names if examples.noun == "picture"]
    folders = {each[0] if len(each) > 1 else "" for each in parts}
    return folders.pop() if len(folders) == 1 else ""


def check_unit(name: str, train: Examples, test: Examples) -> None:
    """Refuse values that are no probabilities."""
    for argument, examples in (("data", train), ("test", test)):
        least, most = (float(end) for end in examples.inputs.aminmax())
        if not (least >= 0 and most <= 1):
            way_out = "divide by 255 where they are bytes"
            rule = f"lie in 0..1, which {name} needs"
            raise wrong(argument, rule, f"{least:g} to {most:g}", way_out)


def classes(examples: Examples) -> int:
    """Number of classes: the largest label and one, at least 2.

    Raises:
        UsageError: The examples have no labels.
    """
    if examples.labels is None:
        raise wrong("examples", "have labels", f"none ({examples.source})", "pass data.digits()")
    return max(2, int(examples.labels.max()) + 1)
