"""Results as tables for a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from nakami.results import Comparison, Estimate, StageInfo, Xray

WORDS = {
    "count": "values above 1",
    "effective_rank": "effective rank",
    "largest": "largest value",
    "log_sum": "sum of ln s",
}
NARROWEST = 100  # columns assumed where the output is not a terminal, so that a file is readable


def show(table: Table) -> None:
    """Print a table on standard output."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=max(NARROWEST, console.width))
    console.print(table)


def xray_table(run: Xray) -> Table:
    """The summary of a run: one row for each stage, mean ± sd over the inputs."""
    n = len(run.inputs)
    model = run.settings.get("model") or {}
    name = model.get("name", run.subject) if isinstance(model, dict) else run.subject
    table = Table(
        title=f"{run.subject}: {name}",
        caption=f"mean ± sd over {n} input{'s' * (n != 1)}; input unit: {run.input_unit}; "
        "≥: a lower bound, not all values were computed",
        title_justify="left",
        caption_justify="left",
    )
    for heading in ("stage", "from"):
        table.add_column(heading)
    for heading in (
        "rows × columns",
        "k",
        "s₁",
        "s > 1",
        "eff. rank",
        "s_k/s₁",
        "rel. residual",
        "conv.",
    ):
        table.add_column(heading, justify="right")
    for source in sorted({s.source for s in run.spectra}, key=lambda name: name != "input"):
        for row in run.summary(source):
            table.add_row(
                row.stage,
                row.source,
                f"{row.shape[0]} × {row.shape[1]}",
                str(row.k),
                number(row.largest),
                number(row.count),
                number(row.effective_rank),
                number(row.decay),
                f"{row.relative_residual:.1e}",
                f"{row.n_converged}/{row.count.n}",
            )
    return table


def comparison_table(result: Comparison) -> Table:
    """Paired changes: one row for each stage and quantity."""
    n = len(result.before.inputs)
    table = Table(
        title=f"{_name(result.after)} minus {_name(result.before)}",
        caption=f"paired over {n} input{'s' * (n != 1)}; 95 % interval by Student's t; a verdict "
        "needs a change above 2 standard errors",
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("stage")
    table.add_column("quantity")
    for heading in ("before", "after", "change ± s.e.", "95 % interval"):
        table.add_column(heading, justify="right")
    table.add_column("verdict")
    for c in result.changes:
        table.add_row(
            c.stage,
            WORDS.get(c.quantity, c.quantity),
            f"{c.before.mean():.4g}",
            f"{c.after.mean():.4g}",
            _signed(c.mean) + ("" if math.isnan(c.se) else f" ± {c.se:.2g}"),
            "" if math.isnan(c.low) else f"{_signed(c.low)} to {_signed(c.high)}",
            c.verdict,
        )
    return table


def stages_table(stages: Iterable[StageInfo], auto: Iterable[str]) -> Table:
    """Stages in order of execution; those that ``auto`` would measure are marked."""
    marked = set(auto)
    table = Table(caption="●: measured by --stages auto", caption_justify="left")
    table.add_column("stage")
    table.add_column("kind")
    table.add_column("shape")
    table.add_column("size", justify="right")
    table.add_column("auto", justify="center")
    for s in stages:
        shape = " × ".join(map(str, s.shape)) or "scalar"
        table.add_row(s.name, s.kind, shape, str(s.size), "●" if s.name in marked else "")
    return table


def number(value: Estimate) -> str:
    """``12.4 ± 0.31``; ``≥`` in front of a lower bound."""
    spread = "" if math.isnan(value.sd) else f" ± {value.sd:.2g}"
    return ("≥ " if value.lower_bound else "") + f"{value.mean:.4g}{spread}"


def _signed(value: float) -> str:
    return f"{value:+.4g}".replace("-", "\N{MINUS SIGN}")


def _name(run: Xray) -> str:
    return run.folder.name if run.folder is not None else run.subject
