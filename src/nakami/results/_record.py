"""Runs on disk, of every kind: ``run.json``, a folder for each piece, ``result.json`` at the end.

A piece is done when its ``result.json`` exists: arrays are written first, the json last, both by
rename. So a killed run leaves whole pieces only, and starting it again does what is missing.
"""

from __future__ import annotations

import errno
import hashlib
import importlib.metadata
import platform
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from os import PathLike
from pathlib import Path
from typing import Any, final

import numpy as np

from ._entries import Entries
from ._errors import UsageError, wrong, wrong_type
from ._files import as_json, disk, plain, too_long, write_new, write_whole
from ._parts import T, typed, untyped
from ._pieces import RESULT, Piece, damage, read_json, read_piece, remove_piece, write_piece
from ._same import check_same, checked, differing
from ._shown import Shown

RUN = "run.json"
LONGEST = 100  # characters of a piece's folder


@dataclass(frozen=True, repr=False)
class Record(Shown):
    """A run as its folder holds it.

    Attributes:
        kind: Which kind of run: a name in ``KINDS``.
        settings: What ``run.json`` holds: all that decides the numbers, versions, ``created``.
        result: What ``result.json`` holds; empty while the run is unfinished.
        folder: Where it lies.
    """

    kind: str
    settings: dict[str, Any]
    result: dict[str, Any]
    folder: Path

    def __repr__(self) -> str:
        state = "finished" if self.result else "unfinished"
        return f"Record({self.kind}, {state}, in {self.folder})"

    def rows(self) -> list[dict[str, Any]]:
        """One flat dict for each single number of the result."""
        return [{"number": name, "value": value} for name, value in numbers_of(self.result)]

    def as_dict(self) -> dict[str, Any]:
        """Its kind, where it lies, and each single number of the result by name."""
        about = {"kind": self.kind, "folder": str(self.folder), "finished": bool(self.result)}
        return {**about, **dict(numbers_of(self.result))}

    def pieces(self) -> Iterator[Piece]:
        """The finished pieces, by name.

        Raises:
            UsageError: A piece is damaged.
        """
        for done in sorted((self.folder / "pieces").glob(f"*/{RESULT}")):
            yield read_piece(done.parent)

    def has(self, name: str) -> bool:
        """Whether a piece is done."""
        return (_piece(self.folder, name) / RESULT).exists()

    def piece(self, name: str) -> Piece:
        """One finished piece.

        Raises:
            UsageError: It is damaged.
        """
        return read_piece(_piece(self.folder, name))

    def part(self, name: str) -> Any:
        """What ``RecordFolder.kept`` has left under this name.

        Raises:
            UsageError: It is damaged, not there, or of an earlier layout, whose parts do not fit.
        """
        kind, schema = KINDS[self.kind], str(self.settings.get("schema", ""))
        fits = f"nakami.{self.kind}/{kind.version}"
        if "schema" in kind.renewed and schema != fits:
            way_out = "start the command that made it again"
            raise wrong("folder", f"hold a run of layout {fits}", schema, way_out)
        with damage(f"piece {name} of {self.folder}"):
            return untyped(self.piece(name).record["part"])


@dataclass(frozen=True)
class Kind:
    """A kind of run, one module of ``nakami.results.kinds`` each.

    Attributes:
        version: Of its layout; records of later ones are refused.
        read: What ``nakami.load`` makes of a record.
        compare: What ``nakami.compare`` makes of two results; None: their numbers side by side.
        unchecked: Settings that may differ when a run is continued.
        renewed: Settings with which a run begins anew where they differ; with ``schema`` where its
            layout is an earlier one, whose parts do not fit.
        whole: The part that is the result itself, where one is, so that its page is drawn again.
        drawn: What of a finished record the page shows, where no part is the whole.
    """

    version: int = 1
    read: Callable[[Record], Any] = lambda record: record
    compare: Callable[[Any, Any], Any] | None = None
    unchecked: tuple[str, ...] = ()
    renewed: tuple[str, ...] = ()
    whole: str = ""
    drawn: Callable[[Record], Any] | None = None


KINDS = Entries("nakami.results.kinds", Kind, "kind of run")


