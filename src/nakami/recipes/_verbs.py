"""The verbs of a subject: preview and check it, prepare it, measure it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from nakami.data import Examples
from nakami.operators import View
from nakami.results import Progress, UsageError, Xray, holds, share, wrong
from nakami.training import KIND, Training, on_accelerator, one_thread, require

from ._examples import DataFiles, check_labels, check_unit, data_files, is_schema
from ._facts import fingerprint
from ._left import leave_nothing, table_of_facts, told_of, write_preparation, write_settings
from ._own import OWN, recipe_of
from ._settings import contents
from ._subject import Network, Recipe, Subject

INPUTS = 16  # of a subject, unless asked for otherwise


def prepare(
    name: str,
    folder: str | PathLike[str],
    *,
    data: str | PathLike[str] | None = None,
    n_inputs: int | Literal["all"] | None = None,
    seed: int = 0,
    settings: Any = None,
    progress: Progress | None = None,
    pictures: bool = False,
    accelerator: str = "cpu",
) -> Subject:
    """Train a subject, or read back the weights that an earlier call left in the folder.

    Args:
        name: One of ``SUBJECTS``.
        folder: A run of kind ``training``: weights, losses and settings. After a kill the same
            call goes on, to the same bits. Training runs on one thread, whatever torch's number.
        data: File or folder with examples of the caller's, or ``DataFiles`` with a part to test on
            and how to read them; None: the shipped sample.
        n_inputs: The subject's inputs are the first ``n_inputs`` test examples; ``"all"``: all;
            None: the first 16, or all where there are fewer.
        seed: Decides weights, order and samples; torch's global generator is not touched.
        settings: In place of the recipe's own, ``SUBJECTS[name].settings``.
        progress: ``progress(done, total, seconds left, what)`` after each epoch; not called when
            nothing is to be trained.
        pictures: Whether the folder also holds what the recipe offers to be seen.
        accelerator: Where it is trained, as Lightning's ``Trainer`` takes it.

    Raises:
        UsageError: Unknown name, wrong data, or the folder holds a training with other settings.
        RunError: There is something to train, and Lightning is not installed.
    """
    recipe, settings = _asked(name, settings)
    files = None if data is None else data_files(data)
    train, test = _examples(name, files, settings)
    if n_inputs is None:
        n_inputs = min(INPUTS, len(test))
    elif n_inputs == "all":
        n_inputs = len(test)
    elif not 1 <= n_inputs <= len(test):
        rule = f"lie between 1 and {len(test)}"
        raise wrong("n_inputs", rule, n_inputs, f"pass a number up to {len(test)}")
    about, epochs = _record(name, train, seed, settings), recipe.epochs(settings)
    if not holds(folder, KIND, {**about, **on_accelerator(accelerator)}, epochs):
        require()
    if files is not None:
        about |= {"files": files.about()}
    training = Training(folder, about, epochs, accelerator=accelerator, progress=progress)
    write_settings(folder, name, settings, seed, train, files)
    write_preparation(folder, files)
    with one_thread():  # a fact is kept in the run, so the number of threads may not show in it
        try:
            networks = recipe.train(training, train, test, settings)
        except UsageError:
            leave_nothing(folder)
            raise
        of = str(fingerprint(test)["sha256"])
        if pictures and recipe.pictures is not None:
            make, generator = recipe.pictures, training.generator("pictures")
            training.keep_pictures(lambda: make(networks, test, settings, generator), of)
    result = {"source": train.source, "networks": told_of(networks), "tested_on": of}
    if files is not None:  # those of the figures; the settings keep those of the first time
        result |= {"files": files.about()}
    training.finish(result, [table_of_facts(networks)])
    return _subject(name, networks, test[:n_inputs], settings)


def trained(
    name: str,
    folder: str | PathLike[str],
    *,
    data: str | PathLike[str] | None = None,
    seed: int = 0,
    settings: Any = None,
    accelerator: str = "cpu",
) -> bool:
    """Whether ``prepare`` would only read weights back from this folder.

    Args:
        name: One of ``SUBJECTS``.
        folder: Looked into, never written.
        data: As for ``prepare``.
        seed: As for ``prepare``.
        settings: As for ``prepare``.
        accelerator: As for ``prepare``.

    Raises:
        UsageError: Unknown name, or wrong data.
    """
    recipe, settings = _asked(name, settings)
    train, _ = _examples(name, None if data is None else data_files(data), settings)
    about = {**_record(name, train, seed, settings), **on_accelerator(accelerator)}
    return holds(folder, KIND, about, recipe.epochs(settings))


def preview(name: str, settings: Any = None, data: str | PathLike[str] | None = None) -> Subject:
    """A subject with one untrained network and one example: its shapes, in a moment.

    Args:
        name: One of ``SUBJECTS``.
        settings: As for ``prepare``.
        data: As for ``prepare``; needed for a network of the caller's alone.

    Raises:
        UsageError: Unknown name.
    """
    recipe, settings = _asked(name, settings)
    network = Network("untrained", recipe.untrained(settings), "not trained", [])
    files = data_files(data) if data is not None and name in OWN else None
    _, test = _examples(name, files, settings)
    return _subject(name, (network,), test[:1], settings)


def _subject(name: str, networks: Sequence[Network], test: Examples, settings: Any) -> Subject:
    """What an x-ray opens of trained networks."""
    recipe = recipe_of(name)
    opened, examples = recipe.measured(networks, test)
    return Subject(name, tuple(opened), examples, recipe.stages(settings), recipe.dtype)


def _examples(name: str, files: DataFiles | None, settings: Any) -> tuple[Examples, Examples]:
    """To train and to test on, checked for what the recipe needs."""
    recipe = recipe_of(name)
    if files is not None and is_schema(files) and recipe.takes:
        way_out = ["pass that itself", "train a network of your own, package.module:factory, by it"]
        raise wrong("data", f"be {recipe.takes}, for {name}", f"a schema, {files.path}", way_out)
    train, test = recipe.examples(files)
    if recipe.labelled:
        check_labels(name, train, test)
    if recipe.in_unit:
        check_unit(name, train, test)
    return recipe.arranged(train, test, settings)


def _asked(name: str, settings: Any) -> tuple[Recipe, Any]:
    recipe = recipe_of(name)
    return recipe, recipe.settings if settings is None else settings


def _record(name: str, train: Examples, seed: int, settings: Any) -> dict[str, Any]:
    """All that decides the weights."""
    more = {**contents(settings), **recipe_of(name).identity(seed)}
    return {"recipe": name, "seed": seed, **asdict(settings), **more, "data": fingerprint(train)}


def check(
    name: str,
    settings: Any = None,
    data: str | PathLike[str] | None = None,
    **options: Any,
) -> None:
    """Refuse what ``measure`` would refuse, before anything is trained for it.

    Args:
        name: One of ``SUBJECTS``.
        settings: As for ``prepare``.
        data: As for ``preview``.
        options: As for ``measure``.

    Raises:
        UsageError: Unknown name or stage, ``k`` or budget out of range, ...
    """
    from nakami.dynamics import check as check_plan

    subject = preview(name, settings, data)
    options = _filled(subject, options)
    view = _view(subject.networks[0].model, options)
    check_plan(view, subject.examples.inputs, **options)


def expected_seconds(subject: Subject, **options: Any) -> float:
    """About how long ``measure`` takes in one process, experiments left out.

    Args:
        subject: As for ``measure``.
        options: As for ``measure``.
    """
    from nakami.dynamics import expected_seconds as of_one

    asked = _filled(subject, options)
    view = _view(subject.networks[0].model, asked)
    return len(subject.networks) * of_one(view, subject.examples.inputs, **asked)


def measure(
    subject: Subject,
    out: str | PathLike[str],
    *,
    experiments: Sequence[str] | str = (),
    progress: Progress | None = None,
    **options: Any,
) -> tuple[Xray, ...]:
    """The x-ray of each network of a subject, at the subject's inputs.

    Args:
        subject: From ``prepare``, or made by hand.
        out: Folder; each network's run goes to ``out / network.name``.
        experiments: Names in ``nakami.dynamics.EXPERIMENTS`` or ``"all"``, made at these inputs.
        progress: As for ``nakami.xray``, over all networks together.
        options: Passed on to ``nakami.xray`` (``k``, ``layers``, ``spectrum``) or to a ``View``.
            Where ``stages`` or ``dtype`` are None or not given, the subject's own are taken.

    Returns:
        One run for each network, in their order.
    """
    from nakami.dynamics import experimented, xray

    runs = []
    examples = subject.examples
    for index, network in enumerate(subject.networks):
        asked = _filled(subject, options)
        about = {
            "subject": f"{subject.name}/{network.name}",
            **examples.about(),
            "training": network.training,
            "facts": network.facts,
        }
        view = _view(network.model, asked)
        tell = share(progress, index, len(subject.networks), network.name)
        run = xray(
            view,
            examples.inputs,
            **asked,
            out=Path(out) / network.name,
            input_unit=examples.unit,
            about={k: v for k, v in about.items() if v is not None},
            progress=tell,
        )
        runs.append(experimented(view, examples.inputs, run, experiments, tell))
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
