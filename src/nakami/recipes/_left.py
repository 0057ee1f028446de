"""What a training leaves in its folder beside its phases: settings, weights, figures."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import Any

from nakami.data import Examples, save_weights
from nakami.results import read_record, write_new, wrong
from nakami.training import KIND

from ._examples import DataFiles, is_schema, prepared_of
from ._own import recipe_of
from ._settings import as_toml, with_values
from ._subject import Network, Subject

SETTINGS, RUN, PREPARATION = "settings.toml", "run.json", "preparation.json"


def write_settings(
    folder: str | PathLike[str],
    name: str,
    settings: Any,
    seed: int,
    train: Examples,
    files: DataFiles | None,
) -> None:
    """Write ``settings.toml``, with the command that trains the same again; one there stays."""
    command = ["nakami", "train", name, "--settings", SETTINGS]
    for option, value in (files.about() if files else {}).items():
        command += [f"--{option}", str(value)]
    head = (shlex.join(command), f"Data: {train.source}")
    write_new(Path(folder) / SETTINGS, as_toml(settings, seed, head), "folder")


def write_preparation(folder: str | PathLike[str], files: DataFiles | None) -> None:
    """Write ``preparation.json``, which turns other rows into numbers as these were.

    Of data by a schema alone; one that is there stays.
    """
    if files is not None and is_schema(files):
        kept = json.dumps(prepared_of(files).preparation.to_json(), ensure_ascii=False)
        write_new(Path(folder) / PREPARATION, kept, "folder")


def leave_nothing(folder: str | PathLike[str]) -> None:
    """Remove a training that has no piece yet, as its data or settings were refused."""
    path = Path(folder)
    if not any((path / "pieces").glob("*")):
        for file in (RUN, SETTINGS, PREPARATION):
            (path / file).unlink(missing_ok=True)
        with suppress(OSError):  # it may hold what is not ours
            path.rmdir()


def trained_as(folder: str | PathLike[str]) -> tuple[str, dict[str, Any]]:
    """The recipe whose training a folder holds, and what ``prepare`` reads it back with.

    Returns:
        Its name; ``data``, ``seed``, ``settings`` and ``accelerator``.

    Raises:
        UsageError: No training of a recipe is there.
    """
    record = read_record(folder)
    kept = record.settings
    if record.kind != KIND or "recipe" not in kept:
        way_out = "give a folder that nakami train has made, or the name of a recipe"
        raise wrong("folder", "hold the training of a recipe", record.folder, way_out)
    usual = recipe_of(kept["recipe"]).settings
    settings = with_values(usual, {k: v for k, v in kept.items() if hasattr(usual, k)})
    files = record.result.get("files", kept.get("files"))  # those of its figures
    return kept["recipe"], {
        "data": files and DataFiles(files.pop("data"), **files),
        "seed": kept["seed"],
        "settings": settings,
        "accelerator": kept.get("accelerator", "cpu"),
    }


def write_weights(subject: Subject, folder: str | PathLike[str]) -> dict[str, Path]:
    """The weights of each network as ``folder/networks/<name>.safetensors``, by name.

    Args:
        subject: From ``prepare``.
        folder: That of its training; a file that is there stays.

    Raises:
        UsageError: It cannot be written there.
    """
    files = {n.name: Path(folder) / "networks" / f"{n.name}.safetensors" for n in subject.networks}
    for network in subject.networks:
        if not files[network.name].exists():
            save_weights(network.trained or network.model, files[network.name])
    return files


def told_of(networks: Sequence[Network]) -> dict[str, Any]:
    """Of each network how it was trained, and its facts by label."""
    return {
        n.name: {"training": n.training, "facts": {fact["label"]: fact for fact in n.facts}}
        for n in networks
    }


def table_of_facts(networks: Sequence[Network]) -> dict[str, Any]:
    """A row for each fact, as a run keeps tables."""
    rows = [
        (n.name, f["label"], *_value(f), f.get("spread_kind", ""))
        for n in networks
        for f in n.facts
    ]
    head = ("network", "fact", "value", "±", "± is")
    return {"title": "Networks", "caption": "", "head": head, "rows": rows, "left": 2}


def _value(fact: Mapping[str, Any]) -> tuple[str, str]:
    """A value with its unit, and its spread, if it has one, to two digits."""
    spread, unit = fact.get("spread"), str(fact.get("unit") or "")
    unit = unit and f" {unit}"
    if not spread:
        return f"{fact['value']:.4g}{unit}", "" if spread is None else f"0{unit}"
    places = max(0, 1 - math.floor(math.log10(spread)))
    return f"{fact['value']:z.{places}f}{unit}", f"{spread:z.{places}f}{unit}"
