"""Texts given on the command line become values, or one sentence that says what is wrong."""

from __future__ import annotations

import errno
import math
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from nakami.results import RunError, UsageError, unknown, wrong

from ._words import one_line

if TYPE_CHECKING:
    import torch

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


def stage_names(texts: list[str]) -> str | list[str]:
    """``auto``, or the names between commas; of several texts each is one name."""
    if [text.strip() for text in texts] == ["auto"]:
        return "auto"
    names = texts[0].split(",") if len(texts) == 1 else texts
    names = [name.strip() for name in names]
    if not all(names):
        got = " ".join(map(repr, texts))
        raise wrong("--stages", "be names with commas between", got, "write a,b,c or auto")
    return names


def tolerance(value: float, default: str = "1e-4") -> float:
    """``value`` itself, if it can be a relative error."""
    if not (math.isfinite(value) and 0 < value < 1):
        raise wrong("--tol", "lie between 0 and 1", value, f"{default} is the default")
    return value


def torch_dtype(text: str | None) -> torch.dtype | None:
    """The torch dtype of that name."""
    if text is None:
        return None
    import torch

    known = {"float32": torch.float32, "float64": torch.float64}
    if text not in known:
        raise unknown("--dtype", text, known)
    return known[text]


def torch_device(text: str | None) -> torch.device | None:
    """The device of that name, tried with one number."""
    if text is None:
        return None
    import torch

    try:
        device = torch.device(text)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UsageError(
            f"--device must be one that this machine has, got {text!r} ({one_line(error)}); "
            "--device cpu works everywhere."
        ) from error
    return device


def existing(option: str, path: Path | None) -> Path | None:
    """``path`` itself, if it is there."""
    if path is not None and not path.exists():
        raise wrong(option, "be a file or folder that exists", repr(str(path)), "check the path")
    return path


def writable(option: str, folder: Path) -> Path:
    """``folder``, made if missing, after writing and removing one mebibyte in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(bytes(PROBE))
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise RunError(
                f"no space left in {folder}; free some or choose another folder with {option}."
            ) from error
        if error.errno in (errno.EEXIST, errno.ENOTDIR):
            raise wrong(
                option, "be a folder", f"a file on the way to {folder}", "choose another"
            ) from error
        raise wrong(option, "be a folder that can be written", folder, "choose another") from error
    return folder
