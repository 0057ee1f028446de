"""``nakami xray --recurrent``: what the states of recurrent layers do over time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from nakami.results import counted, wrong

from . import _model, _runs, _tables, hf
from ._readings import STEPS

if TYPE_CHECKING:
    from nakami.results import RecurrentLayer, RecurrentXray

    from ._groups import DataOptions, JsonOptions, ModelOptions, OutputOptions
    from ._subjects import Asked

DEFAULT = "gru"
SHIPPED = "shipped weights, trained on the 4,000 shipped digits"
WHERE = {"zero": "at input 0", "mean": "at the mean input"}


def read(
    network: ModelOptions,
    inputs: DataOptions,
    n: int,
    options: dict[str, Any],
    output: OutputOptions,
) -> None:
    """Read, keep, draw and print; ``options``: ``at``, ``k`` and ``steps`` of the library."""
    from nakami.results import check_choice

    at, k, steps = options["at"], options["k"], options["steps"]
    check_choice("--at", at, tuple(WHERE), "leave it out for zero")
    name = network.model or DEFAULT
    if network.model is None and (network.weights or inputs.data or inputs.typed):
        given = "--weights" if network.weights else "--data" if inputs.data else inputs.typed[0]
        raise wrong(given, "come with --model", "none", "name the network with --model")
    _model.check(name)
    examples = _model.examples_for(name, inputs, n)
    from nakami import data, recurrent

    from ._progress import Meter

    shipped = network.model is None
    weights = data.shipped_weights(name) if shipped else network.weights
    model = _model.build(name, weights, network.seed)
    about = {
        "subject": _runs.short(name),
        **examples.about(),
        **_model.identity(name, network, inputs, model, examples),
        **({"training": SHIPPED} if shipped else {}),
    }
    if weights is None and not hf.is_hf(name):
        typer.echo(f"note: no --weights given: {about['training']}.", err=True)
    usual = {
        "inputs": (n, 64), "top": (k, None), "at": (at, "zero"), "seed": (network.seed, 0),
        "steps": ("+".join(map(str, steps)), STEPS.replace(",", "+")),
    }  # fmt: skip
    named = _runs.of_model(name, "recurrent", network.weights, _runs.chosen(usual))
    folder = _runs.writable("out", output.out / named)
    with Meter() as meter:
        found = recurrent.xray(
            model, examples.inputs, seed=network.seed, out=folder, about=about, progress=meter,
            **options,
        )  # fmt: skip
    page = None if output.no_page else _runs.page(found, folder / "report.html")
    tell(found, page, output)
    if not output.as_json:
        typer.echo(f"Run: {found.folder}")


def read_subject(
    asked: Asked, n: int | None, seed: int, options: dict[str, Any], output: OutputOptions
) -> None:
    """The recurrent layers of a subject's networks, each a run with its page.

    Args:
        asked: The subject.
        n: Test examples; None: the first 16.
        seed: Of random starts and directions.
        options: ``at``, ``k`` and ``steps`` of the library.
        output: Where runs go, and how they are printed.
    """
    from nakami import recipes, recurrent
    from nakami.results import check_choice

    from ._progress import Meter

    at, k, steps = options["at"], options["k"], options["steps"]
    check_choice("--at", at, tuple(WHERE), "leave it out for zero")
    model = (
        recipes.preview(asked.name, asked.training.get("settings"), asked.training.get("data"))
        .networks[0]
        .model
    )
    if not recurrent.recurrent_modules(model):
        rule = "hold recurrent layers, which --recurrent reads"
        raise wrong("a subject", rule, repr(asked.name), "leave --recurrent out")
    training, data = asked.training, asked.training.get("data")
    chosen = _runs.chosen({
        "data": (data and Path(data).resolve().name, None), "train-seed": (training["seed"], 0),
        "inputs": (n, None), "top": (k, None), "at": (at, "zero"), "seed": (seed, 0),
        "steps": ("+".join(map(str, steps)), STEPS.replace(",", "+")),
    })  # fmt: skip
    weights, place = (
        asked.weights(output.out, chosen),
        _runs.reading(asked.named(chosen), "recurrent"),
    )
    with Meter() as meter:
        subject = recipes.prepare(asked.name, weights, n_inputs=n, progress=meter, **training)
        for network in subject.networks:
            folder = _runs.writable("out", output.out / asked.name / place / network.name)
            about = {
                "subject": f"{asked.name}/{network.name}",
                **subject.examples.about(),
                "training": network.training,
            }
            found = recurrent.xray(
                network.model, subject.examples.inputs, seed=seed, out=folder, about=about,
                progress=meter, **options,
            )  # fmt: skip
            page = None if output.no_page else _runs.page(found, folder / "report.html")
            tell(found, page, output)
            if not output.as_json:
                typer.echo(f"Run: {found.folder}")


def tell(found: RecurrentXray, page: Path | None, output: JsonOptions) -> None:
    """Print a run: its table, or JSON."""
    body = _runs.finished(found.folder) if output.as_json else {}
    _tables.tell(output, page, body, [each.drawn() for each in (table(found), *times(found))])


def table(found: RecurrentXray) -> _tables.TextTable:
    """One row for each layer."""
    settings = found.settings
    gru = any(layer.margins for layer in found.layers)
    head = (
        "layer", "kind", "states", "Λ₁ ± s.e.", "Λ > 0", "growth", "rest", "radius",
        *(["σ₁(W_hn)"] if gru else []),
    )  # fmt: skip
    rows = [_row(layer, gru) for layer in found.layers]
    data = settings.get("data")
    title = f"{found.subject}, sequences from {data}" if data else found.subject
    return _tables.TextTable(title, _caption(found), head, rows, left=2)


def times(found: RecurrentXray) -> list[_tables.TextTable]:
    """Spectra after some steps, a table for each layer that has them."""
    head = ("of the state by", "steps", "s₁", "s > 1", "s > 0.1", "eff. rank", "ln s₁ / t")
    names = ("largest", "above_1", "above_0.1", "effective_rank", "exponent")
    made = []
    for layer in found.layers:
        if layer.over_time is None:
            continue
        n, size = layer.over_time.values.shape[1], layer.state_size
        rows = [
            (row["source"], str(row["steps"]), *(_pair(row, name) for name in names))
            for row in layer.over_time.rows()
        ]
        caption = (
            f"Singular values of d h_t / d h_0 (the state before the first step; {size} numbers), "
            "d h_t / d x_1 (the first input) and d h_t / d (x_1, ..., x_t).\n"
            f"mean ± s.e. over {counted(n, 'sequence')}; s > 0.1: of how many directions more than "
            "a tenth of a difference is left; ln s₁ / t: nats a step."
        )
        title = f"{layer.name or layer.kind}: what is left after t steps"
        made.append(_tables.TextTable(title, caption, head, rows))
    return made


def _pair(row: dict[str, Any], name: str) -> str:
    mean, error = row[name], row[f"{name}_se"]
    if mean != mean:  # NaN
        return ""
    bound = "≥ " if row.get(f"{name}_lower_bound") else ""
    return f"{bound}{mean:.3g} ± {error:.1g}" if error == error else f"{bound}{mean:.3g}"


def _row(layer: RecurrentLayer, gru: bool) -> tuple[str, ...]:
    found, fixed = layer.exponents, layer.fixed_points
    first, error = float(found.exponents[0]), float(found.standard_errors[0])
    doubt = "" if found.converged else " (!)"
    n = len(found.exponents)
    above = f"{int((found.exponents > 0).sum())} of {n}"
    values = layer.growth.singular_values[:, 0]
    return (
        layer.name or layer.kind,
        layer.kind if layer.layers == 1 else f"{layer.kind}, {layer.layers} layers",
        str(layer.state_size),
        f"{first:z.4f} ± {error:.1g}{doubt}",
        above,
        f"{layer.median_growth:.3g} ({values.min():.3g} to {values.max():.3g})",
        f"{len(fixed.points)}, {int(fixed.stable.sum())} stable",
        f"{fixed.radii[0]:z.4f}" if len(fixed.points) else "",
        *([", ".join(f"{m.sigma:z.2f}" for m in layer.margins)] if gru else []),
    )


def _caption(found: RecurrentXray) -> str:
    settings, lines = found.settings, list[str]()
    for layer, about in zip(found.layers, settings["layers"], strict=False):
        low, high = about["steps"]
        steps = f"{low}" if low == high else f"{low} to {high}"
        of = counted(about["sequences"], "sequence")
        how = " (time along axis 0, as the layer takes it)" if about["time_first"] else ""
        how += " joined, the state carried on" if about["joined"] else ""
        lines.append(
            f"{layer.name or layer.kind}: {of} of {steps} steps{how}; exponents "
            f"{layer.exponents.reason}."
        )
        lines.append(f"Rest: {layer.fixed_points.reason}.")
    done, planned = len(found.layers), len(settings["layers"])
    if done < planned:
        lines.append(f"{done} of {planned} layers so far; the same command continues the run.")
    spans = sorted({layer.growth.length for layer in found.layers})
    over = " and ".join(map(str, spans)) or "some"
    lines += [
        "Λ: Lyapunov exponents, nats a step; above 0 small differences grow for ever.",
        f"growth: of the most growing difference over the first {over} steps, median (range).",
        f"rest: fixed points found {WHERE[found.constant]}; radius: of the most stable one.",
    ]
    if any(layer.margins for layer in found.layers):
        lines.append("σ₁(W_hn): below 2 a GRU without biases rests stably at input 0.")
    if not all(layer.exponents.converged for layer in found.layers):
        lines.append("(!): the standard error is not to be trusted, take longer sequences.")
    return "\n".join(lines)


__all__ = ["read", "table", "tell", "times"]
