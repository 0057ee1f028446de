"""Files that are written whole or not at all, and the wording of what a disk refuses."""

from __future__ import annotations

import errno
import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from ._errors import RunError, UsageError, wrong
from ._outcome import Outcome


def write_whole(path: str | PathLike[str], content: bytes | str, argument: str = "out") -> Path:
    """Write a file under another name and rename it, so that a killed run leaves no half of it.

    Args:
        path: The file; missing folders are made.
        content: All of it; text is written as UTF-8.
        argument: The caller's argument that named the place, for errors.

    Raises:
        UsageError: It cannot be written there.
        RunError: The disk is full, or fails.
    """
    target = Path(path)
    with _part(target, content, argument) as part:
        part.replace(target)
    return target


def write_new(path: str | PathLike[str], content: bytes | str, argument: str = "out") -> bool:
    """As ``write_whole``, unless the file is there; whether it was written.

    Of several processes that ask for the same file at once, one writes it (on a disk without links
    several may, one after the other).
    """
    target = Path(path)
    if target.exists():
        return False
    with _part(target, content, argument) as part:
        try:
            os.link(part, target)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS):
                raise
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    return True


@contextmanager
def _part(target: Path, content: bytes | str, argument: str) -> Iterator[Path]:
    """The content under another name beside ``target``; removed where the disk fails."""
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    with disk(target, argument):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.write_bytes(content.encode() if isinstance(content, str) else content)
            yield part
        except OSError:
            part.unlink(missing_ok=True)
            raise


@contextmanager
def disk(path: Path, argument: str = "out") -> Iterator[None]:
    """Turn an operating system's error into one sentence that says what to do.

    Args:
        path: What is being written.
        argument: The caller's argument that named the place.

    Raises:
        UsageError: The place cannot be written, or a file is in the way.
        RunError: The disk is full, or fails.
    """
    try:
        yield
    except OSError as error:
        another = f"choose another place with {{{argument}}}"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise RunError(
                f"no space left while writing {path}; free some, or {another}, and start the same "
                "command again: finished pieces are not lost."
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT):
            raise wrong(argument, "be a place that can be written", path, another) from error
        if error.errno == errno.ENAMETOOLONG:
            raise too_long(argument, path) from error
        if error.errno in (errno.EEXIST, errno.ENOTDIR):
            raise wrong(argument, "be a folder", f"a file on the way to {path}", another) from error
        if error.errno == errno.EISDIR:
            raise wrong(argument, "be a file", f"the folder {path}", another) from error
        raise RunError(f"writing {path} failed ({error}); nothing finished is lost.") from error


def too_long(argument: str, path: Path) -> UsageError:
    """A path with a name that no disk takes."""
    longest = max(path.parts, key=lambda part: len(part.encode()))
    got = f"{longest[:20]!r}... of {len(longest.encode()):,} bytes"
    rule = "be made of names that a disk takes, most at most 255 bytes each"
    return wrong(argument, rule, got, "choose a shorter one")


def as_json(body: Mapping[str, Any]) -> str:
    """Text of a JSON file; only what ``plain`` gives is taken."""
    return json.dumps(body, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def plain(value: Any) -> Any:
    """Dataclasses, arrays, tensors and numbers as JSON takes them; NaN and infinity as null."""
    if isinstance(value, Outcome):
        return {**plain(value.record()), "reason": value.reason}
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
