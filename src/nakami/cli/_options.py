"""Texts given on the command line become values, or one sentence that says what is wrong."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from nakami.results import disk, wrong

UNITS = {"": 1, "b": 1}
UNITS |= {f"{p}b": 1000**i for i, p in enumerate("kmgt", 1)}
UNITS |= {f"{p}ib": 1024**i for i, p in enumerate("kmgt", 1)}
LEAST_BUDGET = 2**20
PROBE = 2**20  # bytes written to learn that a disk is full before the work rather than after it


def memory_budget(text: str | None) -> int | None:
    """Bytes named by ``1GiB``, ``500 MB`` or ``1073741824``; None stays None."""
    if text is None:
        return None
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([a-zA-Z]*)\s*", text)
    unit = UNITS.get(match[2].lower()) if match else None
    if match is None or unit is None:
        raise wrong(
            "--memory-budget",
            "be a size such as 1GiB or 500MB",
            repr(text),
            "write number and unit",
        )
    size = int(float(match[1]) * unit)
    if size < LEAST_BUDGET:
        raise wrong("--memory-budget", "be at least 1MiB", repr(text), "write number and unit")
    return size


def stage_names(texts: Sequence[str]) -> str | list[str]:
    """``auto``, or the names between commas; of several texts each is one name."""
    if [text.strip() for text in texts] == ["auto"]:
        return "auto"
    names = texts[0].split(",") if len(texts) == 1 else texts
    names = [name.strip() for name in names]
    if not all(names):
        got = " ".join(map(repr, texts))
        raise wrong("--stages", "be names with commas between", got, "write a,b,c or auto")
    return names


def existing(option: str, path: Path | None) -> Path | None:
    """``path`` itself, if it is there."""
    if path is not None and not path.exists():
        raise wrong(option, "be a file or folder that exists", repr(str(path)), "check the path")
    return path


def writable(option: str, folder: Path) -> Path:
    """``folder``, after writing one mebibyte there; nothing of it stays."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    with disk(folder, option):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder) as probe:
                probe.write(bytes(PROBE))
        finally:
            for path in missing:  # the deepest first
                with contextlib.suppress(OSError):
                    path.rmdir()
    return folder
