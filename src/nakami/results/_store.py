"""A run on disk: ``run.json``, one folder for each piece, ``result.json`` at the end.

A piece is done when its ``result.json`` exists: arrays are written first, the json last, both by
rename. So a killed run leaves whole pieces only, and starting it again does what is missing.
"""

from __future__ import annotations

import errno
import hashlib
import importlib.metadata
import json
import math
import os
import platform
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from ._errors import RunError, UsageError, wrong, wrong_type
from ._same import check_same, checked
from ._spectrum import Spectrum, StageInfo
from ._xray import Estimate, Xray

SCHEMA = "nakami.xray/1"


class RunFolder:
    """A run being written; ``Xray`` is the same run being read.

    Args:
        path: The folder; made if missing.
        settings: What ``run.json`` holds. A folder that already holds a run continues it if its
            settings are the same, and is refused, naming the field, if they are not.
    """

    def __init__(self, path: str | PathLike[str], settings: Mapping[str, Any]):
        self.path = _path("out", path)
        with disk(self.path):
            (self.path / "pieces").mkdir(parents=True, exist_ok=True)
        self.settings = {"schema": SCHEMA, **_plain(settings)}
        if (self.path / "run.json").exists():
            old = _read_settings(self.path)
            check_same(old, self.settings, self.path)
            self.settings = old  # the same, but for what is not compared
        else:
            self.settings["created"] = datetime.now(UTC).isoformat(timespec="seconds")
            self._write("run.json", self.settings)

    def has(self, index: int, stage: str, source: str = "input") -> bool:
        """Whether this piece is done."""
        return (self._piece(index, stage, source) / "result.json").exists()

    def write_input(self, index: int, x: np.ndarray) -> None:
        """Keep example ``index`` as the network saw it (stage 0 is the input)."""
        self._write_piece(self._piece(index, "input"), {"input": index}, {"x": x}, 0.0)

    def write(self, spectrum: Spectrum) -> None:
        """Write one piece; when this returns, the piece is done."""
        record = spectrum.record()
        seconds = record.pop("seconds")
        where = self._piece(spectrum.input, spectrum.stage, spectrum.source)
        self._write_piece(where, record, spectrum.arrays(), seconds)

    def finish(self) -> Xray:
        """Write ``result.json`` from the pieces and read the run back."""
        run = load(self.path)
        body = {"schema": SCHEMA, "settings": checked(self.settings), **summary_record(run)}
        self._write("result.json", body)
        return run

    def _piece(self, index: int, stage: str, source: str = "input") -> Path:
        name = stage if source == "input" else f"{stage}@{source}"
        slug = re.sub(r"[^A-Za-z0-9._@-]", "_", name)[:80]
        if slug != name:  # two odd names must not meet in one folder
            slug += "-" + hashlib.sha256(name.encode()).hexdigest()[:8]
        return self.path / "pieces" / f"{index:04d}-{slug}"

    def _write_piece(
        self, folder: Path, record: dict[str, Any], arrays: dict[str, np.ndarray], seconds: float
    ) -> None:
        with disk(folder):
            folder.mkdir(exist_ok=True)
            # safetensors stores memory as it lies, so a strided view would be permuted in silence
            solid = {key: np.ascontiguousarray(value) for key, value in arrays.items()}
            _replace(folder / "arrays.safetensors", save(solid))
            _replace(folder / "timing.json", _dump({"seconds": round(seconds, 3)}))
            _replace(folder / "result.json", _dump(record))

    def _write(self, name: str, body: Mapping[str, Any]) -> None:
        with disk(self.path):
            _replace(self.path / name, _dump(body))


def load(folder: str | PathLike[str]) -> Xray:
    """Read a run back, finished or not: what is there, in order of depth.

    Args:
        folder: The run's folder (the one that holds ``run.json``).

    Raises:
        UsageError: No run there, a newer schema, or a damaged piece.
    """
    path = _path("folder", folder)
    settings = _read_settings(path)
    stages = tuple(StageInfo(s["name"], s["kind"], tuple(s["shape"])) for s in settings["stages"])
    inputs: dict[int, np.ndarray] = {}
    spectra = []
    for record, arrays, seconds in _pieces(path):
        if "stage" in record:
            spectra.append(Spectrum.restore({**record, "seconds": seconds}, arrays))
        else:
            inputs[record["input"]] = arrays["x"]
    order = {s.name: i for i, s in enumerate(stages)}
    spectra.sort(key=lambda s: (order[s.stage], order[s.source], s.input))
    whole = range(next(i for i in range(len(inputs) + 1) if i not in inputs))  # row i is input i
    stack = np.stack([inputs[i] for i in whole]) if whole else np.zeros((0,))
    return Xray(settings, stages, stack, tuple(spectra), path)


