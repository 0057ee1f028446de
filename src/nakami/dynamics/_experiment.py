"""What experiments share: the network and inputs of an x-ray, a piece for each input."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from ..data import described
from ..operators import Example, FunctionalModel, Stages, View, as_view, natural_start
from ..results import (
    Entries,
    Experiment,
    NotConvergedWarning,
    Progress,
    RunFolder,
    UsageError,
    Work,
    Xray,
    check_callable,
    counted,
    is_whole,
    plain,
    unknown,
    warn,
    wrong,
    wrong_type,
)
from ._inputs import Inputs
from ._spread import spread, workers

LEAVING_OUT = ("inputs", "dtype")  # what an experiment may refuse without stopping the others
Arrays = dict[str, np.ndarray]
E = TypeVar("E", bound=Experiment)


@dataclass(frozen=True)
class ExperimentEntry:
    """An experiment, one module of ``nakami.dynamics.experiments`` each.

    Attributes:
        run: ``run(model, inputs, xray, progress=None)`` with its usual settings.
        help: What it does, in one clause.
    """

    run: Callable[..., Experiment]
    help: str


EXPERIMENTS = Entries("nakami.dynamics.experiments", ExperimentEntry, "experiment")


@dataclass(frozen=True)
class Bench:
    """The network and the inputs of an x-ray, ready to be tried.

    Attributes:
        run: The x-ray. network, inputs: What it read. places: The stages at the longest
            input.
        source: Where its Jacobians start.
    """

    run: Xray
    network: FunctionalModel
    inputs: Inputs
    places: Stages
    source: str

    @property
    def ends(self) -> tuple[str, ...]:
        """The stages of the x-ray and the network's output, in order of depth."""
        last = self.places.names[-1]
        return tuple(dict.fromkeys((*self.run.names, last)))

    @property
    def measured(self) -> list[int]:
        """The inputs that have a spectrum of ``J_all`` at every stage of the x-ray."""
        each = ({s.input for s in self.run.at(name)} for name in self.run.names)
        return sorted(set.intersection(*each))

    def stages(self, asked: Sequence[str] | str) -> list[str]:
        """Stages of the run by name, in order of depth; behind those that lead to no output read.

        Raises:
            UsageError: An unknown one, or none.
        """
        names = [asked] if isinstance(asked, str) else list(asked)
        for name in names:
            if name not in self.run.names:
                raise unknown("stage", str(name), self.run.names)
        if not names:
            raise wrong("stages", "name at least one stage", names, "leave it out")
        found = [name for name in self.run.names if name in names]
        return sorted(found, key=lambda name: name in self.run.path)

    @property
    def entries(self) -> int:
        """Entries of the network's output, the largest of which is its decision; 0 without one."""
        shape = self.network.ends(self.places, self.places.names[-1])[0].shape
        return shape[0] if len(shape) == 1 and shape[0] > 1 else 0

    def classes(self, labels: Any) -> list[int] | None:
        """A class for each input, as given or else as the run holds them; None where none are.

        Raises:
            UsageError: Not one whole number for each input.
        """
        n, held = self.run.n_inputs, self.run.settings.get("labels")
        found = plain(held if labels is None else labels)
        if isinstance(found, list) and len(found) == n and all(map(is_whole, found)):
            return found
        if labels is None:
            return None
        rule = f"be one whole number for each of {counted(n, 'input')}"
        raise wrong("labels", rule, repr(labels), "leave it out, or pass a list")

    def places_at(self, x: Example) -> Stages:
        """The stages in their shapes at one input: texts may have lengths of their own."""
        one_length = self.inputs.longest == self.inputs.shortest
        return self.places if one_length else self.network.stages(x)

    def check_one_length(self) -> None:
        """Refuse texts of several lengths, whose directions have no numbers in common."""
        if self.inputs.longest != self.inputs.shortest:
            other = "read texts of one length, or leave this experiment out"
            raise wrong("inputs", "be of one length to compare", "texts of several", other)

    def parts(self, x: Example) -> list[Tensor]:
        """Where ``J_all`` starts, tensor by tensor: the floating inputs, or the embedded tokens."""
        if self.source == "input":
            return x.moving
        with torch.no_grad():
            return list(self.network.activations(x.tree, (self.source,)))

    def decision(self, x: Example, moved: Tensor | None = None) -> int:
        """Which entry of the output is the largest, at an input or at another flat start of it.

        -1 where the output is no decision.
        """
        if not self.entries:
            return -1
        with torch.no_grad():
            if moved is None or self.source == "input":
                out = self.network.run(x.tree if moved is None else x.at(moved))
            else:
                state = moved.reshape(self.parts(x)[0].shape)
                last = self.places.names[-1]
                out = self.network.activations(x.tree, (last,), self.source, state)[0]
            out = self.network.read_at((out,))[0]
        return int(out.argmax())


def experimented(
    model: nn.Module | View,
    inputs: Any,
    run: Xray,
    names: Sequence[str] | str,
    progress: Progress | None = None,
) -> Xray:
    """An x-ray with experiments at its inputs, each with its usual settings.

    Args:
        model: What the x-ray read, like ``inputs`` and ``run``.
        inputs: Its inputs.
        run: The x-ray.
        names: Of ``EXPERIMENTS``, or ``"all"``: those that take these inputs.
        progress: Passed on to each.

    Raises:
        UsageError: An unknown name, or what an experiment that was named refuses.

    Warns:
        NakamiWarning: With ``"all"``: an experiment that does not take these inputs is left out.
    """
    every = isinstance(names, str) and names == "all"
    asked = EXPERIMENTS.names if every else [names] if isinstance(names, str) else names
    entries, found = {name: EXPERIMENTS[name] for name in asked}, []
    for name, entry in entries.items():
        try:
            found.append(entry.run(model, inputs, run, progress=progress))
        except UsageError as error:
            if not every or error.argument not in LEAVING_OUT:
                raise
            warn(f"{name} is left out: {error}")
    return run.including(*found)


