"""The verbs of a subject: preview and check it, prepare it, measure it."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nakami.operators import View
from nakami.results import Progress, Xray, share, unknown

from . import SUBJECTS
from ._dbn_digits import digits_from, prepare_dbn, preview_dbn, trained_dbn
from ._subject import Subject


def prepare(
    name: str,
    folder: str | PathLike[str],
    *,
    data: str | PathLike[str] | None = None,
    n_inputs: int = 16,
    seed: int = 0,
    progress: Progress | None = None,
) -> Subject:
    """Train a subject, or read back the weights that an earlier call left in the folder.

    Args:
        name: One of ``SUBJECTS``.
        folder: Where weights and their settings are kept (``weights-*.safetensors``,
            ``training.json``). After a kill the same call goes on, to the same bits. Training
            runs on one thread, whatever torch's number.
        data: Folder with the four MNIST files, to train on all of them; None: the shipped sample.
        n_inputs: The subject's inputs are the first ``n_inputs`` test digits.
        seed: Decides weights, order and samples; torch's global generator is not touched.
        progress: ``progress(done, total, seconds left, what)`` after each epoch; not called when
            nothing is to be trained.

    Raises:
        UsageError: Unknown name, wrong data, or the folder holds a training with other settings.
    """
    if name not in SUBJECTS:
        raise unknown("subject", name, SUBJECTS)
    train, test = digits_from(None if data is None else Path(data))
    return prepare_dbn(Path(folder), train, test, n_inputs=n_inputs, seed=seed, progress=progress)


def trained(
    name: str,
    folder: str | PathLike[str],
    *,
    data: str | PathLike[str] | None = None,
    seed: int = 0,
) -> bool:
    """Whether ``prepare`` would only read weights back from this folder.

    Args:
        name: One of ``SUBJECTS``.
        folder: Looked into, never written.
        data: As for ``prepare``.
        seed: As for ``prepare``.

    Raises:
        UsageError: Unknown name, or wrong data.
    """
    if name not in SUBJECTS:
        raise unknown("subject", name, SUBJECTS)
    train, _ = digits_from(None if data is None else Path(data))
    return trained_dbn(Path(folder), train, seed)


def preview(name: str) -> Subject:
    """A subject with one untrained network and one example: its shapes, in a moment.

    Args:
        name: One of ``SUBJECTS``.

    Raises:
        UsageError: Unknown name.
    """
    if name not in SUBJECTS:
        raise unknown("subject", name, SUBJECTS)
    return preview_dbn()


def check(name: str, **options: Any) -> None:
    """Refuse what ``measure`` would refuse, before anything is trained for it.

    Args:
        name: One of ``SUBJECTS``.
        options: As for ``measure``.

    Raises:
        UsageError: Unknown name or stage, ``k`` or budget out of range, ...
    """
    from nakami.dynamics import check as check_plan

    subject = preview(name)
    options = _filled(subject, options)
    view = _view(subject.networks[0].model, options)
    check_plan(view, subject.examples.inputs, **options)


def measure(
    subject: Subject, out: str | PathLike[str], *, progress: Progress | None = None, **options: Any
) -> tuple[Xray, ...]:
    """The x-ray of each network of a subject, at the subject's inputs.

    Args:
        subject: From ``prepare``, or made by hand.
        out: Folder; each network's run goes to ``out / network.name``.
        progress: As for ``nakami.xray``, over all networks together.
        options: Passed on to ``nakami.xray`` (``k``, ``layers``, ``spectrum``) or to a ``View``.
            Where ``stages`` or ``dtype`` are None or not given, the subject's own are taken.

    Returns:
        One run for each network, in their order.
    """
    from nakami.dynamics import xray

    runs = []
    examples = subject.examples
    labels = None if examples.labels is None else examples.labels.tolist()
    for index, network in enumerate(subject.networks):
        asked = _filled(subject, options)
        about = {
            "subject": f"{subject.name}/{network.name}",
            "data": examples.source,
            "input_names": list(examples.names),
            "labels": labels,
            "picture": examples.picture,
            "training": network.training,
            "facts": network.facts,
        }
        run = xray(
            _view(network.model, asked),
            examples.inputs,
            **asked,
            out=Path(out) / network.name,
            input_unit=examples.unit,
            about={k: v for k, v in about.items() if v is not None},
            progress=share(progress, index, len(subject.networks), network.name),
        )
        runs.append(run)
    return tuple(runs)


def _filled(subject: Subject, options: dict[str, Any]) -> dict[str, Any]:
    """Options with the subject's own where the caller left them open."""
    given = {key: value for key, value in options.items() if value is not None}
    device = torch.device(given.get("device", "cpu"))
    dtype = None if device.type == "mps" else subject.dtype  # which has no float64
    return {"stages": subject.stages, "dtype": dtype, **given}


def _view(model: nn.Module, options: dict[str, Any]) -> View:
    """The model with the options of a view, which are taken out."""
    return View(model, dtype=options.pop("dtype"), device=options.pop("device", None))
