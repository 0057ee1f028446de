"""What commands of theory share: numbers with commas, the run's folder, its page and tables."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from nakami import results
from nakami.results import wrong

from . import _runs

if TYPE_CHECKING:
    from nakami.results import Progress

    from ._groups import OutputOptions
    from ._tables import TextTable

R = TypeVar("R")


def numbers(option: str, text: str, kind: type) -> list[Any]:
    """Numbers with commas between."""
    parts = [part for part in re.split(r"[,\s]+", text.strip()) if part]
    try:
        found = [kind(part) for part in parts]
    except ValueError:
        found = []
    if found:
        return found
    what, such = ("whole numbers", "784,500,10") if kind is int else ("numbers", "0.1,0.3")
    raise wrong(option, f"be {what} with commas between", repr(text), f"write {option} {such}")


def run(
    name: str,
    settings: Mapping[str, Any],
    output: OutputOptions,
    make: Callable[[Progress], R],
    tables: Callable[[R], Iterable[TextTable]],
    plain: Callable[[R], dict[str, Any]],
) -> None:
    """Compute a study with progress shown, and write, draw and print it.

    Args:
        name: Of the folder.
        settings: What was asked for: all that the numbers depend on.
        output: Where, and whether a page and JSON.
        make: The computation.
        tables: What is printed.
        plain: All numbers, for ``result.json``.
    """
    from ._progress import Meter

    where = _runs.writable("out", output.out / "theory" / name)
    with Meter() as meter:
        found = make(meter)  # which refuses wrong numbers: then no folder is made
    folder = results.RecordFolder(where, "theory", {**settings, "versions": results.versions()})
    page = None if output.no_page else _runs.page(found, where / "report.html")
    record = _runs.finish(folder, plain(found), tables(found))
    _runs.tell(record, page, output)
