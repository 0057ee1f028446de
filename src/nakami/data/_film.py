"""Films: objects that move over a background."""

from __future__ import annotations

import math

import torch

from nakami.results import check_at_least, check_ends, check_seed, counted

from ._objects import Objects
from ._scenes import Scenes, check_asked, made, thing, uniform
from ._textures import Backgrounds, backdrops


def film(
    objects: Objects,
    frames: int,
    *,
    size: tuple[int, int] = (96, 96),
    count: int = 4,
    sides: tuple[float, float] = (14, 30),
    speed: tuple[float, float] = (1, 4),
    backgrounds: Backgrounds = None,
    seed: int = 0,
) -> Scenes:
    """Objects that move over one background: each appears, goes straight on, and disappears.

    An object is there for between half of the frames and all. It is reflected at the borders, and a
    later one covers an earlier one where they cross.

    Args:
        objects: Drawn from with replacement.
        frames: Number of pictures.
        size: As for ``scenes``.
        count: Number of objects.
        sides: As for ``scenes``.
        speed: Least and greatest way of an object from frame to frame, in pixels.
        backgrounds: As for ``scenes``; one is taken for the whole film.
        seed: Decides all that is random; torch's global generator is not touched.

    Returns:
        The frames in order; ``tracks`` tells the objects apart.
    """
    frames = check_at_least("frames", frames, 1, "pass frames=40")
    count = check_at_least("count", count, 1, "pass count=4")
    size, _, sides = check_asked(objects, size, (count, count), sides)
    rule = "be the least and the greatest way in pixels, from 0 on"
    speed = check_ends("speed", speed, 0, math.inf, rule, "write speed=(1, 4)")
    g = torch.Generator().manual_seed(check_seed(seed))
    ground = backdrops(backgrounds, 1, (objects.pictures.shape[1], *size), g)
    pictures = ground.repeat(frames, 1, 1, 1)
    seen = list[tuple[int, int, list[int], int]]()  # frame, track, box, which object
    for track in range(count):
        pasted = thing(objects, sides, g)
        life = frames - int(torch.randint(frames // 2 + 1, (), generator=g))
        born = int(torch.randint(frames - life + 1, (), generator=g))
        for frame, place in enumerate(_way(pasted.sides, size, speed, life, g), born):
            pasted.paste(pictures[frame], *place)
            seen.append((frame, track, pasted.box(*place), pasted.index))
    seen.sort(key=lambda one: one[:2])
    rows, tracks, boxes, found = (list(part) for part in zip(*seen, strict=True))
    source = f"{counted(frames, 'frame')} of {size[0]} x {size[1]} pixels with the {objects.source}"
    return made(objects, pictures, boxes, found, rows, tracks, source)


def _way(
    sides: tuple[int, int],
    size: tuple[int, int],
    speed: tuple[float, float],
    frames: int,
    g: torch.Generator,
) -> list[tuple[int, int]]:
    """Top and left of an object in each frame: straight on, reflected at the borders."""
    pace, angle = uniform(speed, g), uniform((0, 2 * math.pi), g)
    places = list[list[int]]()
    for axis, part in enumerate((math.sin(angle), math.cos(angle))):
        room = size[axis] - sides[axis]
        at = uniform((0, room), g) + pace * part * torch.arange(frames)
        folded = (at % (2 * room) - room).abs() if room else torch.zeros(frames)
        places.append((room - folded).round().long().tolist())
    return list(zip(*places, strict=True))
