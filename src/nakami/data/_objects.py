"""Objects that are pasted into scenes: shapes drawn here, or the pictures of any labelled data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nakami.results import (
    check_at_least,
    check_choice,
    check_seed,
    is_number,
    unknown,
    wrong,
    wrong_type,
)

from ._examples import Examples, pictures_of

VISIBLE = 0.3  # opacity from which on a pixel belongs to an object's box
BORDER = 0.02  # mean value of the border below which pictures are ink on black
FINE = 8  # points along a pixel's side at which a shape is asked for
COLOURS = {
    "red": (0.9, 0.15, 0.15),
    "green": (0.15, 0.75, 0.25),
    "blue": (0.2, 0.35, 0.95),
    "yellow": (0.95, 0.85, 0.15),
    "magenta": (0.85, 0.2, 0.8),
    "white": (0.95, 0.95, 0.95),
}
KINDS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {  # x to the right, y down, both in -1..1
    "square": lambda x, y: torch.maximum(x.abs(), y.abs()) <= 0.8,
    "circle": lambda x, y: x.square() + y.square() <= 0.9,
    "triangle": lambda x, y: (y <= 0.8) & (y + 0.8 >= 2 * x.abs()),
    "equilateral": lambda x, y: (y <= 0.45) & (y + 0.9 >= 3**0.5 * x.abs()),
    "diamond": lambda x, y: x.abs() + y.abs() <= 0.95,
    "cross": lambda x, y: (
        (torch.minimum(x.abs(), y.abs()) <= 0.3) & (torch.maximum(x.abs(), y.abs()) <= 0.9)
    ),
}


@dataclass(frozen=True)
class Objects:
    """Things that can be pasted, read-only by agreement.

    Attributes:
        pictures: ``(N, C, H, W)``, their colours, values in 0..1.
        opacity: ``(N, 1, H, W)``, 0 where the background shows, 1 where it is covered.
        labels: ``(N,)`` int64, their classes.
        names: One for each: ``"red square"``.
        classes: Names of the classes 0, 1, ...
        source: One sentence: what this is and where it came from.
    """

    pictures: Tensor
    opacity: Tensor
    labels: Tensor
    names: tuple[str, ...]
    classes: tuple[str, ...]
    source: str

    def __len__(self) -> int:
        return len(self.names)

    def cut(self, index: int) -> tuple[Tensor, Tensor]:
        """Colours ``(C, h, w)`` and opacity ``(1, h, w)`` of one within its box.

        The box is the smallest one that holds all pixels of opacity 0.3 or more.
        """
        seen = self.opacity[index, 0] >= VISIBLE
        rows, columns = (seen.any(axis).nonzero().flatten().tolist() for axis in (1, 0))
        if not rows:  # nothing to be seen: all of it
            return self.pictures[index], self.opacity[index]
        y, x = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        return self.pictures[index, :, y, x], self.opacity[index, :, y, x]


def objects_of(examples: Examples, opacity: str = "auto") -> Objects:
    """The pictures of labelled examples as objects.

    Args:
        examples: Pictures ``(N, C, H, W)`` or ``(N, H, W)`` with values in 0..1, and labels.
        opacity: ``"ink"``: as opaque as bright, so that black is left out; ``"full"``: opaque;
            ``"auto"``: ink where the outermost pixels are black, as those of digits are.

    Raises:
        UsageError: No pictures, no labels, labels without a class, or values outside 0..1.
    """
    check_choice("opacity", opacity, ("auto", "ink", "full"), "leave it out")
    x, labels = pictures_of(examples, "pass data.digits()"), examples.labels
    if x.shape[1] not in (1, 3) or labels is None:
        rule = "hold pictures of 1 or 3 channels, with labels"
        raise wrong("examples", rule, examples.source, "pass data.digits()")
    if not (x.min() >= 0 and x.max() <= 1):
        got = f"{float(x.min()):g} to {float(x.max()):g}"
        raise wrong("examples", "lie in 0..1", got, "read pictures with normalise='unit'")
    bright = x.amax(1, keepdim=True)
    edge = torch.cat([bright[..., 0, :], bright[..., -1, :], bright[..., 0], bright[..., -1]], -1)
    ink = opacity == "ink" or (opacity == "auto" and float(edge.mean()) < BORDER)
    covered = bright if ink else torch.ones_like(bright)
    colours = x / bright.clamp_min(1e-6) if ink else x  # of the ink itself
    known = examples.classes or tuple(str(i) for i in range(int(labels.max()) + 1))
    if not (labels.min() >= 0 and labels.max() < len(known)):
        got = f"{int(labels.min())} to {int(labels.max())}"
        rule, way_out = f"have labels from 0 to {len(known) - 1}", "leave the others out"
        raise wrong("examples", rule, got, way_out)
    names = tuple(known[i] for i in labels.tolist())
    return Objects(colours.clamp(0, 1), covered, labels, names, known, examples.source)


def shapes(
    n: int,
    kinds: Sequence[str] = ("square", "circle", "triangle"),
    *,
    colours: Sequence[str] | None = None,
    turn: float = 0.0,
    stretch: float = 1.0,
    size: int = 28,
    seed: int = 0,
) -> Objects:
    """Plain shapes, each of a kind and a colour drawn at random.

    Args:
        n: How many.
        kinds: The classes, in order: ``"square"``, ``"circle"``, ``"triangle"``, ``"equilateral"``
            (a triangle), ``"diamond"``, ``"cross"``.
        colours: Names of colours, which make RGB pictures: ``"red"``, ``"green"``, ``"blue"``,
            ``"yellow"``, ``"magenta"``, ``"white"``; None: grey pictures, white.
        turn: Each is turned by up to so many degrees to either side, from 0 on.
        stretch: Before that each is made narrower or lower, by a factor drawn evenly on a
            logarithmic scale from 1 to so much: rectangles, ellipses.
        size: Pixels of a side.
        seed: Decides all that is random.

    Returns:
        Objects whose names say colour and kind (``"red square"``) and whose classes are the kinds.
    """
    n, size = check_at_least("n", n, 1, "pass n=100"), check_at_least("size", size, 4, "pass 28")
    for argument, names, known in (("kinds", kinds, KINDS), ("colours", colours or (), COLOURS)):
        given: object = names
        if not isinstance(given, Sequence):
            got, way_out = type(names).__name__, f"write ({next(iter(known))!r},)"
            raise wrong_type(argument, "be a sequence of names", got, way_out)
        for name in names:
            if name not in known:
                raise unknown(argument, str(name), known)
    if not kinds:
        raise wrong("kinds", "name one kind or more", "none", "write ('square', 'circle')")
    if colours is not None and not colours:
        raise wrong("colours", "name one colour or more", "none", "leave it out for grey shapes")
    if not (is_number(turn) and 0 <= turn <= 360):
        raise wrong("turn", "be a number of degrees from 0 to 360", turn, "use 15")
    if not (is_number(stretch) and 1 <= stretch <= 8):
        raise wrong("stretch", "be a number from 1 to 8", stretch, "use 2")
    g = torch.Generator().manual_seed(check_seed(seed))
    labels = torch.randint(len(kinds), (n,), generator=g)
    painted = torch.randint(len(colours or "-"), (n,), generator=g)
    angles = (2 * torch.rand(n, generator=g) - 1) * turn * torch.pi / 180
    sides = _sides(n, stretch, g)
    opacity = torch.stack(
        [
            _drawn(kinds[k], float(a), size, pair)
            for k, a, pair in zip(labels.tolist(), angles, sides.tolist(), strict=True)
        ]
    )
    source = f"{n:,} shapes drawn from seed {seed}"
    found = Objects(
        torch.ones_like(opacity), opacity, labels, (), tuple(kinds), source
    )  # fmt: skip
    if colours is None:
        return replace(found, names=tuple(kinds[k] for k in labels.tolist()))
    paint = torch.tensor([COLOURS[name] for name in colours])[painted]
    names = tuple(
        f"{colours[c]} {kinds[k]}" for c, k in zip(painted.tolist(), labels.tolist(), strict=True)
    )
    pictures = paint[:, :, None, None].expand(n, 3, size, size).clone()
    return replace(found, pictures=pictures, names=names)


def _sides(n: int, stretch: float, g: torch.Generator) -> Tensor:
    """Shares of width and height that shapes keep, ``(n, 2)``; draws only where they may differ."""
    sides = torch.ones(n, 2)
    if stretch > 1:
        factors = float(stretch) ** -torch.rand(n, generator=g)
        sides[torch.arange(n), torch.randint(2, (n,), generator=g)] = factors
    return sides


def _drawn(kind: str, angle: float, size: int, sides: Sequence[float]) -> Tensor:
    """Share of each pixel that a shape covers, ``(1, size, size)``."""
    points = size * FINE
    axis = (2 * torch.arange(points) + 1) / points - 1
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    cos, sin = torch.cos(torch.tensor(angle)), torch.sin(torch.tensor(angle))
    across, down = (cos * x + sin * y) / sides[0], (cos * y - sin * x) / sides[1]
    return torch.nn.functional.avg_pool2d(KINDS[kind](across, down).float()[None], FINE)
