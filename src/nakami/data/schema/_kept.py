"""Prepared rows in a folder, so that data larger than memory are prepared once and then mapped.

A folder holds one sub-folder for each schema and content of its files. It is written under another
name and renamed, so a killed process leaves none that is taken for whole; of several processes that
want the same one, the first writes and the others wait.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, final

from nakami.results import disk

from ._files import Held
from ._open import sources_of
from ._schema import Schema
from ._stores import OnDisk, Stored, read_stored

FORMAT = "nakami.prepared/2"
RECORD = "prepared.json"
PARTS = ("train", "test")
Fill = Callable[[Mapping[str, OnDisk]], Callable[[], Mapping[str, Any]]]


@final
class Kept:
    """Where the prepared rows of a schema are kept.

    Args:
        folder: Made if missing. schema: whose rows.
    """

    def __init__(self, folder: Path, schema: Schema):
        self.folder, self._schema = folder, schema
        bare = replace(schema, columns=tuple(replace(c, seen="") for c in schema.columns))
        self._key = hashlib.sha256(f"{FORMAT} {bare.to_toml()}".encode()).hexdigest()[:16]

    def read(self) -> tuple[Mapping[str, Any], dict[str, Stored]] | None:
        """What was kept with the rows, and these; None where there are none of this content.

        Raises:
            UsageError: A file is not as it was written.
        """
        if not any(self.folder.glob(f"{self._key}-*")):
            return None
        return self._read(self._place())

    def made(self, fill: Fill) -> tuple[Mapping[str, Any], dict[str, Stored]]:
        """The same, written if nobody did.

        Args:
            fill: Adds the rows to stores, and gives what tells, once these are closed, what is kept
                with them: plain JSON values.
        """
        place = self._place()
        with disk(place, "folder"):
            self.folder.mkdir(parents=True, exist_ok=True)
            with _alone(self.folder / f"{place.name}.lock"):
                if not place.is_dir():
                    self._write(place, fill)
        found = self._read(place)
        assert found is not None
        return found

    def _place(self) -> Path:
        return self.folder / f"{self._key}-{content(self._schema)}"

    def _read(self, place: Path) -> tuple[Mapping[str, Any], dict[str, Stored]] | None:
        if not place.is_dir():
            return None
        record = json.loads((place / RECORD).read_text(encoding="utf-8"))
        return record["kept"], {part: read_stored(place, part, record["files"]) for part in PARTS}

    def _write(self, place: Path, fill: Fill) -> None:
        unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=self.folder))
        stores = {part: OnDisk(unfinished, part) for part in PARTS}
        try:
            told = fill(stores)
            files = {name: at for store in stores.values() for name, at in store.close().items()}
            record = {"format": FORMAT, "files": files, "kept": told()}
            text = json.dumps(record, ensure_ascii=False, indent=1)
            (unfinished / RECORD).write_text(text, encoding="utf-8")
            unfinished.rename(place)
        finally:
            for store in stores.values():
                store.leave()
            shutil.rmtree(unfinished, ignore_errors=True)


def content(schema: Schema) -> str:
    """A hash of all files that the rows of a schema are made of, with their names."""
    files = dict[str, Path]()
    for source, _ in sources_of(schema):
        files |= {str(file): file for file in source.files()}
        kinds = {c.name: c.type for c in schema.used("input") if c.type in ("picture", "sound")}
        named = {name: kind for name, kind in kinds.items() if source.columns.get(name) == "text"}
        for part in source.parts(named) if named else ():
            paths = (file for name in named for file in part.values[name])
            files |= {str(file): file for file in paths if not isinstance(file, Held)}
    total = hashlib.sha256()
    for name in sorted(files):
        with suppress(OSError), files[name].open("rb") as file:  # one not there is a wrong row
            total.update(name.encode() + hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()[:16]


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Within it no other process of this machine is, as far as the disk has locks."""
    try:
        import fcntl
    except ImportError:  # Windows: several may write, one after the other is taken
        yield
        return
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
