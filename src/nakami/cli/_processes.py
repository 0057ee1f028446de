"""Commands that torchrun started in several processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from nakami.results import wrong


def leave_to_the_first() -> None:
    """End where torchrun started several of us and this is not the first, which does it all.

    Raises:
        typer.Exit: With code 0, so that torchrun lets the first go on.
    """
    rank, size = (os.environ.get(name, "0") for name in ("RANK", "WORLD_SIZE"))
    if "TORCHELASTIC_RUN_ID" in os.environ and rank != "0":
        typer.echo(
            f"note: process {rank} of torchrun's {size} ends here: the command works in process 0 "
            "alone; unset RANK to start one of its own.",
            err=True,
        )
        raise typer.Exit


@contextmanager
def shared(accelerator: str, folder: Path, shard: bool) -> Iterator[tuple[Path, bool]]:
    """Within it trainings are shared by torchrun's processes.

    Gives the folder of the run, in all but the first a copy, which is left again; and whether this
    is the first process, which alone speaks.
    """
    from nakami import training

    with (
        training.together(accelerator, shard=shard) as here,
        training.shared_folder(folder) as place,
    ):
        if shard and here.size == 1:
            way_out = "start torchrun --nproc-per-node 2 -m nakami train ..., or leave it out"
            raise wrong("--shard", "split the weights over several processes", "one", way_out)
        yield place, here.rank == 0
