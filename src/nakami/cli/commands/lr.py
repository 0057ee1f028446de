"""``nakami lr``: a shipped network on shipped digits, or the caller's."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from nakami import results
from nakami.results import wrong

from .._command import Command
from .._groups import BudgetOptions, LabelledOptions, ModelOptions, OutputOptions

if TYPE_CHECKING:
    from nakami.data import LabelledExamples
    from nakami.results import Keep, RecordFolder

    from .._progress import Meter

T = TypeVar("T")
DEFAULT = "mlp"
LOSS, BATCH, BATCHES, TOL = "cross_entropy", 50, 8, 1e-3


def run(
    network: ModelOptions,
    inputs: LabelledOptions,
    compute: BudgetOptions,
    output: OutputOptions,
    loss: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="cross_entropy, mse or bce_with_logits: torch's, mean reduction; own: the loss "
            "that the model returns when it gets all arrays of --data by their names.",
        ),
    ] = LOSS,
    optimizer: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="sgd, momentum (0.9), nesterov (0.9), adam, adamw, rmsprop, sdprop, adastand, "
            "nadam, radam, adamax, adagrad, adadelta, adafactor or asgd, else with their defaults.",
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
    ] = TOL,
    no_curvature: Annotated[
        bool,
        typer.Option(
            "--no-curvature", help="Leave out how all eigenvalues lie, the page's section on it."
        ),
    ] = False,
) -> None:
    """Advise a learning rate before training, with its reasons: a table and a page.

    The rate above which steps grow at the present weights, the rate advised with its interval, how
    noisy the batches are, and what the theory of wide networks predicted.

    Without arguments: a small perceptron on shipped digits. Nothing of your network is changed. A
    stopped reading is continued by the same command.
    """
    if network.weights and not network.model:
        raise wrong("--weights", "come with --model", "no model", "name the network with --model")
    network.check_select()
    from nakami import geometry

    from .. import _model

    geometry.check_names(loss, optimizer)
    name = network.model or DEFAULT
    _model.check_labelled(name, inputs)
    budget = compute.budget
    compute.place()  # refused before the network is made
    import torch

    from nakami import data

    from .. import _lr_tables, _runs
    from .._progress import Meter

    own = loss == geometry.OWN_LOSS
    if own and not inputs.data:
        raise wrong("--loss", f"come with --data where it is {loss}", "none", "pass an .npz")
    examples = _model.labelled_for(name, inputs, batch * batches, network.seed, inside=own)
    batch = _filled(batch, examples)
    model = _model.build(name, network.weights, network.seed)
    view = compute.view(model, network.select, batches=True)
    options = {
        "batch": (batch, BATCH),
        "batches": (batches, BATCHES),
        "loss": (loss, LOSS),
        "labels": (inputs.labels, None),
        "select": (network.select, None),
        "seed": (network.seed, 0),
        "tol": (tol, TOL),
        **compute.options,
    }
    what, chosen = f"lr-{optimizer}", _runs.chosen(options)
    where = output.out / _runs.of_model(name, what, network.weights, chosen)
    normalised = view.batch_normalisation
    settings = {
        "model": _runs.short(name),
        **_model.identity(name, network, inputs, view.model, examples),
        "weights_sha256": data.weights_fingerprint(view.model),
        "optimizer": optimizer,
        "loss": loss,
        "inputs_sha256": data.fingerprint(*data.tensors_of(examples.inputs)),
        "targets_sha256": data.fingerprint(examples.targets),
        "input_unit": examples.unit,
        "batch": batch,
        "batches": batches,
        "seed": network.seed,
        "tol": tol,
        "dtype": compute.dtype,
        "device": compute.device,
        "memory_budget": budget,
        **({"batch_normalisation": normalised} if normalised else {}),
        **network.selected,
        "threads": torch.get_num_threads(),
        "versions": results.versions(),
    }
    folder = results.RecordFolder(_runs.writable("out", where), "lr", settings)
    pairs: list[Any] = examples.batches(batch)
    if own:
        pairs = [(whole, None) for whole, _ in pairs]
    with Meter() as meter:
        found = geometry.learning_rate_report(
            view, pairs, None if own else loss, optimizer, spectrum=not no_curvature,
            options=geometry.LimitOptions(tol=tol), seed=network.seed, progress=meter,
            memory_budget=budget, keep=_kept(folder, meter),
        )  # fmt: skip
    parts = results.read_record(where).pieces()
    seconds = round(sum(part.seconds for part in parts), 2)
    about = {**folder.settings, "seconds": seconds}
    table = _lr_tables.report_table(found, about)
    page = None if output.no_page else _runs.page(found, where / "report.html", about)
    record = _runs.finish(folder, {"seconds": seconds, **results.plain(found)}, [table])
    _runs.tell(record, page, output)


def _kept(folder: RecordFolder, meter: Meter) -> Keep:
    """Keeps the parts in a folder, and says the first answer at once."""
    from nakami.geometry import FirstLook

    def keep(name: str, make: Callable[[], T], /) -> T:
        part = folder.kept(name, make)
        if isinstance(part, FirstLook):
            meter.say(f"first look: {part.reason}; advice and limit follow.")
        return part

    return keep


def _filled(batch: int, examples: LabelledExamples) -> int:
    """Examples of a batch: no more than there are, which is said."""
    there = len(examples)
    if batch <= there:
        return batch
    if batch != BATCH:
        way_out = f"write --batch {there} or less"
        raise wrong("--batch", f"be at most {there:,}, all examples", batch, way_out)
    all_of = "the one example is" if there == 1 else f"all {there:,} examples are"
    typer.echo(f"note: {all_of} one batch, fewer than the usual {BATCH}.", err=True)
    return there


ENTRY = Command(run, goes_on=True)
