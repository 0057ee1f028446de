"""Two runs compared, as tables for a terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.table import Table

from nakami.results import brief, counted

from ._tables import WORDS, TextTable, at_inputs, bare_table, decimals

if TYPE_CHECKING:
    from nakami.results import Comparison, NumberChanges, PairedChange


def comparison_table(result: Comparison) -> Table:
    """Paired changes: one row for each stage and quantity."""
    over = at_inputs([len(c.inputs) for c in result.changes], result.before.n_inputs)
    caption = (
        f"Paired over {over}; 95 % interval by Student's t.\n"
        "Verdict: none where the interval holds 0, or all change is rounding."
    )
    if all(len(c.inputs) == 1 for c in result.changes):
        caption = f"At {over}: no standard error, no interval, so no verdict."
    if any(c.quantity == "log_sum" for c in result.changes):
        caption += "\nΣ ln s: over the indices reliable in both runs at that input."
    if any(any(c.bounds) for c in result.changes):
        caption += (
            "\n≥: larger values may lie beyond those computed, so some changes are not known."
        )
    if any(any(c.estimated) for c in result.changes):
        caption += "\n≈: estimated by random probes; the interval holds what they leave open."
    caption += "".join(f"\n{line}" for line in _looks_compared(result))
    title = f"{result.names[1]} minus {result.names[0]}"
    title += "" if result.step is None else f", both at step {result.step:,}"
    table = bare_table(title, caption, ())
    table.padding = (0, 1, 0, 0)  # seven columns on a line of 80
    table.add_column("stage", overflow="fold")
    table.add_column("reading", no_wrap=True)
    for heading in ("before", "after", "change ± s.e.", "95 % interval"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for c in result.changes:
        places = decimals(c.se)
        table.add_row(
            c.stage,
            WORDS.get(c.quantity, c.quantity),
            *(
                "≥ " * bound + "≈ " * (guess and not bound) + f"{brief(x.mean())}"
                for x, bound, guess in zip((c.before, c.after), c.bounds, c.estimated, strict=True)
            ),
            _change(c, places),
            _interval(c, places),
            c.verdict if c.verdict in ("rises", "falls", "not known") else "none",
        )
    return table


def _looks_compared(result: Comparison) -> list[str]:
    """Why the looks of this step are compared, and where each training's last look is."""
    if result.step is None or result.last_steps is None:
        return []
    lines = [f"Step {result.step:,} is the last with a look in both runs."]
    if len({*result.last_steps}) > 1:
        ends = zip(result.names, result.last_steps, strict=True)
        each = ", ".join(f"step {step:,} in {name}" for name, step in ends)
        lines.append(f"The last looks differ: {each}.")
    return lines


def _change(c: PairedChange, places: int) -> str:
    """The mean change, or what bounds it."""
    if all(c.bounds):
        return "not known"
    sign = {(False, False): "", (False, True): "≥ ", (True, False): "≤ "}[c.bounds]
    return sign + _signed(c.mean, places) + ("" if math.isnan(c.se) else f" ± {c.se:z.{places}f}")


def _interval(c: PairedChange, places: int) -> str:
    if math.isnan(c.se):
        return ""
    if any(c.bounds):
        ends = [f"from {_signed(c.low, places)}", f"up to {_signed(c.high, places)}"]
        return "" if all(c.bounds) else ends[c.bounds[0]]
    return f"{_signed(c.low, places)} to {_signed(c.high, places)}"


def numbers_tables(result: NumberChanges) -> list[Table]:
    """What differs between two runs: settings, then numbers."""
    rows = [
        (name, f"{a:.6g}", f"{b:.6g}", f"{b - a:+.3g}") for name, a, b in result.numbers if a != b
    ]
    title = f"{result.after.folder} and before, {result.before.folder}"
    equal = counted(len(result.numbers) - len(rows), "number is equal.", "numbers are equal.")
    numbers = TextTable(title, equal, ("number", "before", "after", "change"), rows)
    if not result.settings:
        return [numbers.drawn()]
    head = ("setting", "before", "after")
    return [
        TextTable("Settings that differ", "", head, result.settings, 3).drawn(),
        numbers.drawn(),
    ]


def _signed(value: float, places: int) -> str:
    return f"{value:+z.{places}f}".replace("-", "\N{MINUS SIGN}")
