"""Right singular vectors as pictures: signed grey, coloured in the page by one shared scale."""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from nakami.results import Spectrum, Xray

from . import _numbers as num
from ._reading import Network, Reading

SMALL = 64  # up to this side: PNG, drawn in whole pixels; above: WebP
LEADING, PERCENTILE = 3, 99.8
COLUMNS = {True: 6, False: 4}


@dataclass(frozen=True)
class Picture:
    """One image of a grid, ready to be placed."""

    source: str
    alt: str
    side: tuple[int, int]
    signed: bool = True
    converged: bool = True
    gain: Markup = Markup("")
    area: str = ""


@dataclass(frozen=True)
class Row:
    """One row: the same direction at every input, with means over all inputs."""

    name: str
    pictures: list[Picture]
    gain: Markup
    area: str


@dataclass(frozen=True)
class Grid:
    """Pictures of one network at one stage."""

    title: str
    stage: str
    inputs: list[Picture]
    rows: list[Row]


@dataclass(frozen=True)
class Grids:
    """All grids of a figure, on one colour scale."""

    stages: list[str]
    by_stage: dict[str, list[Grid]]
    top: float
    pixelated: bool
    inverted: bool
    unit: str
    ticks: list[str]


@dataclass(frozen=True)
class Frame:
    """How a flat input becomes a picture: channels, height, width, and how it was normalised."""

    channels: int
    height: int
    width: int
    mean: np.ndarray
    std: np.ndarray

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return self.height * self.width

    def planes(self, flat: np.ndarray) -> np.ndarray:
        """``(..., n)`` as ``(..., channels, height, width)``."""
        return flat.reshape(*flat.shape[:-1], self.channels, self.height, self.width)


def frame(run: Xray) -> Frame | None:
    """How the inputs of a run are pictures, or None if they are not."""
    picture = run.settings.get("picture")
    shape = tuple(run.inputs.shape[1:])
    if len(shape) == 3 and shape[0] in (1, 3):
        channels, height, width = shape
    elif picture is None:
        return None
    elif len(shape) == 2:
        channels, height, width = 1, *shape
    elif len(shape) == 1 and (found := _square(shape[0])):
        channels, height, width = found
    else:
        return None
    if min(height, width) < 4 or not len(run.inputs):
        return None
    mean, std = (
        np.resize(np.asarray((picture or {}).get(key) or [default], dtype=np.float64), channels)
        for key, default in (("mean", 0.0), ("std", 1.0))
    )
    return Frame(channels, height, width, mean, std)


def grids(reading: Reading, shape: Frame) -> Grids | None:
    """Pictures of the kept directions at the first, middle and last stage."""
    stages = [s for s in _three(reading.stages) if _kept(reading, s)]
    if not stages:
        return None
    small = max(shape.height, shape.width) <= SMALL
    leading = [
        signed_plane(shape.planes(s.right[: LEADING])).ravel()
        for stage in stages for net in reading.networks
        for s in net.run.at(stage) if len(s.right)
    ]  # fmt: skip
    top = float(np.percentile(np.abs(np.concatenate(leading)), PERCENTILE)) or 1.0
    pixels = unnormalised(shape, reading.main.run.inputs)
    dark = shape.channels == 1 and small and float(np.median(pixels)) < 0.1
    by_stage = {
        stage: [_grid(reading, net, stage, shape, top, small) for net in reading.networks]
        for stage in stages
    }
    unit = "px" if small else "%"
    ticks = [num.plain(v, 2) for v in (-top, -top / 4, 0, top / 4, top)]
    return Grids(stages, by_stage, top, small, dark, unit, ticks)


def signed_plane(planes: np.ndarray) -> np.ndarray:
    """One signed plane of a vector: itself, or the root of channel energy signed by their sum."""
    if planes.shape[-3] == 1:
        return planes[..., 0, :, :]
    return np.sign(planes.sum(-3)) * np.sqrt((planes.astype(np.float64) ** 2).sum(-3))


def area(planes: np.ndarray) -> np.ndarray:
    """Participation ratio of pixel energy, ``(sum e)^2 / sum e^2``, in pixels."""
    energy = (planes.astype(np.float64) ** 2).sum(-3)
    total = (energy**2).sum((-1, -2))
    return np.divide(energy.sum((-1, -2)) ** 2, total, out=np.zeros_like(total), where=total > 0)


def grey(plane: np.ndarray, top: float) -> np.ndarray:
    """Signed values as grey, 128 = zero, on a root scale that ends at ``top``."""
    flat = plane.ravel()
    largest = flat[np.argmax(np.abs(flat))]
    oriented = plane * (1 if largest >= 0 else -1)
    rooted = np.sign(oriented) * np.sqrt(np.minimum(np.abs(oriented) / top, 1))
    return np.round(128 + 127 * rooted).astype(np.uint8)


