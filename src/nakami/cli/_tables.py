"""Results as tables for a terminal."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.table import Column, Table

from nakami.results import brief, share_text, span, unit_text

from ._command import answers

if TYPE_CHECKING:
    from nakami.results import (
        Estimate,
        Experiment,
        StageInfo,
        StageSummary,
        Xray,
    )

    from ._groups import JsonOptions

WORDS = {"count": "s > 1", "effective_rank": "eff. rank", "largest": "s₁", "log_sum": "Σ ln s"}
KIND = 20  # columns of the kind of a stage; a longer one goes on in the next line
WIDEST = 1000  # columns; no table needs more
WIDE = 240  # columns of a file, up to which names and headings stay in one line
SURE = " (95 %)"  # behind the name of a share with its interval
NARROWEST = 100  # columns assumed where the output is not a terminal, so that a file is readable


@dataclass(frozen=True)
class TextTable:
    """A table of texts, as a run keeps it.

    Attributes:
        title, caption: Above and below.
        head: Headings. rows: As many texts each.
        left: Columns from this one on stand right.
    """

    title: str
    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: int = 1

    def drawn(self) -> Table:
        """As rich draws it."""
        table = bare_table(self.title, self.caption, self.head[: self.left])
        for heading in self.head[self.left :]:
            table.add_column(heading, justify="right", overflow="fold")
        for row in self.rows:
            table.add_row(*row)
        return table


def tell(
    output: JsonOptions,
    page: Path | None,
    body: dict[str, Any],
    tables: Iterable[Table],
    lines: Iterable[str] = (),
) -> None:
    """Print tables, sentences and where the page is, or JSON."""
    if output.as_json:
        echo_json({"page": str(page) if page else None, **body})
        return
    for table in tables:
        show(table)
    for line in (*lines, *([] if page is None else [f"Page: {page}"])):
        typer.echo(line)


def echo_json(body: dict[str, Any]) -> None:
    """Print JSON, and nothing else, on standard output."""
    typer.echo(json.dumps(body, indent=1, ensure_ascii=False), file=answers.get())


def show(table: Table) -> None:
    """Print a table on standard output, numbers whole.

    In a file it is as wide as its cells need; a terminal gets as many columns at a time as fit.
    """
    console = _console()
    least, most = _widths(table)
    if not console.is_terminal:
        console = _console(max(NARROWEST, console.width, least, min(most, WIDE)))
    if most <= console.width or not console.is_terminal:
        console.print(table)
        return
    for part in _fitting(table, console.width):
        console.print(part)
    if table.caption:
        console.print(table.caption, style="table.caption")


def _console(width: int | None = None) -> Console:
    """One that shows texts as they are: a name may be ``[z]`` or ``:x:``."""
    return Console(width=width, markup=False, emoji=False)


def _widths(table: Table) -> tuple[int, int]:
    """Columns of a screen that a table needs to show whole words, and to show whole cells."""
    console = _console(WIDEST)
    least, most = Measurement.get(console, console.options, table)
    return least, most


def _fitting(table: Table, width: int) -> list[Table]:
    """A table cut into several, each with the words on the left and numbers that fit beside."""
    words = [column for column in table.columns if column.justify == "left"]
    names = _widths(_of_columns(table, words))[0] if words else 0
    parts: list[Table] = []
    taken: list[Column] = []
    for column in (c for c in table.columns if c.justify != "left"):
        needed = _widths(_of_columns(table, [*taken, column]))[1]
        if taken and names + needed > width:
            parts.append(_of_columns(table, [*words, *taken]))
            taken = []
        taken.append(column)
    parts.append(_of_columns(table, [*words, *taken]))
    for part in parts:
        part.title, part.caption = part.title if part is parts[0] else None, None
    return parts


def _of_columns(table: Table, columns: list[Column]) -> Table:
    """These columns alone; nothing is cut where they are too wide, it goes on below."""
    part = copy(table)
    part.columns = [replace(c, _index=i, overflow="fold") for i, c in enumerate(columns)]
    return part


def run_tables(run: Xray) -> list[Table]:
    """The tables of an x-ray: its summary, then each experiment."""
    return [xray_table(run), *map(experiment_table, run.experiments.values())]


def experiment_table(found: Experiment) -> Table:
    """What an experiment found: its rows, a column for each number."""
    rows = [_with_ends(row) for row in found.rows()]
    heads = list(rows[0]) if rows else []
    words = [head for head in heads if isinstance(rows[0][head], str) and SURE not in head]
    table = bare_table(found.title, found.caption, words)
    for head in heads:
        if head not in words:
            table.add_column(head.replace("_se", " ± s.e."), justify="right")
    ordered = [*words, *(head for head in heads if head not in words)]
    for row in rows:
        table.add_row(*(_cell(row[head]) for head in ordered))
    return table


def _with_ends(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with each share and its 95 % interval in one cell."""
    shares = [name for name in row if f"{name}_low" in row]
    ends = {f"{name}_{end}" for name in shares for end in ("low", "high")}
    found = {}
    for name, value in row.items():
        if name in shares:
            found[name + SURE] = share_text(value, row[f"{name}_low"], row[f"{name}_high"])
        elif name not in ends:
            found[name] = value
    return found


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else brief(value) if math.isfinite(value) else "none"
    return str(value)


