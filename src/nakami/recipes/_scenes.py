"""Scenes that a recipe makes from its examples, and what is said of a detector on them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from torch import Tensor, nn

from nakami import data, detection
from nakami.data import Examples, Scenes
from nakami.results import Box, Lines, Picture, counted, wrong

from ._facts import resampled_fact
from ._settings import Bounds

TEST_SEED = 1_000_000  # the same test scenes for each seed of a training
RESAMPLED = 200  # sets of test scenes drawn for the error of a figure
PARTS = 10  # of a film, left out in turn for the error of a figure


@dataclass(frozen=True)
class SceneSettings:
    """Scenes with objects, and how a detector looks at them.

    Attributes:
        scenes: Pictures to train on.
        test_scenes: Pictures to test on.
        frames: Of a film with moving objects, on which tracks are tested.
        size: Pixels of a scene's side.
        sides: Least and greatest longer side of an object in a scene, in pixels.
        scales: Sizes at which the detector looks at a scene.
        least: Probability of a class from which on a window counts.
    """

    scenes: Annotated[int, Bounds(1)] = 600
    test_scenes: Annotated[int, Bounds(1)] = 100
    frames: Annotated[int, Bounds(1)] = 30
    size: Annotated[int, Bounds(32)] = 96
    sides: Annotated[tuple[int, int], Bounds(4)] = (14, 42)
    scales: Annotated[int, Bounds(1)] = 6
    least: Annotated[float, Bounds(0, 1, without=(0, 1))] = 0.8


def made(settings: SceneSettings, examples: Examples, known: int, n: int, seed: int) -> Scenes:
    """Scenes with the pictures of these examples as objects."""
    size = (settings.size, settings.size)
    objects = _objects(examples, known)
    return data.scenes(objects, n, size=size, sides=settings.sides, seed=seed)


def test_film(settings: SceneSettings, examples: Examples, known: int) -> Scenes:
    """Four objects of the smaller half of the sizes that move."""
    low, high = settings.sides
    sides, size = (low, math.sqrt(low * high)), (settings.size, settings.size)
    objects = _objects(examples, known)
    return data.film(objects, settings.frames, size=size, sides=sides, seed=TEST_SEED)


def _objects(examples: Examples, known: int) -> data.Objects:
    names = examples.classes or tuple(str(i) for i in range(known))
    return data.objects_of(replace(examples, classes=names))


def test_scenes(settings: SceneSettings, examples: Examples, known: int) -> Scenes:
    """Those that figures and pictures are made of."""
    return made(settings, examples, known, settings.test_scenes, TEST_SEED)


def side_of(examples: Examples) -> int:
    """Pixels of a window's side, that of the pictures that are pasted.

    Raises:
        UsageError: They are not square.
    """
    shape = tuple(examples.inputs.shape[1:])
    if len(shape) not in (2, 3) or shape[-1] != shape[-2]:
        rule = "hold square pictures, as windows are square"
        raise wrong("data", rule, shape, "read pictures with {size}=28")
    return int(shape[-1])


def factors(settings: SceneSettings, side: int) -> tuple[float, ...]:
    """Scales at which objects of all sizes fit a window in turn."""
    low, high = settings.sides
    fit = side * sum(detection.FIT) / 2
    steps = [(k + 0.5) / settings.scales for k in range(settings.scales)]
    return tuple(fit / (low * (high / low) ** step) for step in steps)


def found_in(
    model: nn.Module, scenes: Scenes, settings: SceneSettings, side: int
) -> detection.Detections:
    """What the detector finds, 20 scenes at a time."""
    parts = [
        detection.detect(
            model,  # type: ignore[arg-type]
            part,
            factors(settings, side),
            side=side,
            least=settings.least,
        )
        for part in scenes.pictures.split(20)
    ]
    return detection.Detections.joined(parts)


def tracking_facts(found: detection.Detections, film: Scenes, sure: float) -> list[dict[str, Any]]:
    """How well boxes of a score of ``sure`` or more are linked over a film."""
    kept = found.above(sure)
    linked = detection.link(kept)
    scores, n = detection.tracking_scores(kept, linked, film), min(PARTS, len(film))
    mota, idf1 = detection.tracking_errors(kept, linked, film, parts=n) if n > 1 else (0.0, 0.0)
    told = {"IDF1 of tracks": (scores.idf1, idf1), "MOTA of tracks": (scores.mota, mota)}
    how = f"each of {n} parts of one film left out in turn"
    return [resampled_fact(label, *both, n, "film part", how) for label, both in told.items()]


def tracking_picture(found: detection.Detections, film: Scenes, sure: float) -> Picture:
    """Eight frames, or all of fewer, with the tracks of boxes of a score of ``sure`` or more."""
    kept = found.above(sure)
    tracks = detection.link(kept)
    step = max(1, len(film) // 8)
    frames = range(0, len(film), step)[:8]
    boxes = [
        Box(0, column, *_corners(kept.boxes[i]), str(int(tracks[i])), _colour(int(tracks[i])))
        for column, frame in enumerate(frames)
        for i in (kept.rows == frame).nonzero().flatten().tolist()
    ]
    return Picture(
        "Tracks in a film",
        f"Frames {frames[0]} to {frames[-1]} of a film, each {counted(step, 'frame')} after the "
        "one before. Boxes with the same number and colour are one track.",
        film.pictures[list(frames)][None],
        (0.0, 1.0),
        boxes=tuple(boxes),
        columns=4,
    )


def _colour(track: int) -> Any:
    return str(track % 6)


def _corners(box: Tensor) -> tuple[float, float, float, float]:
    left, top, right, bottom = box.tolist()
    return left, top, right, bottom


def detection_facts(found: detection.Detections, scenes: Scenes) -> list[dict[str, Any]]:
    """Mean average precision with its error over scenes, and COCO's where its program is there."""
    told: dict[str, tuple[float, float | tuple[float, ...]]] = {
        "mean average precision, overlap 0.5": (
            detection.mean_average_precision(found, scenes), 0.5
        )
    }  # fmt: skip
    if detection.has_coco():
        values = detection.coco_average_precision(found, scenes)
        mean = float(values[:, values[0] >= 0].mean())
        told["COCO's average precision, overlaps 0.50 to 0.95"] = mean, detection.OVERLAPS
    how, facts = f"{counted(len(scenes), 'test scene')} drawn {RESAMPLED} times", []
    for label, (value, overlap) in told.items():
        error = detection.mean_average_precision_error(found, scenes, overlap, draws=RESAMPLED)
        facts.append(resampled_fact(label, value, error, len(scenes), "test scene", how))
    return facts