def bench(model: nn.Module | View, inputs: Any, run: Xray) -> Bench:
    """What an x-ray read, checked to be the same.

    Raises:
        UsageError: Another model, other inputs, or no x-ray.
    """
    given: object = run
    if not isinstance(given, Xray):
        way_out = "pass what nakami.xray returns, or nakami.load(folder)"
        raise wrong_type("run", "be an Xray", type(given).__name__, way_out)
    network = FunctionalModel(model)
    network.check_exact("experiments")
    if "derivative" in run.settings:
        rule, got = "be read by the exact derivative", repr(run.settings["derivative"])
        raise wrong("run", rule, got, "take an x-ray of the model itself")
    mine = described(as_view(model).model)["weights_sha256"]
    if mine != run.settings["model"].get("weights_sha256", mine):
        way_out = "pass the model that the x-ray read, with its weights"
        raise wrong("model", "have the weights of the x-ray", "others", way_out)
    if not all(run.at(name) for name in run.names):
        raise wrong("run", "hold spectra at every stage", "an unfinished one", "finish it first")
    read_at = run.settings.get("positions", "all")
    if network.positions != read_at:
        way_out = f"pass nakami.View(model, positions={read_at!r})"
        raise wrong("positions", "be those of the x-ray", repr(network.positions), way_out)
    named = run.settings.get("select")
    if network.output_name != named:
        way_out = f"pass nakami.View(model, select={named!r})"
        raise wrong("select", "be that of the x-ray", repr(network.output_name), way_out)
    examples = Inputs(inputs, network)
    if examples.fingerprint() != run.settings["inputs_sha256"]:
        way_out = "pass what nakami.xray was given"
        raise wrong("inputs", "be those of the x-ray", "others", way_out)
    first = examples.at(examples.longest)
    places = network.stages(first)
    return Bench(run, network, examples, places, natural_start(network, first, places))


def conducted(
    made: type[E],
    bench: Bench,
    settings: Mapping[str, Any],
    measure: Callable[[int, Example], Arrays],
    progress: Progress | None,
    way_out: Sequence[str] = (),
    at: Sequence[int] | None = None,
) -> E:
    """An experiment at every input that the x-ray has read at all its stages.

    In the run's folder each input is a piece, which a later call reads back.

    Args:
        made: Its result; an array ``converged`` in it says which spectra did.
        bench: What it is made with.
        settings: What was asked, as JSON takes it.
        measure: The arrays of one input.
        progress: Called after each.
        way_out: What to change where spectra did not converge.
        at: Some of these inputs; default all.

    Raises:
        UsageError: The folder holds this experiment with other settings.

    Warns:
        NotConvergedWarning: Once, with the number of spectra that did not converge.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConvergedWarning)
        found = _conducted(made, bench, settings, measure, progress, at)
    converged = found.arrays.get("converged", np.ones(0, dtype=bool))
    if not converged.all():
        text = f"{int((~converged).sum())} of {converged.size} spectra did not converge; "
        text += "they are marked. To settle them, {way_out}."
        warn(NotConvergedWarning(text, way_out=list(way_out)))
    return found


def _conducted(
    made: type[E],
    bench: Bench,
    settings: Mapping[str, Any],
    measure: Callable[[int, Example], Arrays],
    progress: Progress | None,
    at: Sequence[int] | None,
) -> E:
    check_callable("progress", progress, "progress(done, total, seconds_left, what)")
    name, asked = made.name, plain(settings)
    folder = None if bench.run.folder is None else RunFolder(bench.run.folder, bench.run.settings)
    indices = bench.measured if at is None else at
    done: list[int] = []
    for i in indices if folder is not None else ():
        assert folder is not None
        held = folder.experiment(name, i)
        if held is not None and held != asked:
            raise _others(name, held, asked, folder)
        done += [i] * (held is not None)
    todo = [i for i in indices if i not in done]

    def timed(i: int) -> tuple[Arrays, float]:
        began = time.perf_counter()
        return measure(i, bench.inputs.at(i)), time.perf_counter() - began

    work, found = Work([name] * len(todo), progress, len(done), workers() or 1), dict[int, Arrays]()
    for i, (found[i], seconds) in spread(timed, todo):
        if folder is not None:
            folder.write_experiment(name, i, asked, found[i], seconds)
        work.done(f"{name}, input {i}", name, seconds)
    if folder is None:
        return made.of(asked, found)
    whole = folder.finish().experiments[name]
    assert isinstance(whole, made)
    return whole


def _others(
    name: str, held: Mapping[str, Any], asked: Mapping[str, Any], folder: RunFolder
) -> UsageError:
    field = next(f for f in [*asked, *held] if held.get(f) != asked.get(f))
    rule = f"be as in the {name} that {folder.path} holds, {held.get(field)!r}"
    way_out = f"make the x-ray anew in another folder, or remove {folder.path}/pieces/{name}-*"
    return wrong(field, rule, repr(asked.get(field)), way_out)
