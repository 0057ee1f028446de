"""The x-ray: spectra of the Jacobians of a network, over inputs and depth."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from os import PathLike
from typing import Any

import torch
from torch import nn

from ..data import described
from ..operators import DETACHED, FunctionalModel, View
from ..results import (
    NotConvergedWarning,
    Progress,
    RunFolder,
    Spectrum,
    StageInfo,
    Work,
    Xray,
    check_callable,
    told,
    versions,
    warn,
    wrong_type,
)
from ..spectra import without_autocast
from ._one_spectrum import KEPT
from ._plan import ALL_UP_TO, TOP, Plan, SpectrumOptions, planned
from ._spread import spread, workers
from ._sweep import spectra_of, tasks


@told
@without_autocast
def xray(
    model: nn.Module | View,
    inputs: Any,
    stages: str | Sequence[str] = "auto",
    k: int | None = None,
    out: str | PathLike[str] | None = None,
    *,
    layers: bool = False,
    spectrum: SpectrumOptions | None = None,
    input_unit: str = "1",
    about: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Xray:
    """Singular values and vectors of ``J_all = d stage / d input`` at each input and stage.

    Tokens have no derivative: at integer inputs every reading starts at the first embedding
    (``Xray.source``), with the tokens held.

    Args:
        model: Any module, or a ``View`` of one; read in evaluation mode and left as it was.
        inputs: Examples along axis 0, ``(N, ...)``, floating; or tokens, ``(N, length)`` integers,
            for a network with an embedding that all that follows passes. Several inputs at once as
            a tuple, list, dict or batch object of such: the floating ones, flattened and joined,
            are the input; integers and masks beside them are held fixed. Of tokens in a dict with
            ``input_ids`` and an ``attention_mask`` of 0 and 1 each text is read at its own length,
            as if it came alone, so that what fills it up changes no number. Rows that see each
            other (a sequence with time along axis 0, the nodes of a graph) are one input, whole.
        stages: Names of stages to read (``nakami.stages`` lists them), with ``*`` for any letters
            (``"*.mlp"``), or ``"auto"``: the state after each weight layer and its activation, at
            most 12, all on the way to the output that is read. A stage named that does not lead
            there (another head's) is read, and kept apart as ``Xray.aside``.
        k: Values for each spectrum; None for all where the smaller side of the Jacobian is at most
            2048 and they fit the memory budget, else 25, or as many of 20, 10 and 5 as fit. Cut to
            the smaller side where a stage is smaller than ``k``. What is not computed is estimated
            by random probes (``spectra.remainder``): effective rank and count above 1 come as
            intervals.
        out: Folder to keep the run in. A folder that holds the same run, unfinished, is continued.
        layers: Also read each stage's own Jacobian, from the stage before it (both must be cuts;
            the first stage has none, its Jacobian from the input is its own).
        spectrum: How each spectrum is computed: ``SpectrumOptions(tol=, seed=, memory_budget=)``.
        input_unit: Unit of one input component ("pixel, 0 to 1"), of tokens that of a component
            of the embedding; counts above 1 depend on it.
        about: More to keep in ``run.json`` (``subject``, the name of the run; ``input_noun``, what
            one input is called; names, labels, training, facts), used by the page.
        progress: ``progress(done, total, seconds_left, what)``, called after each piece.

    Returns:
        An ``Xray``: by index over inputs, mean and sd of the values; counts above 1, effective
        rank, ``s_k/s_1``, sum of logarithms; 4 top, 4 middle and 4 bottom right vectors each.

    Raises:
        UsageError: Wrong inputs, stage, ``k`` or folder; said before any spectrum is computed.

    Warns:
        NotConvergedWarning: Once, with the number of spectra that did not converge.
        NakamiWarning: ``layers`` with a single stage, which has nothing before it but the input.

    Source: Mototake & Ikegami, Dynamical analysis of deep neural networks, JSAI 2015.
    """
    check_callable("progress", progress, "progress(done, total, seconds_left, what)")
    if about is not None and not isinstance(about, Mapping):
        raise wrong_type("about", "be a mapping", repr(about), "write about={'note': ...}")
    network = FunctionalModel(model)
    plan = planned(network, inputs, stages, k, layers, spectrum)
    if layers and len(plan.chosen) == 2:
        only = plan.chosen[1].name
        warn(
            f"{{layers}} must come with two stages or more, to measure between them, got {only!r} "
            "alone; no layer is measured on its own."
        )
    settings = settings_of(plan, input_unit, described(plan.network.model), about)
    folder = None if out is None else RunFolder(out, settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConvergedWarning)
        spectra = _measure(plan, folder, progress)
    if folder is not None:
        run = folder.finish()
    else:
        inputs_read = plan.inputs.arrays()
        run = Xray(settings, plan.chosen, inputs_read, tuple(sorted(spectra, key=plan.order)))
    open_pieces = sum(not s.converged for s in run.spectra)
    if open_pieces:
        warn(
            NotConvergedWarning(
                f"{open_pieces} of {len(run.spectra)} spectra did not converge; they are marked. "
                "To settle them, {way_out}.",
                way_out=["raise {memory_budget}", "lower {k}"],
            )
        )
    return run


def _measure(plan: Plan, folder: RunFolder | None, progress: Progress | None) -> list[Spectrum]:
    if folder is not None:
        for i, x in enumerate(plan.inputs.arrays()):
            if not folder.has(i, "input"):
                folder.write_input(i, x)
    todo = list(_missing(plan, len(plan.inputs), folder))
    kinds = [(source.name, stage.name) for _, source, stage in todo]
    before = len(plan.inputs) * len(plan.readings()) - len(todo)
    work = Work(kinds, progress, before, at_once=workers() or 1)
    spectra = []
    for task, found in spread(partial(spectra_of, plan), tasks(plan, todo, workers())):
        for (i, source, stage), spectrum in zip(task, found, strict=True):
            if folder is None:
                spectra.append(spectrum)
            else:
                folder.write(spectrum)
            work.done(f"input {i}, {stage.name}", (source.name, stage.name), spectrum.seconds)
    return spectra


def _missing(
    plan: Plan, n: int, folder: RunFolder | None
) -> Iterator[tuple[int, StageInfo, StageInfo]]:
    for i in range(n):
        for source, stage in plan.readings():
            if folder is None or not folder.has(i, stage.name, source.name):
                yield i, source, stage


def settings_of(
    plan: Plan, input_unit: str, model: Mapping[str, Any], about: Mapping[str, Any] | None
) -> dict[str, Any]:
    """What ``run.json`` holds of a plan; ``model`` says which network it is."""
    more = dict(about or {})
    normalised = plan.network.batch_normalisation
    if plan.network.batch_statistics and not plan.inputs.whole:
        normalised += ", here of each input alone"
    return {
        "subject": more.pop("subject", "network"),
        "input_unit": input_unit,
        "model": {**model, **more.pop("model", {})},
        "inputs_sha256": plan.inputs.fingerprint(),
        "n_inputs": len(plan.inputs),
        **({"select": plan.network.output_name} if plan.network.output_name else {}),
        "stages": [{"name": s.name, "kind": s.kind, "shape": list(s.shape)} for s in plan.chosen],
        **({"aside": plan.aside} if plan.aside else {}),
        **({"derivative": DETACHED} if plan.network.derivative == DETACHED else {}),
        **({"positions": plan.network.positions} if plan.network.positions != "all" else {}),
        "k": plan.k,
        "layers": plan.layers,
        "tol": plan.tol,
        "seed": plan.seed,
        "dtype": str(plan.dtype).removeprefix("torch."),
        "device": plan.network.device.type,
        "memory_budget": plan.budget,
        "threads": torch.get_num_threads(),
        **({"batch_normalisation": normalised} if normalised else {}),
        "rule": {"all_up_to": ALL_UP_TO, "top": TOP, "kept": KEPT},
        "versions": versions(),
        **more,
    }
