"""Training in phases that survive a kill: each leaves its weights in a folder, by rename.

A phase owns a generator made from the seed and its name alone, and starts from weights that went
through the file. So a training that was interrupted between two phases, or within one and started
again, ends in the same bits as an unbroken one (same machine kind). A phase runs on one thread: its
matrices are too small to gain from more, on a busy machine they lose badly, and so the number of
threads decides nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from nakami.results import UsageError, versions, write_whole

SCHEMA = "nakami.training/1"
SETTINGS = "training.json"
UNCHECKED = ("versions", "threads")


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch computes on one thread within, and on as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def phase_generator(seed: int, phase: str) -> torch.Generator:
    """A generator of its own for each pair of seed and phase."""
    digest = hashlib.sha256(f"{seed}/{phase}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8]) >> 1)


class Phases:
    """The phases of one training, kept in one folder.

    Args:
        folder: Made if missing. A folder that holds a training goes on with it if the settings are
            the same, and is refused, naming the field, if they are not.
        settings: All that decides the weights, ``seed`` among it; plain JSON values.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]):
        self.folder, self.seed = folder, int(settings["seed"])
        new = _plain(settings)
        path = folder / SETTINGS
        if path.exists():
            _check_same(_read_settings(path), new, folder)
        else:
            record = {**new, "versions": versions(), "threads": 1}
            write_whole(path, json.dumps(record, indent=1) + "\n", "folder")

    def has(self, phase: str) -> bool:
        """Whether this phase's weights are there."""
        return self._path(phase).exists()

    def run(
        self, phase: str, train: Callable[[torch.Generator], dict[str, Tensor]]
    ) -> dict[str, Tensor]:
        """Weights of a phase: read back, or trained with the phase's generator and written."""
        path = self._path(phase)
        if not path.exists():
            with one_thread():
                tensors = train(phase_generator(self.seed, phase))
            kept = save({k: v.detach().contiguous() for k, v in tensors.items()})
            write_whole(path, kept, "folder")
        try:
            return load_file(path)
        except (SafetensorError, OSError) as error:
            raise UsageError(
                f"{path} is damaged ({error}); delete that file and start the same command again."
            ) from error

    def _path(self, phase: str) -> Path:
        return _file(self.folder, phase)


def finished(folder: Path, settings: Mapping[str, Any], phases: Iterable[str]) -> bool:
    """Whether a folder holds these phases of a training with these settings; writes nothing."""
    try:
        old = _flat(_read_settings(folder / SETTINGS))
    except UsageError:
        return False
    same = not _differing(old, _flat(_plain(settings)))
    return same and all(_file(folder, phase).exists() for phase in phases)


def _read_settings(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text()))
    except (ValueError, OSError) as error:
        raise UsageError(f"{path} cannot be read ({error}); choose another folder.") from error


def _check_same(old: dict[str, Any], new: dict[str, Any], folder: Path) -> None:
    a, b = _flat(old), _flat(new)
    for field in _differing(a, b):
        raise UsageError(
            f"{field} must be as in the training that {folder} holds, {a.get(field)!r}, got "
            f"{b.get(field)!r}; choose another folder or delete this one."
        )


def _differing(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    fields = (f for f in sorted(a.keys() | b.keys()) if f.partition(".")[0] not in UNCHECKED)
    return [f for f in fields if a.get(f) != b.get(f)]


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    return dict(json.loads(json.dumps({"schema": SCHEMA, **settings})))


def _file(folder: Path, phase: str) -> Path:
    return folder / f"weights-{phase}.safetensors"


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        nested = isinstance(value, Mapping)
        flat.update(_flat(value, f"{prefix}{key}.") if nested else {f"{prefix}{key}": value})
    return flat
