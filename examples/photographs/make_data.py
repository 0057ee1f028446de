"""Draw pictures of three kinds in a folder for each: photographs/. Yours take their place."""

import random
import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter

KINDS = ("cup", "key", "leaf")


def drawn(kind: str, rng: random.Random) -> Image.Image:
    """A thing of a kind, at a place, in a size and a colour by chance, on a background."""
    wide, high = rng.randint(70, 140), rng.randint(70, 140)
    picture = Image.effect_noise((wide, high), rng.uniform(10, 40)).convert("RGB")
    tint = Image.new("RGB", picture.size, tuple(rng.randint(60, 255) for _ in range(3)))
    picture = Image.blend(picture, tint, 0.7)
    pen = ImageDraw.Draw(picture)
    ink = tuple(rng.randint(0, 120) for _ in range(3))
    s = min(wide, high) * rng.uniform(0.35, 0.5)  # the thing's size
    x, y = wide / 2 + rng.uniform(-0.1, 0.1) * s, high / 2 + rng.uniform(-0.1, 0.1) * s
    if kind == "cup":
        pen.rectangle((x - s / 2, y - s / 2, x + s / 4, y + s / 2), fill=ink)
        pen.arc((x, y - s / 4, x + s / 2, y + s / 4), -90, 90, fill=ink, width=int(s / 10) + 1)
    elif kind == "key":
        pen.ellipse((x - s / 2, y - s / 4, x, y + s / 4), outline=ink, width=int(s / 8) + 1)
        pen.rectangle((x, y - s / 16, x + s / 2, y + s / 16), fill=ink)
        pen.rectangle((x + s / 3, y, x + s / 2.4, y + s / 4), fill=ink)
    else:
        pen.ellipse((x - s / 2, y - s / 5, x + s / 2, y + s / 5), fill=ink)
        pen.line((x - 0.7 * s, y, x + s / 2, y), fill=ink, width=int(s / 20) + 1)
    return picture.filter(ImageFilter.GaussianBlur(rng.uniform(0, 1)))


rng = random.Random(0)
for i in range(int(sys.argv[1])):
    kind = KINDS[i % len(KINDS)]
    folder = Path("photographs", kind)
    folder.mkdir(parents=True, exist_ok=True)
    drawn(kind, rng).save(folder / f"{i:04}.{rng.choice(('jpg', 'png'))}")
