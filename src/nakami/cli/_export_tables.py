"""The tables of ``nakami export``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._tables import TextTable

if TYPE_CHECKING:
    from rich.table import Table

    from nakami.export import Exported


def tables(name: str, found: Exported) -> list[Table]:
    """What was written and how it agrees; how long a call takes."""
    agreed, small = found.agreement, found.int8
    unit = f" ({found.column})" if found.column else ""
    rows = [
        ("size", f"{found.bytes:,} bytes"),
        ("largest difference from torch", f"{agreed.absolute:.1e}{unit}"),
        ("  of the largest output", f"{agreed.relative:.1e}"),
        ("examples compared", f"{agreed.examples:,}"),
    ]
    if agreed.same_answers is not None:
        rows.append(("answers as torch's", f"{100 * agreed.same_answers:z.2f} %"))
    if small is not None:
        rows += [
            ("size, eight bits", f"{small.bytes:,} bytes"),
            ("in eight bits", _nodes(small.quantised)),
            ("still in float32", _nodes(small.kept)),
        ]
    if (change := found.number_change) is not None:
        rows.append(("change by eight bits, rms", f"{change.rms:.2g}{unit}"))
    if (told := found.accuracy) is not None:
        rows += [
            ("right answers", f"{100 * told.before:z.2f} ± {100 * told.error:z.2f} %"),
            (
                "change by eight bits",
                f"{100 * told.change:+z.2f} ± {100 * told.change_error:z.2f} points",
            ),
            ("other answers by eight bits", f"{told.other_answers:,} of {told.examples:,}"),
        ]
    written = TextTable(f"{name} as {found.file.path.name}", "", ("", "found"), tuple(rows))
    return [written.drawn(), _latency(found)]


def _latency(found: Exported) -> Table:
    rows = [
        (str(size), who, f"{one.median:z.3f}", f"{one.lower:z.3f} to {one.upper:z.3f}")
        for size, both in found.latency.items()
        for who, one in both.items()
    ]
    head = ("batch", "in", "ms a call, median", "quartiles")
    return TextTable("Time of a call, one thread", "", head, tuple(rows), left=2).drawn()


def _nodes(nodes: object) -> str:
    assert isinstance(nodes, dict)
    return ", ".join(f"{kind} × {n}" for kind, n in nodes.items()) or "nothing"
