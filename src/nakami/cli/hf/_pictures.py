"""Pictures as the image processor of a folder makes them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from nakami.results import PIXEL, counted, wrong

from .._exit_codes import one_line
from ._folder import Folder, quiet, read_json

if TYPE_CHECKING:
    from nakami.data import Examples, LabelledExamples

T = TypeVar("T", "Examples", "LabelledExamples")
ABOUT = "preprocessor_config.json"
STANDARDISED = "standardised pixel"
BY_HAND = "say it by --size, --mode and --normalise"


def read_pictures(folder: Folder, files: list[Path], root: Path) -> Examples:
    """Files of pictures below ``root``, scaled and normalised by the folder's rule."""
    import torch

    from nakami import data

    with quiet():
        processor = _processor(folder)
        grey = folder.config.get("num_channels") == 1
        x = torch.cat([_pixels(processor, file, grey) for file in files])
    normal = bool(getattr(processor, "do_normalize", False))
    many = f"{len(files)} pictures of {root.name}" if len(files) > 1 else files[0].name
    names = tuple(str(f.relative_to(root)) if f != root else f.name for f in files)
    size = " x ".join(map(str, x.shape[2:]))
    return data.Examples(
        x, None, names, STANDARDISED if normal else PIXEL,
        f"{many}: {size} by {ABOUT} of {folder.path.name}", _undone(processor, x.shape[1], normal),
        "picture",
    )  # fmt: skip


def normalised(folder: Folder, found: T) -> T:
    """Bytes, read as pixels in 0..1, with the folder's mean subtracted and deviation divided.

    Their size stays; floating arrays are taken as they are.
    """
    import torch

    about = read_json(folder.path / ABOUT) if (folder.path / ABOUT).is_file() else {}
    mean, std = about.get("image_mean"), about.get("image_std")
    x: Any = found.inputs
    bytes_read = found.unit == PIXEL and not isinstance(x, dict) and x.ndim == 4
    if not bytes_read or not mean or not std or not about.get("do_normalize", True):
        return found
    if len(mean) != x.shape[1]:
        rule = f"hold pictures of {counted(len(mean), 'channel')}"
        raise wrong("--data", rule, f"shape {tuple(x.shape)}", "give the channels that it takes")
    inputs = (x - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    return replace(
        found, inputs=inputs, unit=STANDARDISED, picture={"mean": mean, "std": std},
        source=f"{found.source}, mean and deviation of {ABOUT} of {folder.path.name}",
    )  # fmt: skip


def _processor(folder: Folder) -> Any:
    if not (folder.path / ABOUT).is_file():
        got = f"none in {str(folder.path)!r}"
        raise wrong(
            "--model", f"name a folder with {ABOUT}, where --data is pictures", got, BY_HAND
        )
    from transformers import AutoImageProcessor

    try:
        return AutoImageProcessor.from_pretrained(
            folder.path, local_files_only=True, trust_remote_code=False
        )
    except Exception as error:
        got = f"{folder.path / ABOUT} and from transformers {one_line(error)}"
        raise wrong(
            "--model", "hold an image processor that can be loaded", got, BY_HAND
        ) from error


def _pixels(processor: Any, file: Path, grey: bool) -> Any:
    from nakami.data import pillow

    image = pillow()
    try:
        with image.open(file) as opened:
            picture = opened.convert("L" if grey else "RGB")
        return processor(images=picture, return_tensors="pt")["pixel_values"]
    except Exception as error:
        got = f"{file.name} and from the image processor {one_line(error)}"
        raise wrong("--data", "hold pictures that it takes", got, BY_HAND) from error


def _undone(processor: Any, channels: int, normal: bool) -> dict[str, list[float]]:
    """How the pixels are got back, ``pixel = x * std + mean``."""
    mean, std = [0.0] * channels, [1.0] * channels
    if normal:
        mean = [float(v) for v in processor.image_mean][:channels]
        std = [float(v) for v in processor.image_std][:channels]
    return {"mean": mean, "std": std}
