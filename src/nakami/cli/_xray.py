"""``nakami xray``: a shipped subject, or a network of the caller's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from nakami.results import UsageError, unknown

from . import _folders, _model, _options
from ._json import echo_json
from ._page import page_possible, write_page
from ._progress import Meter
from ._request import Request

if TYPE_CHECKING:
    from nakami.results import Xray


def run(request: Request) -> None:
    """Measure, then print tables (or JSON) and write the page."""
    _check_together(request)
    _options.existing("--weights", request.weights)
    _options.existing("--data", request.data)
    options = _xray_options(request)  # cheap checks first: nothing is trained before they pass
    page = request.page and page_possible()
    measure = _own_network if request.model else _shipped_subject
    runs, folder = measure(request, options)
    path = write_page(runs, folder / "report.html") if page else None
    _print(runs, path, request.as_json)


def _check_together(request: Request) -> None:
    if request.model and request.subject:
        raise UsageError(
            f"a subject and --model must not be given together, got {request.subject!r} and "
            f"{request.model!r}; drop one."
        )
    if request.weights and not request.model:
        raise UsageError(
            "--weights must come with --model, got no model; name the network with --model."
        )
    if request.train_seed is not None and request.model:
        raise UsageError(
            "--train-seed must come with a shipped subject, got --model; drop one (--seed draws "
            "the weights of a model)."
        )
    given = [f"--{name}" for name, value in request.pictures.items() if value is not None]
    if given and not request.model:
        raise UsageError(
            f"{', '.join(given)} must come with --model, got a shipped subject, which reads the "
            "MNIST files as they are; drop it."
        )


def _xray_options(request: Request) -> dict[str, Any]:
    return {
        "stages": _options.stage_names(request.stages),
        "k": request.top,
        "layers": request.layers,
        "tol": _options.tolerance(request.tol),
        "seed": request.seed,
        "memory_budget": _options.memory_budget(request.memory_budget),
        "dtype": _options.torch_dtype(request.dtype),
        "device": _options.torch_device(request.device),
    }


def _shipped_subject(request: Request, options: dict[str, Any]) -> tuple[tuple[Xray, ...], Path]:
    from nakami import recipes

    name = request.subject or recipes.DEFAULT
    if name not in recipes.SUBJECTS:
        raise unknown("subject", name, recipes.SUBJECTS, "a network of yours goes with --model")
    if options["stages"] == "auto":  # a subject knows its own
        options = {**options, "stages": None}
    recipes.check(name, **options)
    folder = _options.writable("--out", request.out / name / _folders.reading(request))
    training: dict[str, Any] = {"data": request.data, "seed": request.train_seed or 0}
    weights = _folders.weights(request, name, lambda f: recipes.trained(name, f, **training))
    with Meter() as meter:
        subject = recipes.prepare(
            name, weights, n_inputs=request.inputs, progress=meter, **training
        )
        return tuple(recipes.measure(subject, folder, progress=meter, **options)), folder


def _own_network(request: Request, options: dict[str, Any]) -> tuple[tuple[Xray, ...], Path]:
    import nakami

    assert request.model is not None
    model = _model.build(request.model, request.weights, request.seed)
    examples = _model.examples_for(request.model, request.data, request.inputs, request.pictures)
    _model.try_once(model, examples)
    nakami.dynamics.check(model, examples.inputs[:1], **{**options, "layers": False})
    subject = request.model.rpartition(":")[2] or request.model
    name = request.weights.stem if request.weights else "run"
    folder = _options.writable("--out", request.out / subject / name)
    about = {
        "data": examples.source,
        "input_names": list(examples.names),
        "labels": None if examples.labels is None else examples.labels.tolist(),
        "picture": examples.picture,
        "training": _model.training(request.model, request.weights),
    }
    if request.weights is None:
        typer.echo(f"note: no --weights given: {about['training']}.", err=True)
    with Meter() as meter:
        result = nakami.xray(
            model,
            examples.inputs,
            out=folder,
            subject=subject,
            input_unit=examples.unit,
            about=about,
            progress=meter,
            **options,
        )
    return (result,), folder


def _print(runs: tuple[Xray, ...], page: Path | None, as_json: bool) -> None:
    if as_json:
        body = {"page": str(page) if page else None, "runs": [finished_record(run) for run in runs]}
        echo_json(body)
        return
    from . import _tables

    for result in runs:
        _tables.show(_tables.xray_table(result))
    if page is not None:
        typer.echo(f"Page: {page}")
    typer.echo("Runs: " + ", ".join(str(result.folder) for result in runs))


def finished_record(run: Xray) -> dict[str, Any]:
    """What ``result.json`` of a finished run holds, and where it lies."""
    assert run.folder is not None
    body = json.loads((run.folder / "result.json").read_text(encoding="utf-8"))
    return {"folder": str(run.folder), **body}
