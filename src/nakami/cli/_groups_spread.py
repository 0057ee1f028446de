"""Options of commands that several processes share: a reading spread, or a training shared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from nakami.results import wrong

from ._command import Stands

SPREAD = "Several processes"


@dataclass(frozen=True)
class SpreadOptions:
    """Over how many processes, and where they are."""

    jobs: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            rich_help_panel=SPREAD,
            help="Measure in N processes at the same time (-1: one for each core); numbers stay "
            "the same to the last bit. Default: one, for an x-ray that takes long as many as cores "
            "are free.",
        ),
        Stands(("jobs", "n_jobs")),
    ] = None
    backend: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=SPREAD,
            help="What runs them: loky (on this machine, the default), dask, ray or spark.",
        ),
    ] = None
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            rich_help_panel=SPREAD,
            help="Where the cluster of --backend is: tcp://HOST:8786 (dask), HOST:6379 (ray), "
            "spark://HOST:7077 (spark). Default: one that is started on this machine.",
        ),
    ] = None


@dataclass(frozen=True)
class SharedOptions(SpreadOptions):
    """By how many processes one training is shared."""

    jobs: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            rich_help_panel=SPREAD,
            help="Share the training of a network of yours among N processes of --backend spark "
            "(default: 2).",
        ),
        Stands(("processes",)),
    ] = None
    backend: Annotated[
        str | None,
        typer.Option(rich_help_panel=SPREAD, help="What starts them: spark."),
    ] = None
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            rich_help_panel=SPREAD,
            help="Where Spark is: spark://HOST:7077, yarn. Default: processes on this machine.",
        ),
    ] = None

    def check(self, name: str) -> None:
        """Refuse what is not shared in this way.

        Args:
            name: What is trained.
        """
        if self.backend is None:
            for option, value in (("jobs", self.jobs), ("cluster", self.cluster)):
                if value is not None:
                    way_out = "add it, or start torchrun --nproc-per-node 2 -m nakami train ..."
                    raise wrong(f"--{option}", "come with --backend spark", value, way_out)
            return
        if self.backend != "spark":
            way_out = "use spark, or start torchrun --nproc-per-node 2 -m nakami train ..."
            raise wrong("--backend", "be spark for a training", repr(self.backend), way_out)
        if self.jobs is not None and self.jobs < 1:
            raise wrong("--jobs", "be at least 1", self.jobs, "use 2")
        if ":" not in name:
            rule = "share the training of a network of yours, package.module:factory"
            raise wrong("--backend", rule, name, "leave it out")