def xray_table(run: Xray) -> Table:
    """The summary of a run: one row for each stage, mean ± sd over the inputs."""
    own = [row for row in run.summary(None) if row.source != run.source]
    data = run.settings.get("data")
    title = f"{run.subject}, inputs from {data}" if data else run.subject
    table = bare_table(title, _doubt(run), ("stage", "from") if own else ("stage",))
    for heading in ("shape", "k", "s₁", "s > 1", "eff. rank", "s_k/s₁"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in (*run.summary("input"), *own):
        table.add_row(
            f"{row.stage} (aside)" if row.stage in run.aside else row.stage,
            *([row.source] if own else []),
            f"{row.shape[0]}×{row.shape[1]}",
            str(row.k),
            _largest(run, row),
            number(row.count),
            number(row.effective_rank),
            decay(row),
        )
    return table


def decay(row: StageSummary) -> str:
    """``s_k/s_1``, mean over inputs; says at how many inputs ``s_k`` is noise."""
    return _or_floor(row, f"{row.decay.mean:.1e}", row.decay_below_floor, row.decay_floor)


def _largest(run: Xray, row: StageSummary) -> str:
    spectra = run.at(row.stage, row.source)
    low, floor = sum(not s.reliable[0] for s in spectra), max(s.floor for s in spectra)
    return _or_floor(row, number(row.largest), low, floor)


def _or_floor(row: StageSummary, text: str, low: int, floor: float) -> str:
    """A mean over inputs; what bounds it where it is noise at all of them."""
    n = row.largest.n
    if low == n:
        return f"< {floor:.1e}" if floor else "0"
    return f"{text} (noise at {low} of {n})" if low else text


def floor_words(cells: Iterable[str]) -> list[str]:
    """What ``<`` and ``noise`` mean, where some cells have them."""
    shown = list(cells)
    words = {
        "<": "<: below what the arithmetic can tell from zero, at every input.",
        "noise": "noise: below what the arithmetic can tell from zero, at so many of the inputs.",
    }
    return [text for sign, text in words.items() if any(sign in cell for cell in shown)]


def output_read(settings: Mapping[str, Any]) -> list[str]:
    """Which output of a network of several was read, if one was named."""
    return [f"Output read: {name}."] if (name := settings.get("select")) else []


def where_read(positions: str | int) -> str:
    """At which positions stages were read, in a sentence without its full stop."""
    words = {"last": "at the last position", "mean": "as the mean over positions"}
    return f"Stages with positions are read {words.get(str(positions), f'at position {positions}')}"


def _doubt(run: Xray) -> str:
    rows = (*run.summary("input"), *run.summary(None))
    over = at_inputs([row.largest.n for row in rows], run.n_inputs)
    means = "Mean ± sd over" if max((row.largest.n for row in rows), default=2) > 1 else "At"
    lines = [f"{means} {over}; input unit: {unit_text(run.input_unit)}."]
    if any(len({s.shape for s in run.at(row.stage, row.source)}) > 1 for row in rows):
        lines.append("Inputs differ in length: shape is that at the first, k the smallest.")
    lines += output_read(run.settings)
    if run.aside:
        lines.append("aside: not on the way to the output read, so it is no depth of it.")
    if run.settings.get("derivative"):
        lines.append("Detached: what multiplies states is held as numbers, J x + b is the output.")
    if positions := run.settings.get("positions"):
        lines.append(f"{where_read(positions)}.")
    if normalised := run.settings.get("batch_normalisation"):
        lines.append(f"Batch normalisation: {normalised}.")
    there, planned = len(run.spectra), _planned(run)
    if there < planned:
        lines.append(f"{there} of {planned} spectra so far; the same command continues the run.")
    done = sum(s.converged for s in run.spectra)
    worst = max((row.relative_residual for row in rows), default=0.0)
    limited = sum(s.limited for s in run.spectra)
    text = f"{done} of {there} spectra converged"
    if limited:
        values = sum(len(s.values) for s in run.spectra)
        text += f", {limited:,} of {values:,} values at the limit of the arithmetic"
    if there:
        lines.append(f"{text}; largest relative residual {worst:.1e}.")
    if worst > (tol := float(run.settings.get("tol", math.inf))) and done:
        lines.append(
            f"A residual is that of the vectors. The error of a value goes with its square: "
            f"{'where converged ' if done < there else ''}at most {tol:.0e} of the value"
            f"{', or at the limit of the arithmetic' if limited else ''}."
        )
    if any(row.count.lower_bound or row.effective_rank.lower_bound for row in rows):
        probed = any(s.remainder is not None for s in run.spectra)
        why = "; probes cannot tell the smallest from 0" if probed else ""
        lines.append(f"≥: a lower bound, not all values were computed{why}.")
    if any(row.count.interval or row.effective_rank.interval for row in rows):
        lines.append(
            "a to b: 95 % interval of an estimate by random probes, beyond the k values computed."
        )
    lines += floor_words(text for row in rows for text in (_largest(run, row), decay(row)))
    return "\n".join(lines)


def _planned(run: Xray) -> int:
    """Number of spectra of the run when it is finished."""
    own = len(run.path) - 1 if run.settings.get("layers") else 0
    return run.n_inputs * (len(run.names) + own)


def bare_table(title: str, caption: str, names: Iterable[str]) -> Table:
    table = Table(
        title=title, caption=caption, title_justify="left", caption_justify="left", box=SIMPLE_HEAD
    )
    for name in names:
        table.add_column(name, overflow="fold")  # a name that is cut may be any
    return table


def stages_table(
    stages: Iterable[StageInfo], auto: Iterable[str], aside: Iterable[str] = ()
) -> Table:
    """Stages in order of execution; those that ``auto`` would measure are marked."""
    marked = {**dict.fromkeys(aside, "aside"), **dict.fromkeys(auto, "●")}
    caption = "●: measured by --stages auto"
    if "aside" in marked.values():
        caption += "\naside: not on the way to the output read"
    table = bare_table("", caption, ("stage", "kind", "shape"))
    table.add_column("size", justify="right")
    table.add_column("auto", justify="center")
    table.columns[1].max_width = KIND  # so that names, which are to be typed, stay in one line
    for s in stages:
        shape = " × ".join(map(str, s.shape)) or "scalar"
        table.add_row(s.name, s.kind, shape, str(s.size), marked.get(s.name, ""))
    return table


def number(value: Estimate) -> str:
    """``12.40 ± 0.31``: sd with two digits, mean to the same place; ``≥`` before a lower bound.

    ``12,300 to 13,500 ± 310``: the interval of an estimate in place of the mean.
    """
    bound = "≥ " if value.lower_bound else ""
    if value.interval is not None:
        sd = f" ± {value.sd:z,.{decimals(value.sd)}f}" if value.sd > 0 else ""
        return span(*value.interval) + sd
    if not (math.isfinite(value.sd) and value.sd > 0):
        return f"{bound}{brief(value.mean)}"
    if value.sd < 1e-5:  # below what a table can show
        return f"{bound}{brief(value.mean)} ± {value.sd:.0e}"
    places = decimals(value.sd)
    return f"{bound}{value.mean:z.{places}f} ± {value.sd:z.{places}f}"


def at_inputs(found: Sequence[int], total: int) -> str:
    """``16 inputs``, or ``2 to 5 of 16 inputs`` where spectra are missing."""
    least, most = min(found, default=0), max(found, default=0)
    some = f"{least} to {most}" if least < most else str(most)
    of = "" if least == total else f" of {total}"
    return f"{some}{of} input{'s' * (total != 1)}"


def decimals(spread: float) -> int:
    """Decimal places that show two digits of ``spread``, from 0 to 6; 3 where there is none."""
    if not (math.isfinite(spread) and spread > 0):
        return 3
    return min(6, max(0, 1 - math.floor(math.log10(spread))))
