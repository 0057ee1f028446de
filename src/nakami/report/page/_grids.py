"""Grids of pictures, ready to be placed on a page."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from nakami.results import Box

from ..words import _numbers as num


@dataclass(frozen=True)
class Picture:
    """One image of a grid; ``doubt`` says why it should not be trusted.

    ``alt`` is markup already, since an attribute takes no raised figures.
    """

    source: str
    alt: Markup
    signed: bool = True
    doubt: str = ""
    gain: str = ""
    area: str = ""
    boxes: tuple[Box, ...] = ()


@dataclass(frozen=True)
class Row:
    """One row: the same direction at every input, with means over all inputs."""

    name: str
    pictures: list[Picture]
    gain: str
    area: str

    @property
    def doubt(self) -> str:
        """Why some picture of the row should not be trusted, or nothing."""
        return next((p.doubt for p in self.pictures if p.doubt), "")


@dataclass(frozen=True)
class Grid:
    """Pictures of one network at one stage."""

    title: str
    inputs: list[Picture]
    rows: list[Row]


@dataclass(frozen=True)
class Grids:
    """All grids of a figure, by stage, on one colour scale that ends at ``top``.

    Attributes:
        width, height: Of a picture, in pixels. small: Whether its single pixels can be seen.
        inverted: Whether inputs are white on black, to be inverted on light paper.
        label: What is shown. values: What the scale's values are. heads: Above the two numbers
            behind each row of small pictures.
    """

    width: int
    height: int
    small: bool
    top: float
    inverted: bool
    by_stage: dict[str, list[Grid]]
    label: str = "Singular vectors"
    values: str = "value of a vector of length 1"
    heads: tuple[str, str] = ("gain s", "area, px")

    @property
    def stages(self) -> list[str]:
        """Names of the stages shown."""
        return list(self.by_stage)

    @property
    def ticks(self) -> list[str]:
        """Values at the ends, quarters and middle of the scale's bar.

        The scale is a root, so the quarter stands half way.
        """
        return [num.number(v * self.top, 2) for v in (-1, -0.25, 0, 0.25, 1)]

    @property
    def doubted(self) -> bool:
        """Whether some picture carries a dotted underline."""
        return any(row.doubt for grids in self.by_stage.values() for g in grids for row in g.rows)
