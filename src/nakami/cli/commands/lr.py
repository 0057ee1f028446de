"""``nakami lr``: a shipped network on shipped digits, or the caller's."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nakami import results
from nakami.results import wrong

from .. import _options
from .._command import Command
from .._groups import BudgetOptions, LabelledOptions, ModelOptions, OutputOptions

if TYPE_CHECKING:
    from nakami.data import LabelledExamples

DEFAULT = "mlp"
BATCH, BATCHES = 50, 8


def run(
    network: ModelOptions,
    inputs: LabelledOptions,
    compute: BudgetOptions,
    output: OutputOptions,
    loss: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="cross_entropy, mse or bce_with_logits: torch's, mean reduction."
        ),
    ] = "cross_entropy",
    optimizer: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="sgd, momentum (0.9), nesterov (0.9), adam or adamw, else as torch sets them.",
        ),
    ] = "sgd",
    batch: Annotated[
        int, typer.Option(min=1, metavar="N", help="Examples of a batch, as you will train.")
    ] = BATCH,
    batches: Annotated[
        int, typer.Option(min=1, metavar="N", help="Batches to read, at most.")
    ] = BATCHES,
    tol: Annotated[
        float, typer.Option(help="Estimated relative error that an eigenvalue may have.")
    ] = 1e-3,
) -> None:
    """Advise a learning rate before training, with its reasons: a table and a page.

    The rate above which steps grow at the present weights, the rate advised with its interval, how
    noisy the batches are, and what the theory of wide networks predicted.

    Without arguments: a small perceptron on shipped digits. Nothing of your network is changed.
    """
    if network.weights and not network.model:
        raise wrong("--weights", "come with --model", "no model", "name the network with --model")
    _options.existing("--weights", network.weights)
    _options.existing("--data", inputs.data)
    budget, place = compute.budget, compute.place()
    from nakami import View, geometry

    from .. import _folders, _lr_tables, _model, _page, _runs
    from .._progress import Meter

    geometry.check_request(loss, optimizer)
    limit = geometry.LimitOptions(tol=tol)
    name = network.model or DEFAULT
    view = View(_model.build(name, network.weights, network.seed), **place)
    examples = _examples(name, inputs, batch * batches, network.seed)
    _model.try_once(view.model, examples)
    where = output.out / _folders.of_model(name, f"lr-{optimizer}", network.weights)
    folder = _options.writable("out", where)
    began = time.monotonic()
    with Meter() as meter:
        found = geometry.learning_rate_report(
            view, examples.batches(batch), loss, optimizer, limit=limit, seed=network.seed,
            progress=meter, memory_budget=budget,
        )  # fmt: skip
    seconds = round(time.monotonic() - began, 2)
    chosen = {"batch": batch, "batches": batches, "seed": network.seed, "tol": tol}
    settings = _settings(name, network, optimizer, loss, examples) | chosen
    about = {**settings, "seconds": seconds, "created": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
    table = _lr_tables.report_table(found, about)
    page = None if output.no_page else _page.maybe(found, folder / "report.html", about)
    record = _runs.keep(
        folder, "lr", settings, {"seconds": seconds, **results.plain(found)}, [table]
    )
    _runs.tell(record, page, output.as_json)


def _examples(name: str, inputs: LabelledOptions, n: int, seed: int) -> LabelledExamples:
    """Examples with targets; a zoo model that takes digits goes without ``--data``."""
    from nakami import data

    from .. import _model

    if inputs.data is not None:
        return data.read_labelled(inputs.data, n, seed=seed, **_model.fitting(name, inputs))
    for option in inputs.typed:
        raise wrong(option, "come with --data", "shipped digits", f"leave {option} out")
    if not _model.takes_digits(name):
        rule = f"be given with --model {name}"
        way_out = (
            "pass --data PATH: an .npz with x and y, IDX beside its labels, or a folder of "
            "pictures by class"
        )
        raise wrong("--data", rule, "none", way_out)
    return data.with_targets(data.digits(), n, seed)


def _settings(
    name: str, network: ModelOptions, optimizer: str, loss: str, examples: LabelledExamples
) -> dict[str, Any]:
    import torch

    from .. import _model

    return {
        "model": name.rpartition(":")[2] or name,
        "training": _model.training(name, network.weights),
        "optimizer": optimizer,
        "loss": loss,
        "data": examples.source,
        "input_unit": examples.unit,
        "threads": torch.get_num_threads(),
        "versions": results.versions(),
    }


ENTRY = Command(run)
