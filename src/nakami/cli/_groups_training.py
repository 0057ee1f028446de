"""Options of the examples that a training reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nakami.results import wrong

from ._groups import DATA, PICTURES, ReadOptions, memory_budget, there

if TYPE_CHECKING:
    from nakami.recipes import DataFiles

TRAINED_ON = (
    "Examples: a folder with the files of MNIST or Fashion-MNIST, one IDX file (.gz), an .npy or "
    ".npz, or a folder of pictures, with a folder inside for each class where there are labels. "
    "Pixels are in 0..1. Or a schema (.toml) of `nakami data inspect`. Language models take a text "
    "in UTF-8, networks of trees sentences in brackets, speech a folder of "
    "WAV files for each word, captions a folder of pictures with a table captions.txt "
    "(image,caption). Default: what is shipped."
)


@dataclass(frozen=True)
class TrainingDataOptions(ReadOptions):
    """Which examples a recipe is trained and tested on."""

    data: Annotated[
        Path | None, typer.Option(callback=there, metavar="PATH", help=TRAINED_ON), DATA
    ] = None
    size: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            rich_help_panel=PICTURES,
            help="Scale the shorter side to N and cut the centre N x N (default: as they are).",
        ),
    ] = None
    mode: Annotated[
        str | None,
        typer.Option(rich_help_panel=PICTURES, help="RGB or grey (default: as they are)."),
    ] = None
    test: Annotated[
        Path | None,
        typer.Option(
            callback=there,
            metavar="PATH",
            help="Examples to test on. Default: the test part of --data; where it has none a "
            "random tenth, the same for each run, which is then left out of training.",
        ),
    ] = None
    memory_budget: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="Memory for the tensors of a schema, e.g. 1GiB (default: 4GiB); larger ones are "
            "kept in a folder beside the schema and read from there, to the same bits.",
        ),
    ] = None

    @property
    def files(self) -> DataFiles | None:
        """What the recipe reads; None: what it has itself."""
        from nakami.recipes import DataFiles

        if self.data is None:
            return None
        budget = memory_budget(self.memory_budget)
        return DataFiles(self.data, self.test, self.size, self.mode, self.key, budget)

    def check(self) -> None:
        """Refuse options that read no data."""
        for name, value in vars(self).items():
            if self.data is None and value is not None:
                way_out = "name the data with --data"
                option = name.replace("_", "-")
                raise wrong(f"--{option}", "come with --data", "shipped data", way_out)
