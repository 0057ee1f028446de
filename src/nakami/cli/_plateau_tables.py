"""What ``nakami theory plateau`` shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nakami.results import counted

from ._tables import TextTable

if TYPE_CHECKING:
    from nakami.theory.plateau import PlateauStudy


TRENDS = {
    "one": "",
    "falls": "The time on plateaus falls with outputs.",
    "rises": "The time on plateaus rises with outputs.",
    "stays": "The time on plateaus does not change with outputs.",
    "turns": "The time on plateaus neither only falls nor only rises with outputs.",
}


def tables(found: PlateauStudy) -> list[TextTable]:
    """Plateaus by outputs, and the curvature on the line."""
    return [_lengths(found), _line(found)]


def _lengths(found: PlateauStudy) -> TextTable:
    rows = [
        (
            str(row["outputs"]),
            f"{row['length']:.4g}",
            f"{row['low']:.4g} to {row['high']:.4g}",
            f"{row['hit']:.4g}" if row["hit"] < float("inf") else "never",
            f"{row['reached']} of {found.starts}",
            f"{row['doubt']:.1g}",
        )
        for row in found.by_outputs.rows()
    ]
    head = ("outputs", "on plateaus", "quartiles", "to 1 %", "reached", "doubt")
    title = f"Two units learn from two, rate {found.rate:g}, {counted(found.starts, 'start')} each"
    caption = "Time in steps / N, medians. doubt: largest change of a length at looser tolerances."
    caption += f"\n{TRENDS[found.by_outputs.trend]}"
    return TextTable(title, caption.rstrip(), head, rows, left=0)


def _line(found: PlateauStudy) -> TextTable:
    first = found.line[0].share
    picked = [int(abs(first - z).argmin()) for z in (-0.5, 0.1, 0.5, 0.9, 1.5)]
    rows = [
        (f"{one.overlap:g}", f"{one.error:.4g}", *(f"{one.least[i]:z.3f}" for i in picked))
        for one in found.line
    ]
    head = ("overlap", "error there", *(f"z {first[i]:z.1f}" for i in picked))
    caption = "Overlap of the teachers' readouts: 1 is one output. Below 0 the line is left."
    title = "Least eigenvalue of the loss where both students are equal"
    return TextTable(title, caption, head, rows, left=0)
