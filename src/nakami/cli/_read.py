"""``nakami stages``, ``compare`` and ``show``: what is read in seconds."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from nakami import results
from nakami.results import UsageError

from . import _model, _options, _tables
from ._json import echo_json, plain
from ._page import page_possible, write
from ._xray import finished_record

if TYPE_CHECKING:
    from nakami.results import Comparison, Xray


def stages(
    model: str | None,
    weights: Path | None,
    data: Path | None,
    pictures: dict[str, Any],
    seed: int,
    as_json: bool,
) -> None:
    """Print where a network can be cut."""
    import nakami

    if model is None:
        raise UsageError(f"--model must be given, got none; pass {_model.FORM}.")
    _options.existing("--weights", weights)
    _options.existing("--data", data)
    network = _model.build(model, weights, seed)
    examples = _model.examples_for(model, data, 1, pictures)
    _model.try_once(network, examples)
    found = nakami.stages(network, examples.inputs[:1])
    if as_json:
        rows = [{**asdict(s), "size": s.size, "auto": s.name in found.auto} for s in found]
        echo_json({"model": model, "stages": rows})
    else:
        _tables.show(_tables.stages_table(found, found.auto))


def compare_runs(before: Path, after: Path, out: Path | None, as_json: bool) -> None:
    """Print the paired changes of two runs."""
    result = results.compare(before, after)
    page = _page(result, out)
    if as_json:
        echo_json({"page": page, "changes": [plain(vars(c)) for c in result.changes]})
    else:
        _tables.show(_tables.comparison_table(result))
        _say(page)


def show_run(folder: Path, out: Path | None, as_json: bool) -> None:
    """Print a run again."""
    run = results.load(folder)
    page = _page(run, out)
    if as_json:
        if not (folder / "result.json").exists():
            raise UsageError(
                f"run must be finished for --json, got an unfinished one in {folder}; start the "
                "command that made it again."
            )
        echo_json({"page": page, "runs": [finished_record(run)]})
    else:
        _tables.show(_tables.xray_table(run))
        _say(page)


def _page(what: Xray | Comparison, out: Path | None) -> str | None:
    return str(write(what, out)) if out is not None and page_possible() else None


def _say(page: str | None) -> None:
    if page is not None:
        typer.echo(f"Page: {page}")
