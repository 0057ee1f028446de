"""Picture files, cut and scaled as networks for ImageNet expect them, or as the caller says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from nakami.results import PIXEL, RunError, UsageError, check_at_least, unknown, wrong

from ._examples import CENTRED_PIXEL, STANDARD_PIXEL, Examples

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
GREY = ("1", "L", "LA")  # modes of files
MODES = {"rgb": "RGB", "grey": "L", "gray": "L", "l": "L"}
NORMALISATIONS = {  # name: unit, then mean and deviation of pixels in 0..1 for each channel
    "imagenet": (STANDARD_PIXEL, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    "efficientnet-lite": (CENTRED_PIXEL, [127 / 255] * 3, [128 / 255] * 3),
    "unit": (PIXEL, [0.0] * 3, [1.0] * 3),
}
SIDE, CROP = 256, 224


def is_picture(path: Path) -> bool:
    """Whether the name is that of a picture file, one that ``read`` takes for a picture."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def pictures_in(folder: Path) -> list[Path]:
    """All picture files of a folder and of the folders inside, by name; not of hidden ones.

    Raises:
        UsageError: The root of a file system, or a folder inside cannot be read.
    """
    rule, way_out = "be a folder with pictures", "give the folder that holds the pictures alone"
    if folder.resolve().parent == folder.resolve():
        raise wrong("path", rule, f"{folder}, a whole file system", way_out)
    try:
        return files_below(folder, is_picture)
    except OSError as error:
        raise wrong("path", rule, f"{folder}, where {error}", way_out) from error


def files_below(folder: Path, wanted: Callable[[Path], bool]) -> list[Path]:
    """Files of a folder and of the folders inside, by name; not of hidden ones."""
    found = sorted(f for f in folder.rglob("*") if wanted(f) and f.is_file())
    own = len(folder.parts)  # in 0.4 of the time of relative_to
    return [f for f in found if not any(p[0] == "." for p in f.parts[own:])]


def heads_of_pictures(files: list[Path]) -> tuple[list[tuple[int, int]], bool]:
    """Width and height of each picture file, and whether all are grey; reads their heads."""
    sizes, grey = [], True
    for file in files:
        with _opened(file) as image:
            sizes.append(image.size)
            grey = grey and image.mode in GREY
    return sizes, grey


def as_it_is(file: Path, mode: str) -> Tensor:
    """Pixels in 0..1 of a picture at its own size, ``(C, H, W)``; ``mode`` as ``read`` takes it."""
    return _pixels(file, checked_mode(mode), None)[0]


def checked_mode(mode: str) -> str:
    """The mode of Pillow's, or a refusal."""
    name = str(mode).lower()
    if name not in MODES:
        raise unknown("mode", str(mode), ("RGB", "grey"))
    return MODES[name]


def read_pictures(
    files: list[Path], root: Path, size: int | None, mode: str | None, normalise: str | None
) -> Examples:
    """Examples of picture files; the contract stands in ``nakami.data.read``."""
    x, shapes, normalise = picture_tensor(files, size, mode, normalise)
    unit, mean, std = NORMALISATIONS[normalise]
    picture = {"mean": mean[: x.shape[1]], "std": std[: x.shape[1]]}  # copies
    many = f"{len(files)} pictures of {root.name}" if len(files) > 1 else files[0].name
    names = tuple(str(f.relative_to(root)) if f != root else f.name for f in files)
    done = f"{_scaled(shapes, size)}, {'RGB' if x.shape[1] == 3 else 'grey'}, {normalise}"
    return Examples(x, None, names, unit, f"{many}: {done}", picture, "picture")


def picture_tensor(
    files: Sequence[Any], size: int | None, mode: str | None, normalise: str | None
) -> tuple[Tensor, set[tuple[int, int]], str]:
    """Pictures ``(N, C, H, W)``, the widths and heights they had, and how they are normalised.

    Args:
        files: Paths, or open files whose text is their name.
        size: As for ``nakami.data.read``.
        mode: Likewise.
        normalise: Likewise.
    """
    own_mode = checked_mode(mode or "RGB")
    channels = 3 if own_mode == "RGB" else 1
    normalise = str(normalise or ("imagenet" if channels == 3 else "unit"))
    if normalise not in NORMALISATIONS:
        raise unknown("normalise", normalise, NORMALISATIONS)
    if normalise != "unit" and channels == 1:
        raise wrong("normalise", "be 'unit' for grey pictures", repr(normalise), "pass 'unit'")
    if size is not None:
        size = check_at_least("size", size, 1, "pass the pixels of a side, as 224")
    cut = _side_and_crop(size)
    pixels, shapes = zip(*(_pixels(file, own_mode, cut) for file in files), strict=True)
    x = torch.stack(pixels)
    if normalise != "unit":
        _, mean, std = NORMALISATIONS[normalise]
        x = (x - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    return x, set(shapes), normalise


def pillow() -> Any:
    """The module ``PIL.Image``.

    Raises:
        RunError: Pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise RunError(
            "reading pictures needs Pillow, which is not installed; "
            "pip install 'nakami[images]' adds it."
        ) from error
    return Image


def _scaled(shapes: set[tuple[int, int]], size: int | None) -> str:
    """What was done to pictures of these sizes (width, height)."""
    side, crop = _side_and_crop(size)
    if shapes == {(crop, crop)} and side == crop:
        return f"{crop} x {crop} as they are"
    were = " x ".join(map(str, *shapes)) if len(shapes) == 1 else f"{len(shapes)} sizes"
    return f"from {were}, shorter side scaled to {side}, centre {crop} x {crop} cut out"


def _pixels(file: Any, mode: str, cut: tuple[int, int] | None) -> tuple[Tensor, tuple[int, int]]:
    """Pixels ``(C, H, W)`` in 0..1, and the width and height that the file has.

    ``cut``: What its shorter side is scaled to, and the side of the centre that is cut out.
    """
    with _opened(file) as opened:
        if opened.mode[0] in "IF":  # conversion to 8 bits would cut, not scale
            rule, got = "hold 8 bits per channel", f"mode {opened.mode}"
            raise wrong(f"{file}", rule, got, "save it as 8-bit PNG")
        shape, image = opened.size, opened.convert(mode)
        image = image if cut is None else _cut(image, *cut)
    array = np.asarray(image, dtype=np.float32) / 255
    array = array[..., None] if array.ndim == 2 else array  # (H, W, C)
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(array, -1, 0))), shape


@contextmanager
def _opened(file: Any) -> Iterator[Image.Image]:
    """A picture file, or a sentence that it is damaged."""
    image_module = pillow()
    try:
        with image_module.open(file) as opened:
            yield opened
    except UsageError:
        raise
    except (OSError, SyntaxError, ValueError, image_module.DecompressionBombError) as error:
        raise UsageError(
            f"{file} cannot be read as a picture ({error}); repair or remove that file."
        ) from error


def _side_and_crop(size: int | None) -> tuple[int, int]:
    return (SIDE, CROP) if size is None else (size, size)


def _cut(image: Image.Image, side: int, crop: int) -> Image.Image:
    """Scale the shorter side (bilinear), then cut the centre."""
    w, h = image.size
    if min(w, h) != side:
        scale = side / min(w, h)
        w, h = max(side, int(w * scale)), max(side, int(h * scale))
        image = image.resize((w, h), resample=2)  # 2 = bilinear
    left, top = round((w - crop) / 2), round((h - crop) / 2)
    return image.crop((left, top, left + crop, top + crop))
