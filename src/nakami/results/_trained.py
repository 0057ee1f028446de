"""What a training has left: losses of its phases, its networks with their facts, pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ._files import plain
from ._picture import Box, Lines, Picture, Show, Texts, Tree
from ._plotted import Plotted

if TYPE_CHECKING:
    from ._record import Record

PICTURES = "@pictures"  # the piece that holds them; no phase has such a name
OWN = ("schema", "recipe", "seed", "data", "versions", "threads", "created", "accelerator", "files")


@dataclass(frozen=True)
class TrainedPhase:
    """One phase of a training.

    Attributes:
        name: Of the phase. loss: what its losses are. losses: the mean of each epoch.
        batch: Examples of one update. seconds: wall time.
    """

    name: str
    loss: str
    losses: tuple[float, ...]
    batch: int
    seconds: float


@dataclass(frozen=True)
class TrainedNetwork:
    """A network that a training gave.

    Attributes:
        name: Short. training: one sentence on how it was trained.
        facts: Figures with ``label``, ``value``, ``spread``, ``spread_kind`` and ``unit``.
    """

    name: str
    training: str
    facts: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, repr=False)
class TrainingReport(Plotted):
    """A finished training as its page shows it.

    Attributes:
        recipe: Its name, or ``"training"`` where it has none.
        phases: In order. networks: likewise. pictures: as the recipe offers them.
        settings: What ``run.json`` holds.
        source: One sentence on the data.
    """

    recipe: str
    phases: tuple[TrainedPhase, ...]
    networks: tuple[TrainedNetwork, ...]
    pictures: tuple[Show, ...]
    settings: Mapping[str, Any]
    source: str = ""

    def __repr__(self) -> str:
        return f"TrainingReport({self.recipe}, {len(self.phases)} phases)"

    def rows(self) -> list[dict[str, Any]]:
        """One flat dict for each epoch of each phase."""
        return [
            {"phase": phase.name, "epoch": epoch, "loss": loss}
            for phase in self.phases
            for epoch, loss in enumerate(phase.losses, 1)
        ]

    @property
    def chosen(self) -> dict[str, Any]:
        """The settings of the recipe alone."""
        return {name: value for name, value in self.settings.items() if name not in OWN}


def training_report(record: Record) -> TrainingReport:
    """A finished run of kind ``training`` as its page shows it.

    Raises:
        UsageError: A piece is damaged.
    """
    result, settings = record.result, record.settings
    phases = tuple(
        TrainedPhase(name, p["loss"], tuple(p["losses"]), p["batch"], p["seconds"])
        for name, p in result["phases"].items()
    )
    networks = tuple(
        TrainedNetwork(name, n["training"], tuple(n["facts"].values()))
        for name, n in result.get("networks", {}).items()
    )
    pictures: tuple[Show, ...] = ()
    if record.has(PICTURES):
        piece = record.piece(PICTURES)
        of = piece.record.get("of")
        if result.get("tested_on", of) == of:  # else they were made of other examples
            pictures = unpacked_pictures(piece.record, piece.arrays)
    recipe, source = settings.get("recipe", "training"), result.get("source", "")
    return TrainingReport(recipe, phases, networks, pictures, settings, source)


def packed_pictures(
    pictures: Sequence[Show],
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Pictures as a piece holds them: texts, and arrays by number; NaN and infinity as null."""
    texts = [
        {k: plain(v) for k, v in vars(picture).items() if k != "images"} for picture in pictures
    ]
    arrays = {
        str(i): np.ascontiguousarray(p.images)
        for i, p in enumerate(pictures)
        if isinstance(p, Picture)
    }
    return {"pictures": texts}, arrays


def unpacked_pictures(
    record: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
) -> tuple[Show, ...]:
    """The inverse of ``packed_pictures``."""
    return tuple(
        _picture(text, arrays[str(i)]) if str(i) in arrays else _of_texts(text)
        for i, text in enumerate(record["pictures"])
    )


def _of_texts(text: Mapping[str, Any]) -> Show:
    """What has no images."""
    if "parents" in text:
        lists = (tuple(text[name]) for name in ("parents", "texts", "values"))
        return Tree(text["title"], text["caption"], *lists)
    return _texts(text) if "head" in text else _lines(text)


def _texts(text: Mapping[str, Any]) -> Texts:
    rows = tuple(tuple(row) for row in text["rows"])
    return Texts(text["title"], text["caption"], tuple(text["head"]), rows)


def _picture(text: Mapping[str, Any], images: np.ndarray) -> Picture:
    return Picture(
        text["title"],
        text["caption"],
        images,
        text["range"] and tuple(text["range"]),
        tuple(text["rows"]),
        tuple(Box(*box) for box in text.get("boxes", ())),
        text.get("columns"),
    )


def _lines(text: Mapping[str, Any]) -> Lines:
    return Lines(
        text["title"],
        text["caption"],
        text["x"],
        text["y"],
        text["lines"],
        tuple(text["ends"]),
        text.get("joined", True),
    )
