"""Backgrounds of scenes: textures made from noise, or pictures from a folder."""

from __future__ import annotations

from os import PathLike

import torch
from torch import Tensor
from torch.nn import functional as F

from nakami.results import as_path, wrong

from ._pictures import pictures_in
from ._read import read

COARSEST = 2  # points along a side of the coarsest noise
DARK, LIGHT = 0.1, 0.5  # the mean of a texture lies between; objects are brighter
Backgrounds = Tensor | str | PathLike[str] | None


def textures(n: int, shape: tuple[int, int, int], generator: torch.Generator) -> Tensor:
    """Random textures, ``(n, C, H, W)``, values in 0..1.

    Each is a sum of noise at all sizes from the whole picture to a pixel. How much of each size,
    the mean and the contrast are drawn for every texture.

    Args:
        n: How many.
        shape: Channels, height and width.
        generator: Decides them.
    """
    channels, height, width = shape
    total, points = torch.zeros(n, *shape), COARSEST
    while True:
        points = min(points, max(height, width))
        noise = torch.randn(n, channels, points, points, generator=generator)
        weight = torch.rand(n, 1, 1, 1, generator=generator) ** 2
        smooth = F.interpolate(noise, (height, width), mode="bilinear", align_corners=False)
        total += weight * smooth
        if points == max(height, width):
            break
        points *= 2
    spread = total.flatten(1).std(1, correction=0).clamp_min(1e-6)[:, None, None, None]
    mean = DARK + (LIGHT - DARK) * torch.rand(n, channels, 1, 1, generator=generator)
    contrast = 0.02 + 0.13 * torch.rand(n, 1, 1, 1, generator=generator)
    return (mean + contrast * total / spread).clamp_(0, 1)


def backdrops(
    given: Backgrounds, n: int, shape: tuple[int, int, int], generator: torch.Generator
) -> Tensor:
    """Backgrounds of ``n`` scenes, ``(n, C, H, W)``.

    Args:
        given: Pictures ``(B, C, h, w)`` in 0..1, or a file or folder of them, of which a random
            part is taken for each scene; None: textures.
        n: Of the scenes.
        shape: Channels, height and width of a scene.
        generator: Decides which picture and part.

    Raises:
        UsageError: What ``nakami.data.read`` refuses; pictures of another number of channels,
            smaller than a scene, or outside 0..1.
    """
    if given is None:
        return textures(n, shape, generator)
    channels, height, width = shape
    found = given if isinstance(given, Tensor) else _read(given, channels, max(height, width))
    small = found.ndim != 4 or found.shape[2] < height or found.shape[3] < width
    if small or found.shape[1] != channels:
        rule = f"be pictures (B, {channels}, H, W) of at least {height} x {width} pixels"
        raise wrong("backgrounds", rule, tuple(found.shape), "leave it out for textures")
    if not len(found) or not (found.min() >= 0 and found.max() <= 1):
        got = f"{float(found.min()):g} to {float(found.max()):g}" if len(found) else "none"
        raise wrong("backgrounds", "be pictures in 0..1", got, "pass pictures / 255 for bytes")
    which = torch.randint(len(found), (n,), generator=generator).tolist()
    room = torch.tensor([found.shape[2] - height + 1, found.shape[3] - width + 1])
    corners = (torch.rand(n, 2, generator=generator) * room).long().tolist()
    places = zip(which, corners, strict=True)
    return torch.stack([found[i, :, y : y + height, x : x + width] for i, (y, x) in places]).float()


def _read(given: str | PathLike[str], channels: int, size: int) -> Tensor:
    """Pictures of a file or a folder, the shorter side ``size`` pixels."""
    path = as_path("backgrounds", given, "pass pictures or a folder of them")
    mode = "RGB" if channels == 3 else "grey"
    if path.is_dir() and not pictures_in(path):
        raise wrong("backgrounds", "be pictures", f"{path}, without any", "pass a folder of them")
    found: Tensor = read(path, size=size, mode=mode, normalise="unit").inputs
    return found