def _path(argument: str, folder: str | PathLike[str]) -> Path:
    if not isinstance(folder, (str, PathLike)):
        raise wrong_type(argument, "be a path", repr(folder), "give the folder of a run")
    return Path(folder)


def versions() -> dict[str, str]:
    """Versions that decide the bits of a result."""
    packages = ("nakami", "torch", "numpy", "scipy")
    found = {"python": platform.python_version()}
    for name in packages:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def summary_record(run: Xray) -> dict[str, Any]:
    """The summary of a run as plain JSON values (what ``--json`` prints)."""
    rows = [
        {k: _number(v) for k, v in vars(row).items()}
        for stage in run.stages  # each may be a source; the input is the first
        for row in run.summary(stage.name)
    ]
    return {"converged": run.converged, "n_inputs": run.n_inputs, "summary": rows}


@contextmanager
def disk(path: Path, argument: str = "out") -> Iterator[None]:
    """Turn an operating system's error into one sentence with the way out.

    Args:
        path: What is being written.
        argument: The caller's argument that named the folder.

    Raises:
        UsageError: The folder cannot be written, or is a file.
        RunError: The disk is full, or fails.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise RunError(
                f"no space left while writing {path}; free some space and start the same command "
                "again, what is finished is kept."
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            rule = "be a folder that can be written"
            raise wrong(argument, rule, path, "choose another") from error
        if error.errno in (errno.EEXIST, errno.ENOTDIR):
            got = f"a file on the way to {path}"
            raise wrong(argument, "be a folder", got, "choose another") from error
        raise RunError(f"writing {path} failed ({error}); nothing finished is lost.") from error


def _pieces(path: Path) -> Iterator[tuple[dict[str, Any], dict[str, np.ndarray], float]]:
    for done in sorted((path / "pieces").glob("*/result.json")):
        try:
            record = json.loads(done.read_text())
            arrays = load_file(done.parent / "arrays.safetensors")
        except (ValueError, OSError, SafetensorError) as error:
            raise UsageError(
                f"piece {done.parent.name} of {path} is damaged ({error}); delete that folder and "
                "start the same command again."
            ) from error
        timing = done.parent / "timing.json"
        seconds = json.loads(timing.read_text())["seconds"] if timing.exists() else 0.0
        yield record, arrays, seconds


def _read_settings(path: Path) -> dict[str, Any]:
    try:
        settings = json.loads((path / "run.json").read_text())
    except FileNotFoundError as error:
        runs = sorted(str(found.parent) for found in path.glob("**/run.json"))[:4]
        way_out = "give the folder of a run" + (f", as {', '.join(runs)}" if runs else "")
        raise wrong("folder", "hold a run.json", path, way_out) from error
    except (ValueError, OSError) as error:
        raise UsageError(
            f"run.json in {path} cannot be read ({error}); choose another folder."
        ) from error
    kind, _, number = str(settings.get("schema", "")).partition("/")
    if kind != SCHEMA.partition("/")[0] or not number.isdigit():
        raise UsageError(
            f"schema must be {SCHEMA!r}, got {settings.get('schema')!r} in {path}; "
            "give the folder of an x-ray."
        )
    if int(number) > int(SCHEMA.partition("/")[2]):
        raise UsageError(
            f"schema must be at most {SCHEMA!r}, got {settings['schema']!r} in {path}; "
            "update nakami to read this run."
        )
    return settings


def _number(value: Any) -> Any:
    if isinstance(value, Estimate):
        return {**{k: _number(v) for k, v in vars(value).items()}, "se": _number(value.se)}
    if isinstance(value, float) and not math.isfinite(value):
        return None  # JSON knows no NaN
    return list(value) if isinstance(value, tuple) else value


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(settings, default=str))


def _dump(body: Mapping[str, Any]) -> bytes:
    return (json.dumps(body, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _replace(path: Path, content: bytes) -> None:
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
