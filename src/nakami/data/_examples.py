"""Examples as a network takes them, with their names and their unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nakami.results import counted, is_whole, wrong, wrong_type

STANDARD_PIXEL = "standardised pixel (ImageNet mean and deviation)"
CENTRED_PIXEL = "centred pixel, (byte - 127) / 128"
AS_STORED = "as stored"
EMBEDDED = "component of the embedding"  # of tokens, which have no unit
Inputs = Any  # a tensor, or a dict of them


@dataclass(frozen=True)
class Target:
    """A column of numbers that is foreseen, and how its numbers became labels.

    Attributes:
        column: Its name.
        shift, scale: ``label = (number - shift) / scale``, learned from training rows.
        cut: Whether labels were cut to 0..1, the range of training rows.
    """

    column: str
    shift: float = 0.0
    scale: float = 1.0
    cut: bool = False

    @property
    def moved(self) -> bool:
        """Whether labels are other numbers than the column has."""
        return (self.shift, self.scale) != (0.0, 1.0)

    @property
    def loss(self) -> str:
        """The unit of a squared error of labels."""
        unit = "range of training rows" if self.cut else "deviation of training rows"
        return f"({unit} of {self.column}) squared" if self.moved else f"{self.column} squared"

    @property
    def squared(self) -> str:
        """The unit of a squared error that is taken back to the column."""
        return f"{self.column} squared" + ", within the range of training rows" * self.cut

    def numbers(self, labels: Tensor) -> np.ndarray:
        """Labels, or outputs in their place, in the unit of the column, float64."""
        x = labels.detach().cpu().numpy().astype(np.float64)
        return x * self.scale + self.shift if self.moved else x


@dataclass(frozen=True)
class Examples:
    """Inputs of a network, read-only by agreement.

    Attributes:
        inputs: ``(N, ...)`` float32, as the network takes them; pictures are ``(N, C, H, W)``.
            Tokens are int64; with a mask or others beside them, a dict by the model's names.
        labels: ``(N,)`` int64, or None; float32 where numbers were asked for in place of classes.
        names: One for each example: ``"test digit 12"``, a file name.
        unit: Unit of one input component; counts of singular values above 1 depend on it.
        source: One sentence: what this is and where it came from.
        picture: How to undo the normalisation per channel, ``pixel = x * std + mean`` in 0..1, as
            ``{"mean": [...], "std": [...]}``; None when the inputs are not pictures.
        noun: What one example is called: ``"digit"``, with an s for more than one.
        classes: Names of the classes 0, 1, ..., where they are known: of folders of pictures.
        target: What ``labels`` are, where they are numbers of a schema's column; it stays where
            labels are left out.
    """

    inputs: Inputs
    labels: Tensor | None
    names: Sequence[str]
    unit: str
    source: str
    picture: dict[str, list[float]] | None = None
    noun: str = "input"
    classes: tuple[str, ...] = ()
    target: Target | None = None

    def __len__(self) -> int:
        return len(self.names)

    def about(self) -> dict[str, Any]:
        """What a run keeps of its examples beside the inputs, for its page; plain JSON values."""
        return {
            "data": self.source,
            "input_names": list(self.names),
            "input_noun": self.noun,
            "labels": None if self.labels is None else self.labels.tolist(),
            "picture": self.picture,
        }

    def __getitem__(self, part: slice | Sequence[int] | np.ndarray | Tensor) -> Examples:
        """The examples of a slice, of indices, or of a mask (True or False for each example)."""
        whole = range(len(self))
        picked = part.tolist() if isinstance(part, np.ndarray | np.generic | Tensor) else part
        if isinstance(picked, slice):
            rows = [*whole[picked]]
        elif isinstance(picked, Sequence) and all(map(is_whole, picked)):
            rows = [whole[int(i)] for i in picked]
        elif isinstance(picked, Sequence) and [type(p) for p in picked] == [bool] * len(whole):
            rows = [i for i in whole if picked[i]]
        else:
            way_out = "write [i : i + 1] for example i"
            raise wrong_type("part", "be a slice or indices", repr(part), way_out)
        return replace(
            self,
            inputs=some_rows(self.inputs, rows),
            labels=None if self.labels is None else self.labels[rows],
            names=tuple(self.names[i] for i in rows),
        )


def some_rows(inputs: Inputs, rows: Any) -> Any:
    """Those examples of a tensor, or of each tensor of a dict."""
    if isinstance(inputs, Tensor):
        return inputs[rows]
    return {name: value[rows] for name, value in inputs.items()}


def tensors_of(inputs: Inputs) -> list[Tensor]:
    """The tensor, or those of the dict in order of name."""
    return [inputs] if isinstance(inputs, Tensor) else [inputs[name] for name in sorted(inputs)]


def plain_picture(channels: int) -> dict[str, list[float]]:
    """The ``picture`` of pixels that already lie in 0..1."""
    return {"mean": [0.0] * channels, "std": [1.0] * channels}


def check_finite(inputs: Tensor, what: str, rows: Sequence[int] | None = None) -> None:
    """Refuse NaN and infinity, naming the first row of the file that holds one.

    ``rows``: Where the examples stand in the file; default from the first on.
    """
    good = torch.isfinite(inputs.flatten(1)).all(1)
    if not good.all():
        bad = [i if rows is None else rows[i] for i in (~good).nonzero().flatten().tolist()]
        of = f"{len(bad)} of {counted(len(good), 'example')}"
        got = f"NaN or infinity in {of} (first: row {min(bad)}, counted from 0)"
        raise wrong(what, "hold finite numbers", got, "leave those examples out of the file")


def pictures_of(examples: Examples, way_out: str) -> Tensor:
    """The pictures of examples, one at least, ``(N, C, H, W)``, or a refusal."""
    if not isinstance(examples, Examples):
        raise wrong_type("examples", "be Examples", type(examples).__name__, way_out)
    x = examples.inputs
    if not isinstance(x, Tensor) or x.ndim not in (3, 4) or not len(x):
        got = f"shape {tuple(x.shape)}" if isinstance(x, Tensor) else "tokens"
        raise wrong("examples", "hold pictures", got, way_out)
    return x[:, None] if x.ndim == 3 else x