@final
class RecordFolder:
    """A run being written.

    Args:
        path: The folder; made if missing.
        kind: Name of its kind.
        settings: All that decides the numbers, as JSON takes it. A folder that already holds a run
            continues it if its settings are the same, and is refused, naming the field, if not.
        fresh: Forget whatever run the folder holds, with its pieces.
        argument: The caller's argument that named the folder.

    Raises:
        UsageError: Other settings, or the folder cannot be written.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        kind: str,
        settings: Mapping[str, Any],
        *,
        fresh: bool = False,
        argument: str = "out",
    ):
        self.path, self.kind, self._argument = as_path(argument, path), kind, argument
        self._spent = 0.0  # seconds in ``kept``
        schema = f"nakami.{kind}/{KINDS[kind].version}"
        self.settings = {
            "schema": schema,
            **plain(settings),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        text = as_json(self.settings)
        with disk(self.path, argument):
            self.path.mkdir(parents=True, exist_ok=True)
        if not fresh and (write_new(self.path / RUN, text, argument) or self._goes_on()):
            return
        self.reopen()
        with disk(self.path, argument):
            for piece in (self.path / "pieces").glob("*"):
                remove_piece(piece)
            with suppress(OSError):  # it may not be there, or not be empty
                (self.path / "pieces").rmdir()
        write_whole(self.path / RUN, text, argument)

    def _goes_on(self) -> bool:
        """Take up the folder's run, perhaps begun by another process just now.

        False where it begins anew; a ``UsageError`` where it is another run.
        """
        old, kind = read_record(self.path, self._argument), KINDS[self.kind]
        if old.kind != self.kind:
            way_out = f"pass another {{{self._argument}}}"
            raise wrong(self._argument, f"hold a run of kind {self.kind}", old.kind, way_out)
        fields = differing(old.settings, self.settings, kind.unchecked)
        if "schema" in kind.renewed and old.settings["schema"] != self.settings["schema"]:
            fields.append("schema")
        if fields and {field.partition(".")[0] for field in fields} <= {*kind.renewed}:
            return False
        check_same(old.settings, self.settings, self.path, self._argument, kind.unchecked)
        self.settings = old.settings  # the same, but for what is not compared
        return True

    def has(self, name: str) -> bool:
        """Whether this piece is done."""
        return (self._piece(name) / RESULT).exists()

    def read(self, name: str) -> Piece:
        """A finished piece.

        Raises:
            UsageError: It is damaged.
        """
        return read_piece(self._piece(name))

    def write(
        self,
        name: str,
        record: Mapping[str, Any],
        arrays: Mapping[str, np.ndarray] | bytes | None = None,
        seconds: float = 0.0,
    ) -> None:
        """Write one piece; when this returns, the piece is done.

        A piece of that name is replaced: a kill meanwhile leaves the old one or none.

        Args:
            name: Any text; odd characters are replaced in the folder's name.
            record: What is not an array, as JSON takes it.
            arrays: NumPy arrays by name, or the bytes of a safetensors file.
            seconds: Wall time that the piece took; of no effect on a comparison of runs.
        """
        write_piece(self._piece(name), record, arrays, seconds, self._argument)

    def kept(self, name: str, make: Callable[[], T], /) -> T:
        """A part of the run: read back if its piece is there, else made and written; a ``Keep``.

        Args:
            name: Of the piece.
            make: Gives the part: numbers, texts, tuples and dataclasses of this library.

        Raises:
            UsageError: The piece is damaged.
        """
        if self.has(name):
            with damage(f"piece {name} of {self.path}"):
                old: T = untyped(self.read(name).record["part"])
                return old
        began, before = time.monotonic(), self._spent
        part = make()
        seconds = time.monotonic() - began - (self._spent - before)  # without parts made inside
        self._spent += seconds
        self.write(name, {"part": typed(part)}, seconds=seconds)
        return part

    def discard(self, name: str) -> None:
        """Remove a piece, if it is there; a kill meanwhile leaves none."""
        with disk(self.path, self._argument):
            remove_piece(self._piece(name))

    def reopen(self) -> None:
        """Remove the ``result.json`` of an earlier end, as the run goes on beyond it."""
        with disk(self.path, self._argument):
            (self.path / RESULT).unlink(missing_ok=True)

    def finish(self, body: Mapping[str, Any]) -> Record:
        """Write ``result.json``; ``body`` as JSON takes it."""
        head = {"schema": self.settings["schema"], "settings": checked(self.settings)}
        write_whole(self.path / RESULT, as_json({**head, **body}), self._argument)
        return read_record(self.path, self._argument)

    def _piece(self, name: str) -> Path:
        return _piece(self.path, name)


def _piece(folder: Path, name: str) -> Path:
    return folder / "pieces" / slug(name, LONGEST)


def read_record(folder: str | PathLike[str], argument: str = "folder") -> Record:
    """A run as its folder holds it, finished or not.

    Raises:
        UsageError: No run there, an unknown kind, a newer layout, or a damaged file.
    """
    path = as_path(argument, folder)
    if not (path / RUN).exists():
        runs = sorted(str(found.parent) for found in path.glob(f"**/{RUN}"))[:4]
        way_out = "give the folder of a run" + (f", as {', '.join(runs)}" if runs else "")
        old = (path / RESULT).exists()
        got = f"{path}, which an older nakami wrote" if old else path
        way_out = "start the command that made it again" if old else way_out
        if not runs and not (path.is_dir() and any(path.iterdir())):
            got = f"{path}, where nothing is yet"
            way_out += ", or start its command again if it was stopped before its first piece"
        raise wrong(argument, f"hold a {RUN}", got, way_out)
    settings = _read_json(path / RUN)
    kind, _, number = str(settings.get("schema", "")).removeprefix("nakami.").partition("/")
    if kind not in KINDS or not number.isdecimal():
        raise wrong(
            "schema",
            f"name a kind of run ({', '.join(KINDS)})",
            f"{settings.get('schema')!r} in {path}",
            ["give the folder of a run", "update nakami to read it"],
        )
    if int(number) > KINDS[kind].version:
        rule = f"be at most 'nakami.{kind}/{KINDS[kind].version}'"
        got = f"{settings['schema']!r} in {path}"
        raise wrong("schema", rule, got, "update nakami to read this run")
    result = _read_json(path / RESULT) if (path / RESULT).exists() else {}
    return Record(kind, settings, result, path)


def numbers_of(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Every single number of a result by its name, ``part.name``."""
    for key, value in tree.items():
        if prefix or key != "settings":
            if isinstance(value, Mapping):
                yield from numbers_of(value, f"{prefix}{key}.")
            elif isinstance(value, (int, float)) and not isinstance(value, bool):
                yield f"{prefix}{key}", value


