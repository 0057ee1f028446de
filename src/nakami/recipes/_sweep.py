"""Settings of a recipe tried one after the other, the usual ones first."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from nakami.data import LabelledExamples, Schema
from nakami.results import (
    Progress,
    Record,
    RecordFolder,
    UsageError,
    as_path,
    check_at_least,
    check_seed,
    plain,
    share,
    versions,
    wrong,
)
from nakami.training import on_accelerator, require

from ._examples import DataFiles, data_files, is_schema, prepared_of
from ._left import write_weights
from ._own import recipe_of
from ._settings import as_options, with_values
from ._space import Axis, axes, next_values, require_optuna
from ._verbs import prepare

KIND = "sweep"
CHOOSE = 0.1  # share of the rows that settings are chosen by, where the schema names none
DATA, TRIALS = "data.toml", "trials"


def sweep(
    name: str,
    folder: str | PathLike[str],
    *,
    data: str | PathLike[str],
    over: Mapping[str, Any],
    trials: int = 20,
    seed: int = 0,
    settings: Any = None,
    accelerator: str = "cpu",
    progress: Progress | None = None,
) -> Record:
    """Train a recipe with several settings and say which gave the smallest loss.

    The first trial has the settings of the recipe, for a network of the caller's at the rate that
    ``nakami.tune`` advises; Optuna's tree-structured Parzen estimator finds the others. The loss is
    the cross-entropy in nats, or the squared error, of a tenth of the rows to train on (``choose``
    below ``[split]`` of the schema), which no trial learns from; rows to test on are not looked at.

    Args:
        name: One of ``SUBJECTS`` that gives one number for each class, or known by ``own``.
        folder: A run of kind ``sweep``; in ``trials`` a run of kind ``training`` for each trial.
            The same call goes on where it was stopped, and one with more ``trials`` makes these.
        data: A schema.
        over: What is tried, by setting: a tuple of two ends, by ratio where the larger is ten times
            the smaller, or a list of values.
        trials: How many, the first included.
        seed: Of the trainings, and of what is tried.
        settings: As for ``prepare``; those of the first trial.
        accelerator: As for ``prepare``.
        progress: ``progress(done, total, seconds left, what)`` after each epoch.

    Returns:
        Its ``result`` has the trials, ``best`` and the ``command`` that trains with these settings.

    Raises:
        UsageError: What ``prepare`` refuses; a setting that the recipe does not have; data without
            a schema or a target; outputs that are no classes.
        RunError: Optuna or Lightning is not installed.
    """
    trials = check_at_least("trials", trials, 1, "pass trials=20")
    usual = recipe_of(name).settings if settings is None else settings
    space, files = axes(usual, over), data_files(data)
    if not is_schema(files):
        way_out = "pass a schema, which nakami data inspect PATH proposes"
        raise wrong("data", "be a schema", repr(str(files.path)), way_out)
    require()
    require_optuna()
    made = prepared_of(files).preparation
    source, schema = Path(files.path).resolve(), _choosing(made.schema)
    unit = made.numbers.loss if made.numbers else ""
    about = {
        "recipe": name, "seed": check_seed(seed), "over": dict(over),
        "settings": asdict(usual), "data": str(source), "columns": schema.to_toml(),
        **on_accelerator(accelerator), "versions": versions(),
    }  # fmt: skip
    run = RecordFolder(as_path("folder", folder), KIND, about, argument="folder")
    held = run.path / DATA
    if not held.exists():
        schema.save(held)
    options = {"data": replace(files, path=held), "seed": seed, "accelerator": accelerator}
    sweeping = _Sweep(name, run, space, usual, options)
    found = list[dict[str, Any]]()
    for k in range(trials):
        found.append(sweeping.trial(k, found, share(progress, k, trials, f"trial {k + 1}")))
    return run.finish(_result(name, files, options, usual, found, unit))


def _choosing(schema: Schema) -> Schema:
    """The same that leaves the rows to test on alone."""
    choose = schema.split.choose or CHOOSE
    return replace(schema, split=replace(schema.split, choose=choose))


@dataclass(frozen=True)
class _Sweep:
    """What all trials share.

    Attributes:
        name: Of the recipe. run: where they are kept. space: what is tried.
        usual: Settings of the first. options: as ``prepare`` takes them.
    """

    name: str
    run: RecordFolder
    space: Sequence[Axis]
    usual: Any
    options: dict[str, Any]

    def trial(
        self, k: int, before: Sequence[Mapping[str, Any]], progress: Progress | None
    ) -> dict[str, Any]:
        """The record of one, made where it is not there."""
        piece = f"{k:04}"
        if not self.run.has(piece):
            began = time.monotonic()
            found = self._made(piece, self._values(before), before, progress)
            self.run.write(piece, plain(found), seconds=time.monotonic() - began)
        return dict(self.run.read(piece).record)

    def _values(self, before: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        if not before:
            return {axis.name: axis.nearest(getattr(self.usual, axis.name)) for axis in self.space}
        tried = [({**each["values"], **each["advised"]}, each["loss"]) for each in before]
        return next_values(self.space, tried, self.options["seed"])

    def _made(
        self,
        piece: str,
        values: Mapping[str, Any],
        before: Sequence[Mapping[str, Any]],
        progress: Progress | None,
    ) -> dict[str, Any]:
        same = (each for each in before if each["values"] == plain(values))
        if (earlier := next(same, None)) is not None:  # and so is their training
            return dict(earlier)
        chosen = with_values(self.usual, values)
        where = self.run.path / TRIALS / piece
        found: dict[str, Any] = {"values": values, "folder": f"{TRIALS}/{piece}", "advised": {}}
        try:
            subject = prepare(self.name, where, settings=chosen, progress=progress, **self.options)
        except UsageError as error:
            if error.argument != "rate":
                raise
            return {**found, "loss": None, "error": None}
        write_weights(subject, where)
        network, rows = subject.networks[-1], prepared_of(self.options["data"]).labelled("test")
        losses = _losses(network.model, rows)
        spread = float(losses.std()) / len(losses) ** 0.5 if len(losses) > 1 else None
        advised = {n: x for n, x in network.advised.items() if n in values}
        return {**found, "loss": float(losses.mean()), "error": spread, "advised": advised}


@torch.no_grad()
def _losses(model: torch.nn.Module, examples: LabelledExamples) -> Tensor:
    """Cross-entropy in nats or squared error of each row, ``(n,)`` float64."""
    inputs, targets = examples.inputs, examples.targets
    assert isinstance(inputs, Tensor)
    outputs = torch.cat([model(part) for part in inputs.split(1000)]).double()
    if targets.is_floating_point():
        rows = len(targets)
        return (outputs.reshape(rows, -1) - targets.reshape(rows, -1)).square().mean(1)
    if outputs.ndim != 2 or outputs.shape[1] <= int(targets.max()):
        rule, got = "end in a number for each class", f"outputs of shape {tuple(outputs.shape)}"
        raise wrong("recipe", rule, got, "take one that classifies, as mlp-dropout")
    return F.cross_entropy(outputs, targets, reduction="none")


def _result(
    name: str,
    files: DataFiles,
    options: Mapping[str, Any],
    usual: Any,
    trials: Sequence[Mapping[str, Any]],
    unit: str,
) -> dict[str, Any]:
    """What ``result.json`` holds: trials, the best of them, and how to train with its settings."""
    good = [i for i, each in enumerate(trials) if each["loss"] is not None]
    if not good:
        raise wrong("over", "hold settings that converge", "none", "try smaller rates")
    best = min(good, key=lambda i: trials[i]["loss"])
    chosen = with_values(usual, trials[best]["values"])
    command = ["nakami", "train", name, "--data", str(files.path)]
    command += as_options(chosen, recipe_of(name).settings)
    command += ["--seed", str(options["seed"])] if options["seed"] else []
    command += ["--device", options["accelerator"]] if options["accelerator"] != "cpu" else []
    names = [*trials[0]["values"]]
    rows = [
        (str(i + 1), *(_shown(each, key) for key in names), *_numbers(each), each["folder"])
        for i, each in enumerate(trials)
    ]
    head = ("trial", *names, "loss", "±", "folder")
    kind = f"Squared error, {unit}," if unit else "Cross-entropy, nats,"
    caption = f"{kind} of rows that no trial learns from; trial 1 has the settings that are usual."
    table = {"title": "Trials", "caption": caption, "head": head, "rows": rows, "left": 0}
    gained = trials[0]["loss"]
    said = f"Best: trial {best + 1} of {len(trials)}, loss {trials[best]['loss']:.4g}"
    said += "" if gained is None else f"; trial 1 had {gained:.4g}"
    return plain({
        "best": {**trials[best], "trial": best + 1}, "trials": list(trials),
        "command": shlex.join(command), "tables": [table],
        "lines": [f"{said}.", f"To train with it on all training rows: {shlex.join(command)}"],
    })  # fmt: skip


def _shown(trial: Mapping[str, Any], name: str) -> str:
    """A value of a setting; where it was advised, what was."""
    advised = trial["advised"].get(name)
    if advised is not None:
        return f"{advised:.3g}, advised"
    value = trial["values"][name]
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _numbers(trial: Mapping[str, Any]) -> tuple[str, str]:
    """Loss and its standard error."""
    if trial["loss"] is None:
        return "diverged", ""
    error = trial["error"]
    return f"{trial['loss']:.4g}", "" if error is None else f"{error:.2g}"