def detection_pictures(
    found: detection.Detections, scenes: Scenes, sure: float, shown: int = 12
) -> list[Picture | Lines]:
    """The first test scenes with what is there and what was found; precision by recall."""
    rows = range(min(shown, len(scenes)))
    right = detection.right_ones(found, scenes)
    boxes = [box for row in rows for box in _boxes_of(found, scenes, right, row, sure)]
    picture = Picture(
        "Objects found in test scenes",
        "The first test scenes. A box is right where it has the class of an object there and an "
        "overlap with it of 0.5 or more, and no surer box has found it. Boxes of a score from "
        f"{sure:.3g} on, where the harmonic mean of precision and recall is largest.",
        scenes.pictures[: len(rows)][None],
        (0.0, 1.0),
        boxes=tuple(boxes),
        columns=4,
    )
    curves = {}
    for overlap in (0.5, 0.75):
        curve = detection.precision_recall(found, scenes, overlap=overlap)
        steps = range(0, len(curve.recall), max(1, len(curve.recall) // 200))
        points = [(float(curve.recall[i]), float(curve.precision[i])) for i in steps]
        if points:
            curves[f"overlap {overlap}"] = tuple(zip(*points, strict=True))
    if not curves:
        return [picture]
    lines = Lines(
        "Precision and recall",
        f"All classes together, {len(scenes.boxes)} objects in {len(scenes)} test scenes, from the "
        "surest detection on.",
        "share of the objects found",
        "share of the boxes right",
        curves,  # type: ignore[arg-type]
        (0.0, 1.0),
    )
    return [picture, lines]


def _boxes_of(
    found: detection.Detections, scenes: Scenes, right_ones: Tensor, row: int, sure: float
) -> list[Box]:
    """What is there, and what was found at a score of ``sure`` or more, right or wrong."""
    there, _ = scenes.within(row)
    out = [Box(0, row, *_corners(box), "", "there") for box in there]
    own = ((found.rows == row) & (found.scores >= sure)).nonzero().flatten()
    for i in own.tolist():
        text = scenes.classes[int(found.labels[i])]
        kind: Literal["right", "wrong"] = "right" if right_ones[i] else "wrong"
        out.append(Box(0, row, *_corners(found.boxes[i]), text, kind))
    return out