def holds(
    folder: str | PathLike[str], kind: str, settings: Mapping[str, Any], pieces: Iterable[str]
) -> bool:
    """Whether a folder holds these pieces of a run with these settings; writes nothing."""
    try:
        record = read_record(folder)
    except UsageError:
        return False
    new = plain(settings)
    done = all(record.has(name) for name in pieces)
    return (
        done and record.kind == kind and not differing(record.settings, new, KINDS[kind].unchecked)
    )


def load(folder: str | PathLike[str]) -> Any:
    """Read a run back, finished or not.

    Args:
        folder: The run's folder (the one that holds ``run.json``).

    Returns:
        An ``Xray`` for an x-ray; a ``Record`` for other kinds.

    Raises:
        UsageError: No run there, an unknown kind, a newer layout, or damage.
    """
    record = read_record(folder)
    with damage(f"the run in {record.folder}"):
        return KINDS[record.kind].read(record)


def versions() -> dict[str, str]:
    """Versions that decide the bits of a result."""
    packages = ("nakami", "torch", "numpy", "scipy")
    return {"python": platform.python_version(), **{name: _version(name) for name in packages}}


@cache
def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def as_path(argument: str, folder: object, way_out: str = "give the folder of a run") -> Path:
    """A path that a disk can hold, or a refusal."""
    if not isinstance(folder, (str, PathLike)):
        raise wrong_type(argument, "be a path", repr(folder), way_out)
    path = Path(folder)
    try:
        path.exists()
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise too_long(argument, path) from error
    return path


def slug(name: str, longest: int = 80, letters: str = r"A-Za-z0-9._@-") -> str:
    """A name that any disk takes, made of these letters; two names never meet in one."""
    text = re.sub(f"[^{letters}]", "_", name)[:longest]
    return text if text == name else f"{text}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return read_json(path)
    except (ValueError, OSError) as error:
        raise UsageError(
            f"{path.name} in {path.parent} cannot be read ({error}); choose another folder."
        ) from error