def unnormalised(shape: Frame, inputs: np.ndarray) -> np.ndarray:
    """Inputs as pixels, ``(N, channels, height, width)`` in 0..1."""
    planes = shape.planes(inputs.reshape(len(inputs), -1).astype(np.float64))
    return np.clip(planes * shape.std[:, None, None] + shape.mean[:, None, None], 0, 1)


def areas(net: Network, stage: str, shape: Frame) -> dict[int, np.ndarray]:
    """Area covered by each kept direction, by its index (0 = largest), one value for an input."""
    out: dict[int, list[float]] = {}
    for s in net.run.at(stage):
        for i, a in zip(s.kept, area(shape.planes(s.right)), strict=True):
            out.setdefault(int(i), []).append(float(a))
    return {i: np.array(v) for i, v in sorted(out.items())}


def chosen(spectra: tuple[Spectrum, ...]) -> list[int]:
    """Indices shown: 1st, 2nd, 3rd, middle and last of those that every input kept."""
    shared = set.intersection(*({int(i) for i in s.kept} for s in spectra))
    kept = sorted(shared)
    lead = kept[:LEADING]
    rest = kept[LEADING:]
    return lead + ([rest[(len(rest) - 1) // 2], rest[-1]] if len(rest) > 2 else rest)


def _grid(
    reading: Reading, net: Network, stage: str, shape: Frame, top: float, small: bool
) -> Grid:
    spectra = net.run.at(stage)
    shown = spectra[: COLUMNS[small]]
    pixels = unnormalised(shape, net.run.inputs)
    inputs = [
        Picture(_encode(pixels[s.input], small, 70), reading.name_of(s.input),
                (shape.width, shape.height), signed=False)
        for s in shown
    ]  # fmt: skip
    covered = areas(net, stage, shape)
    rows = [_row(reading, net, spectra, i, shape, top, small, covered[i]) for i in chosen(spectra)]
    return Grid(net.label if len(reading.networks) > 1 else "", stage, inputs, rows)


def _row(
    reading: Reading, net: Network, spectra: tuple[Spectrum, ...], index: int, shape: Frame,
    top: float, small: bool, covered: np.ndarray,
) -> Row:  # fmt: skip
    pictures = []
    for s in spectra[: COLUMNS[small]]:
        planes = shape.planes(s.right[list(s.kept).index(index)])
        size, value = _size(float(area(planes)), shape, small), float(s.values[index])
        doubt = "" if s.converged else ", not converged"
        who = f"{net.label}, " if len(reading.networks) > 1 else ""
        alt = (f"{who}{reading.name_of(s.input)}, {s.stage}, direction {index + 1}: "
               f"s = {num.plain(value)}, covers {size}{doubt}")  # fmt: skip
        plane = grey(signed_plane(planes), top)[None]
        pictures.append(
            Picture(_encode(plane, small, 46), alt, (shape.width, shape.height),
                    converged=s.converged, gain=num.number(value), area=_size(float(area(planes)), shape, small))
        )  # fmt: skip
    gain = num.number(float(np.mean([s.values[index] for s in spectra])), 2)
    return Row(num.whole(index + 1), pictures, gain, _size(float(covered.mean()), shape, small, False))


def _size(pixels: float, shape: Frame, small: bool, long: bool = True) -> str:
    if small:
        return f"{num.whole(pixels)} of {num.whole(shape.pixels)} px" if long else num.whole(pixels)
    share = num.fixed(100 * pixels / shape.pixels, 1)
    return f"{share} % of the picture" if long else share


def _encode(image: np.ndarray, small: bool, quality: int) -> str:
    from PIL import Image

    pixels = image if image.dtype == np.uint8 else np.round(image * 255).astype(np.uint8)
    picture = Image.fromarray(pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, -1))
    buffer = io.BytesIO()
    if small:
        picture.save(buffer, "PNG", optimize=True)
    else:
        picture.convert("RGB").save(buffer, "WEBP", quality=quality)
    kind = "png" if small else "webp"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _square(n: int) -> tuple[int, int, int] | None:
    for channels in (1, 3):
        side = math.isqrt(n // channels)
        if channels * side * side == n:
            return channels, side, side
    return None


def _three(stages: tuple[str, ...]) -> list[str]:
    picked = {0, len(stages) // 2, len(stages) - 1}
    return [s for i, s in enumerate(stages) if i in picked]


def _kept(reading: Reading, stage: str) -> bool:
    return all(
        all(len(s.kept) for s in net.run.at(stage)) and chosen(net.run.at(stage))
        for net in reading.networks
    )
