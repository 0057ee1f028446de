"""Inputs with the targets of a loss, drawn at random from a file or a folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from nakami.results import UsageError, as_path, check_at_least, check_seed, counted, wrong

from ._arrays import check_examples, from_array, is_tokens, reading, single, tokens, whole
from ._examples import Examples, Inputs, check_finite, some_rows
from ._idx import is_idx
from ._npz import pick
from ._pictures import is_picture, pictures_in, read_pictures
from ._read import idx_partner, read

TOKEN = "token"
Reader = Callable[[list[Path], Path], Examples]
AS_NPZ = "store them by names, as np.savez('tokens.npz', input_ids=ids, labels=ids)"
SHIFTED = "labels that repeat input_ids are shifted here to the token that follows"
WAYS = (
    "give an .npz with the arrays x and y, an IDX file beside its labels, or a folder with a "
    "folder of pictures for each class"
)


@dataclass(frozen=True)
class LabelledExamples:
    """Inputs and targets of a loss, read-only by agreement.

    Attributes:
        inputs: ``(N, ...)`` float32 as the network takes them, or int64 tokens, or a dict of these
            and what goes with them (``attention_mask``), by the model's names.
        targets: ``(N, ...)``: int64 classes, or float32 values.
        unit: Unit of one input component. source: what this is and where it came from.
        classes: Their names in order, where folders name them.
        picture: As in ``Examples``.
    """

    inputs: Inputs
    targets: Tensor
    unit: str
    source: str
    classes: tuple[str, ...] = ()
    picture: dict[str, list[float]] | None = None

    def __len__(self) -> int:
        return len(self.targets)

    def batches(self, size: int) -> list[tuple[Any, Tensor]]:
        """Batches in order; the last is smaller if ``size`` does not divide ``len(self)``."""
        size = check_at_least("size", size, 1, "50 is usual")
        cuts = range(0, len(self), size)
        return [
            (some_rows(self.inputs, slice(i, i + size)), self.targets[i : i + size]) for i in cuts
        ]


def read_labelled(
    path: str | PathLike[str],
    n: int | None = None,
    *,
    seed: int = 0,
    size: int | None = None,
    mode: str | None = None,
    normalise: Literal["imagenet", "efficientnet-lite", "unit"] | None = None,
    key: str | None = None,
    labels: str | None = None,
    inside: bool = False,
    pictures: Reader | None = None,
) -> LabelledExamples:
    """Read examples with their targets, drawn without replacement in random order.

    * ``.npz``: inputs as ``read`` finds them; targets called labels, y or targets (``y_train`` with
      ``x_train``), or ``labels``. Whole targets are classes; floating ones are values. Whole inputs
      that are no bytes are tokens. Labels that repeat input_ids, as for models that shift them in
      their own loss, are shifted here: targets ``(N, T - 1)`` are the tokens that follow.
    * IDX: labels from the file beside it.
    * A folder of pictures: a folder inside for each class, classes in order of name.

    Args:
        path: File or folder.
        n: At most this many; None: all.
        seed: Of the order; the global random state is not touched.
        size: As ``read`` takes it.
        mode: Likewise.
        normalise: Likewise.
        key: Name of the inputs in an ``.npz``.
        labels: Name of the targets in an ``.npz``.
        inside: Whether the targets also stay among the inputs, under the names that the arrays of
            an ``.npz`` have, for a model that makes its loss; no labels are shifted then.
        pictures: How files of pictures become ``Examples``, ``pictures(files, folder)``, in place
            of ``size``, ``mode`` and ``normalise``.

    Raises:
        UsageError: What ``read`` refuses; no targets, or not one for each example.
    """
    path = as_path("path", path, "give the file or folder of the inputs")
    if labels is not None and path.suffix != ".npz":
        raise wrong(
            "labels", "come with an .npz, which holds arrays by name", path.name, "leave it out"
        )
    if inside and path.suffix != ".npz":
        rule = "be an .npz for a model that makes its loss: it takes the arrays by their names"
        raise wrong("data", rule, path.name, AS_NPZ)
    if path.suffix == ".npz":
        return _from_npz(path, n, seed, key, labels, inside)
    if path.is_dir():
        usual = partial(read_pictures, size=size, mode=mode, normalise=normalise)
        return _from_folders(path, n, seed, pictures or usual)
    if path.suffix == ".npy" and _holds_tokens(path):
        raise wrong("data", "hold labels", f"{path.name}, tokens alone", f"{AS_NPZ} ({SHIFTED})")
    if is_picture(path) or path.suffix == ".npy":
        raise wrong("data", "hold labels", path.name, WAYS)
    found = read(path, size=size, mode=mode, normalise=normalise, key=key)
    if found.labels is None:
        where = f" ({idx_partner(path).name})" if is_idx(path) else ""
        raise wrong("data", f"hold labels{where}", f"none beside {path.name}", WAYS)
    return with_targets(found, n, seed)


def with_targets(examples: Examples, n: int | None = None, seed: int = 0) -> LabelledExamples:
    """Examples that have labels, drawn in random order.

    Args:
        examples: With labels.
        n: At most this many; None: all.
        seed: Of the order; the global random state is not touched.

    Raises:
        UsageError: No labels, or ``n`` below 1.
    """
    if examples.labels is None:
        raise wrong("examples", "have labels", f"none ({examples.source})", WAYS)
    rows = _drawn(len(examples), n, seed)
    source = f"{len(rows):,} of the {examples.source}"
    return LabelledExamples(
        some_rows(examples.inputs, rows), examples.labels[rows], examples.unit, source
    )


def _drawn(total: int, n: int | None, seed: int) -> Tensor:
    n = total if n is None else check_at_least("n", n, 1, "pass how many examples to read")
    generator = torch.Generator().manual_seed(check_seed(seed))
    return torch.randperm(total, generator=generator)[:n]


def _from_npz(
    path: Path, n: int | None, seed: int, key: str | None, labels: str | None, inside: bool
) -> LabelledExamples:
    if not path.exists():
        raise wrong("path", "exist", path, f"pass a path that exists, relative to {Path.cwd()}")
    with (
        reading(path),
        path.open("rb") as file,
        np.load(file, allow_pickle=False) as arrays,
    ):
        picked = pick(list(arrays), path, key, labels)
        if picked.labels is None:
            got, ways = f"arrays {', '.join(arrays)}", ["name one of them: {labels}=NAME"]
            if picked.inputs.lower() == "input_ids":
                ways = [f"{AS_NPZ} ({SHIFTED})", *ways]
            raise wrong(f"{path}", "hold labels", got, ways)
        x, y = arrays[picked.inputs], arrays[picked.labels]
        beside = {name: arrays[name] for name in picked.beside}
    check_examples(x, path, picked.inputs)
    if y.ndim < 1 or len(y) != len(x):
        raise wrong(
            f"{picked.labels!r} in {path}",
            f"hold {counted(len(x), 'target')}, one for each example",
            f"shape {y.shape}", "store them in the same order",
        )  # fmt: skip
    rows = _drawn(len(x), n, seed).numpy()
    inputs: Inputs
    shifted = not inside and picked.inputs.lower() == "input_ids" and _next_tokens_to_come(x, y)
    if shifted:
        beside = {name: v[:, :-1] if v.shape == x.shape else v for name, v in beside.items()}
        x, y = x[:, :-1], y[:, 1:]
    if is_tokens(x):
        (inputs, taken), unit = tokens(x, beside, rows, path), TOKEN
    else:
        found = from_array(x[rows], None, path, rows=rows.tolist())
        inputs, unit, taken = found.inputs, found.unit, ""
    parts = [f"{len(rows):,} of {counted(len(x), 'example')} of {path.name}", picked.said, taken]
    parts += ["labels shifted by one, the token that follows"] * shifted
    source = ", ".join(filter(None, parts))
    targets = _targets(y[rows], picked.labels, path, rows.tolist())
    if inside:
        named = inputs if isinstance(inputs, dict) else {picked.inputs: inputs}
        inputs = {**named, picked.labels: targets}
    return LabelledExamples(inputs, targets, unit, source)


def _holds_tokens(path: Path) -> bool:
    """Whether an array is one of tokens; False where it cannot be read."""
    try:
        with reading(path):
            return is_tokens(np.load(path, mmap_mode="r", allow_pickle=False))
    except UsageError:
        return False


def _next_tokens_to_come(x: np.ndarray, y: np.ndarray) -> bool:
    """Whether labels are the tokens themselves, which models of language shift in their loss."""
    there = y != -100  # what these losses leave out
    same = y.shape == x.shape and is_tokens(y) and x.ndim == 2 and x.shape[1] > 1
    return same and bool(there.any()) and bool((x == y)[there].all())


def _targets(y: np.ndarray, name: str, path: Path, rows: list[int]) -> Tensor:
    what = f"{name!r} in {path}"
    if y.dtype.kind in "iu":
        return whole(y, what)
    if y.dtype.kind != "f":
        raise wrong(what, "hold numbers", f"dtype {y.dtype}", "store class indices")
    targets = single(y)
    check_finite(targets.reshape(len(y), -1), what, rows)
    return targets


def _from_folders(root: Path, n: int | None, seed: int, make: Reader) -> LabelledExamples:
    files = pictures_in(root)
    if not files:
        raise wrong("data", "be a folder with pictures", root, "put .png or .jpg files there")
    of = [f.relative_to(root).parts[0] if f.parent != root else "" for f in files]
    if "" in of:
        loose = files[of.index("")].name
        rule = "hold a folder of pictures for each class"
        raise wrong("data", rule, f"{loose} beside them", WAYS)
    classes = tuple(sorted(set(of)))
    if len(classes) < 2:
        raise wrong("data", "hold two classes or more", f"the folder {classes[0]} alone", WAYS)
    rows = _drawn(len(files), n, seed).tolist()
    found = make([files[i] for i in rows], root)
    targets = torch.tensor([classes.index(of[i]) for i in rows])
    source = f"{found.source}; {len(classes)} classes by folder"
    return LabelledExamples(found.inputs, targets, found.unit, source, classes, found.picture)
