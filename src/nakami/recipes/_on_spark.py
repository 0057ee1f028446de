"""The training of a caller's network, shared by processes that Spark starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nakami.results import as_path
from nakami.training import on_spark, shared_folder

from ._examples import data_files, is_schema, prepared_of
from ._left import write_weights
from ._own import own, recipe_of
from ._settings import with_values
from ._subject import Subject
from ._verbs import prepare, trained


def train_on_spark(
    make: Callable[[], nn.Module],
    folder: str | PathLike[str],
    *,
    data: str | PathLike[str],
    name: str | None = None,
    processes: int = 2,
    local: bool = False,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    accelerator: str = "cpu",
) -> Subject:
    """``own`` and ``prepare`` for a network of the caller's, by processes that Spark starts.

    Losses and weights are those of one process to rounding. After a stop the same call goes on from
    the last checkpoint; where the folder holds the whole training it is read, and Spark not asked.

    Args:
        make: Gives the network; first weights are drawn behind ``torch.manual_seed(seed)``.
        folder: As for ``prepare``; one that the driver and all machines of the cluster share.
        data: A schema; likewise, and the data that it names.
        name: Under which it is known, ``module:function``; None: that of ``make``.
        processes: As for ``training.on_spark``.
        local: As for ``training.on_spark``.
        seed: As for ``prepare``.
        settings: Those that are others than the usual, by name: ``{"epochs": 50}``.
        accelerator: As for ``prepare``.

    Raises:
        UsageError: As ``prepare`` and ``training.on_spark``.
        RunError: As ``training.on_spark``.
    """
    folder = as_path("folder", folder).resolve()
    name = name or f"{make.__module__}:{make.__qualname__}"
    files = data_files(data)
    own(name, partial(_seeded, make))
    values = with_values(recipe_of(name).settings, settings or {})
    options = {"data": files, "seed": seed, "settings": values, "accelerator": accelerator}
    if not trained(name, folder, **options):
        folder.mkdir(parents=True, exist_ok=True)
        work = partial(_train, make, name, folder, options)
        on_spark(
            work, processes, local=local, accelerator=accelerator, seen=(folder, *_paths(files))
        )
    return prepare(name, folder, **options)


def _seeded(make: Callable[[], nn.Module], seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return make()


def _train(make: Callable[[], nn.Module], name: str, folder: Path, options: dict[str, Any]) -> None:
    """In each process."""
    own(name, partial(_seeded, make))
    with shared_folder(folder) as place:
        write_weights(prepare(name, place, **options), place)


def _paths(files: Any) -> list[Path]:
    """What is read of the caller's data."""
    given = [Path(files.path)]
    return [*given, prepared_of(files).preparation.schema.path] if is_schema(files) else given
