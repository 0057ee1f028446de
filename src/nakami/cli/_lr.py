"""``nakami lr``: a shipped network on shipped digits, or the caller's."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from nakami.results import UsageError, wrong

from . import _folders, _model, _options
from ._json import echo_json, plain
from ._page import page_possible
from ._progress import Meter
from ._request import RateRequest

if TYPE_CHECKING:
    from nakami.data import Labelled
    from nakami.geometry import LearningRateReport

DEFAULT = "mlp"


def run(request: RateRequest) -> None:
    """Read everything, then print tables (or JSON) and write the page."""
    _check_together(request)
    _options.existing("--weights", request.weights)
    _options.existing("--data", request.data)
    tol = _options.tolerance(request.tol, "1e-3")
    budget = _options.memory_budget(request.memory_budget)
    dtype, device = _options.torch_dtype(request.dtype), _options.torch_device(request.device)
    from nakami import View, geometry

    geometry.check_request(request.loss, request.optimizer)
    page = request.page and page_possible()
    name = request.model or DEFAULT
    model = _model.build(name, request.weights, request.seed)
    examples = _examples(name, request)
    _model.try_once(model, examples)
    folder = _options.writable("--out", request.out / _folders.rates(request, name))
    began = time.monotonic()
    with Meter() as meter:
        found = geometry.learning_rate_report(
            View(model, dtype=dtype, device=device), examples.batches(request.batch), request.loss,
            request.optimizer, limit=geometry.LimitOptions(tol=tol), seed=request.seed,
            progress=meter, memory_budget=budget,
        )  # fmt: skip
    about = _about(request, name, examples, time.monotonic() - began)
    record = {"schema": "nakami.lr/1", **about, **plain(found)}
    text = json.dumps(record, indent=1, ensure_ascii=False)
    (folder / "result.json").write_text(text, encoding="utf-8")
    path = _write(found, about, folder / "report.html") if page else None
    _print(found, about, record, path, request.as_json)


def _check_together(request: RateRequest) -> None:
    if request.weights and not request.model:
        raise UsageError(
            "--weights must come with --model, got no model; name the network with --model."
        )


def _examples(name: str, request: RateRequest) -> Labelled:
    """Examples with targets; a zoo model that takes digits goes without ``--data``."""
    from nakami import data, zoo

    n = request.batch * request.batches
    if request.data is not None:
        pictures = _model.fitting_pictures(name, request.data, request.pictures)
        return data.labelled(request.data, n, seed=request.seed, labels=request.labels, **pictures)
    given = {**request.pictures, "labels": request.labels}
    for option, value in given.items():
        if value is not None:
            raise wrong(f"--{option}", "come with --data", "shipped digits", "drop it")
    if name not in zoo.DIGITS:
        raise UsageError(
            f"--data must be given with --model {name}, got none; pass --data PATH: an .npz with "
            "x and y, IDX beside its labels, or a folder of pictures by class."
        )
    return data.pairs_of(data.digits(), n, request.seed)


def _about(request: RateRequest, name: str, examples: Labelled, seconds: float) -> dict[str, Any]:
    import torch

    from nakami import __version__

    return {
        "model": name.rpartition(":")[2] or name,
        "training": _model.training(name, request.weights),
        "optimizer": request.optimizer,
        "data": examples.source,
        "input_unit": examples.unit,
        "seconds": round(seconds, 2),
        "threads": torch.get_num_threads(),
        "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "versions": {"nakami": __version__, "torch": torch.__version__},
    }


def _write(found: LearningRateReport, about: dict[str, Any], path: Path) -> Path:
    from nakami import report

    return report.write(found, path, about)


def _print(
    found: LearningRateReport,
    about: dict[str, Any],
    record: dict[str, Any],
    page: Path | None,
    as_json: bool,
) -> None:
    if as_json:
        echo_json({"page": str(page) if page else None, **record})
        return
    from ._lr_tables import report_table
    from ._tables import show

    show(report_table(found, about))
    if page is not None:
        typer.echo(f"Page: {page}")
