"""The x-ray of recurrent layers: all readings of every RNN, GRU and LSTM of a network."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..data import described, fingerprint, tensors_of
from ..results import (
    DEFAULT_BUDGET,
    Growth,
    LyapunovSpectrum,
    Progress,
    RecurrentFolder,
    RecurrentXray,
    SpectraOverTime,
    Work,
    about_margin,
    check_callable,
    check_choice,
    check_count,
    check_seed,
    made_layer,
    told,
    versions,
    wrong,
    wrong_type,
)
from ._calls import Driven, driven_layers
from ._fixed_points import fixed_points
from ._growth import growth
from ._lyapunov import lyapunov
from ._margin import margins
from ._over_time import STEPS, check_fits, fitting, rising, spectra_over_time
from ._portrait import portrait
from ._state_map import StateMap

CONSTANTS = ("zero", "mean")
ALL_UP_TO, TOP = 64, 16  # a state up to which all exponents are read; how many beyond
DISCARD = 100  # steps before an average of exponents begins, a quarter of a short sequence
SHORT = 2 * DISCARD  # steps of a sequence below which sequences are joined
CHAIN = 500  # steps of a joined one, about
EPISODES, SPAN = 8, 20  # sequences whose growth is read, and its steps
STATES = 16  # of real trajectories, beside random starts
STARTS = {128: 32, 10**9: 8}  # random starts up to a size of the state


@told
def xray(
    model: nn.Module,
    inputs: Any,
    *,
    layers: Sequence[str] | None = None,
    at: str = "zero",
    k: int | None = None,
    steps: Sequence[int] = STEPS,
    seed: int = 0,
    out: str | PathLike[str] | None = None,
    about: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> RecurrentXray:
    """What the states of every recurrent layer do: rest, exponents, growth, in one run.

    The network runs once on the inputs, and each ``nn.RNN``, ``nn.GRU`` and ``nn.LSTM`` (or cell
    called in a loop) in it is read at the sequences that it gets there, in float64:

    * fixed points at a constant input, with the eigenvalues of the Jacobian there;
    * Lyapunov exponents along the sequences, in nats a step. Sequences shorter than 200 steps are
      joined, the state carried on from one to the next, since an exponent is an average over long
      times; the first 100 steps are left out;
    * growth: the largest factor of a small difference over the first 20 steps, of 8 sequences;
    * spectra over time: the singular values of the state after some steps of 8 sequences, by the
      state before them and by the inputs (``spectra_over_time``);
    * a portrait: trajectories and fixed points in the plane of two principal components;
    * margins of a GRU: sigma_1 of W_hn against 2.

    Args:
        model: Any network, read in evaluation mode and left as it was. A recurrent module itself
            takes inputs (N, T, I).
        inputs: Examples along axis 0, as the network takes them.
        layers: Names of the modules to read; default all.
        at: The constant input of the fixed points: ``"zero"``, or ``"mean"`` of what the layer
            gets.
        k: Exponents of each layer; default all of a state up to 64, else 16.
        steps: The times of the spectra over time, rising, at most the length of the longest
            sequence; the default ones give way to it, and to the memory that Jacobians over so
            many steps take (1 GiB).
        seed: Of random starts and directions.
        out: Folder to keep the run in. A folder that holds the same run, unfinished, is continued.
        about: More to keep in ``run.json`` (``subject``, ``training``, ``data``), used by the page.
        progress: ``progress(done, total, seconds_left, what)``, called after each reading.

    Returns:
        A ``RecurrentXray``: a ``RecurrentLayer`` for each module, with errors and ``converged``.

    Raises:
        UsageError: Nothing recurrent, an unknown name, two directions, a state whose Jacobian takes
            more than 1 GiB, a wrong option or folder; said before any reading.

    Cost: for each layer those of ``fixed_points``, ``lyapunov``, ``growth`` and
    ``spectra_over_time``: seconds for a state of 32, one to four minutes for 256, most of it where
    few searches for fixed points settle.
    """
    check_callable("progress", progress, "progress(done, total, seconds_left, what)")
    check_choice("at", at, CONSTANTS, "leave it out for zero")
    check_seed(seed)
    if about is not None and not isinstance(about, Mapping):
        raise wrong_type("about", "be a mapping", repr(about), "write about={'note': ...}")
    names = None if layers is None else [layers] if isinstance(layers, str) else list(layers)
    times = rising(steps)
    plans = [_planned(d, at, k, times, seed) for d in driven_layers(model, inputs, names)]
    _check_times(times, plans)
    for plan in plans:
        check_fits(plan.net, plan.driven.name or plan.driven.kind, plan.times, times != STEPS)
    settings = _settings(model, inputs, plans, at, seed, about)
    folder = None if out is None else RecurrentFolder(out, settings)
    found = _measured(plans, folder, progress)
    if folder is not None:
        return folder.finish()
    about_layers = zip(settings["layers"], found, strict=True)
    return RecurrentXray(settings, tuple(made_layer(a, readings) for a, readings in about_layers))


def _check_times(times: tuple[int, ...], plans: Sequence[Plan]) -> None:
    """Refuse times behind the end of the sequences, if they were asked for."""
    longest = max(len(one) for plan in plans for one in plan.driven.sequences)
    if times != STEPS and times[-1] > longest:
        rule = f"be at most {longest}, the length of the longest sequence"
        raise wrong("steps", rule, times[-1], "name earlier ones")


@dataclass(frozen=True)
class Plan:
    """One layer, ready to be read.

    Attributes:
        driven: The layer. net: Its step. constant: input of the fixed points, (I,).
        long: Sequences for exponents, (n, T, I). joined: Whether they were joined.
        starts: States before them, (n, S). k: exponents. steps: times of the spectra over time.
        discard: Steps left out. seed: Of chance.
    """

    driven: Driven
    net: StateMap
    constant: Tensor
    long: Tensor
    joined: bool
    starts: Tensor
    k: int
    steps: tuple[int, ...]
    discard: int
    seed: int

    @property
    def times(self) -> list[int]:
        """The times of the spectra over time, within the longest sequence."""
        longest = max(map(len, self.driven.sequences))
        return sorted({min(t, longest) for t in self.steps})

    def readings(self) -> dict[str, Callable[[Mapping[str, Any]], Any]]:
        """What is read, in order: each from what was read before."""
        return {
            "fixed_points": self._fixed,
            "exponents": self._exponents,
            "growth": self._growth,
            "over_time": lambda _: self._over_time(),
            "portrait": lambda found: portrait(self.net, self.driven, found["fixed_points"]),
        }

    def _fixed(self, _: Mapping[str, Any]) -> Any:
        states = self.net.run(self.long[:, :SHORT], self.starts)[:, 1:].flatten(0, 1)
        few = states[:: max(1, len(states) // STATES)][:STATES]
        count = next(n for most, n in STARTS.items() if self.net.state_size <= most)
        return fixed_points(
            self.net, self.constant, states=few, random_starts=count, seed=self.seed
        )

    def _exponents(self, _: Mapping[str, Any]) -> LyapunovSpectrum:
        more: dict[str, Any] = {"discard": self.discard, "seed": self.seed}
        return lyapunov(self.net, self.long, self.k, start=self.starts, **more)

    def _episodes(self, most: int) -> tuple[Tensor, Tensor]:
        """The first steps of some sequences, (n, T, I), and the states before them, (n, S)."""
        driven = self.driven
        length = min(most, max(map(len, driven.sequences)))
        long = [i for i, x in enumerate(driven.sequences) if len(x) >= length]
        spread = long[:: max(1, len(long) // EPISODES)][:EPISODES]
        return (
            torch.stack([driven.sequences[i][:length] for i in spread]),
            torch.stack([driven.starts[i] for i in spread]),
        )

    def _over_time(self) -> SpectraOverTime:
        inputs, starts = self._episodes(self.times[-1])
        few = fitting(self.net, self.times, DEFAULT_BUDGET)
        return spectra_over_time(self.net, inputs, few, start=starts)

    def _growth(self, _: Mapping[str, Any]) -> Growth:
        inputs, starts = self._episodes(SPAN)
        length = inputs.shape[1]
        pairs = zip(inputs, starts, strict=True)
        parts = [growth(self.net, x, length, start=start) for x, start in pairs]
        return Growth(
            np.zeros(len(parts), dtype=np.int64),
            length,
            np.concatenate([part.singular_values for part in parts]),
            np.concatenate([part.errors for part in parts]),
            np.concatenate([part.converged for part in parts]),
        )


def _planned(driven: Driven, at: str, k: int | None, steps: tuple[int, ...], seed: int) -> Plan:
    net = StateMap(driven.module)
    size = net.state_size
    if k is None:
        k = size if size <= ALL_UP_TO else TOP
    k = check_count("k", k, size, f"the state of {driven.name or driven.kind}", "pass fewer")
    joined = max(map(len, driven.sequences)) < SHORT and len(driven.sequences) > 1
    long, starts = _joined(driven) if joined else _cut(driven)
    constant = torch.zeros(net.input_size, dtype=torch.float64)
    if at == "mean":
        constant = torch.cat(driven.sequences).mean(dim=0)
    discard = min(DISCARD, long.shape[1] // 4)
    return Plan(driven, net, constant, long, joined, starts, k, steps, discard, seed)


def _joined(driven: Driven) -> tuple[Tensor, Tensor]:
    """Sequences one after another, in chains of one length, and the state before each."""
    steps = sum(map(len, driven.sequences))
    chains = max(1, min(len(driven.sequences), steps // CHAIN))
    each = len(driven.sequences) // chains
    parts = [driven.sequences[i * each : (i + 1) * each] for i in range(chains)]
    joined = [torch.cat(part) for part in parts]
    length = min(map(len, joined))
    starts = torch.stack(driven.starts[: chains * each : each])
    return torch.stack([one[:length] for one in joined]), starts


def _cut(driven: Driven) -> tuple[Tensor, Tensor]:
    """The sequences of at least 200 steps, or the longest, cut to one length."""
    longest = max(map(len, driven.sequences))
    fitting = [i for i, x in enumerate(driven.sequences) if len(x) >= min(SHORT, longest)]
    length = min(len(driven.sequences[i]) for i in fitting)
    long = torch.stack([driven.sequences[i][:length] for i in fitting])
    return long, torch.stack([driven.starts[i] for i in fitting])


def _measured(
    plans: Sequence[Plan], folder: RecurrentFolder | None, progress: Progress | None
) -> list[dict[str, Any]]:
    """The readings of each layer."""
    todo = [
        (i, name)
        for i, plan in enumerate(plans)
        for name in plan.readings()
        if folder is None or not folder.has(i, name)
    ]
    total = sum(len(plan.readings()) for plan in plans)
    work = Work([name for _, name in todo], progress, before=total - len(todo))
    found = list[dict[str, Any]]()
    for i, plan in enumerate(plans):
        found.append({})
        for name, make in plan.readings().items():
            if (i, name) not in todo:
                assert folder is not None
                found[i][name] = folder.read(i, name)
                continue
            began = time.perf_counter()
            found[i][name] = make(found[i])
            seconds = time.perf_counter() - began
            if folder is not None:
                folder.write(i, name, found[i][name], seconds)
            label = f"{plan.driven.name or plan.driven.kind}, {name.replace('_', ' ')}"
            work.done(label, name, seconds)
    return found


def _settings(
    model: nn.Module,
    inputs: Any,
    plans: Sequence[Plan],
    at: str,
    seed: int,
    about: Mapping[str, Any] | None,
) -> dict[str, Any]:
    more = dict(about or {})
    leaves = tensors_of(inputs if isinstance(inputs, dict) else torch.as_tensor(inputs))
    return {
        "subject": more.pop("subject", "network"),
        "model": {**described(model), **more.pop("model", {})},
        "inputs_sha256": fingerprint(*leaves),
        "layers": [_about_layer(plan) for plan in plans],
        "constant": at,
        **({"steps": list(plans[0].steps)} if plans[0].steps != STEPS else {}),
        "seed": seed,
        "dtype": "float64",
        "threads": torch.get_num_threads(),
        "rule": {"episodes": EPISODES, "span": SPAN, "states": STATES, "chain": CHAIN},
        "versions": versions(),
        **more,
    }


def _about_layer(plan: Plan) -> dict[str, Any]:
    driven, net = plan.driven, plan.net
    found = margins(driven.module) if driven.kind == "GRU" else []
    return {
        "name": driven.name,
        "kind": driven.kind,
        "layers": int(getattr(driven.module, "num_layers", 1)),
        "input_size": net.input_size,
        "state_size": net.state_size,
        "margins": [about_margin(m) for m in found],
        "sequences": len(driven.sequences),
        "steps": [min(map(len, driven.sequences)), max(map(len, driven.sequences))],
        "joined": plan.joined,
        "time_first": bool(driven.name) and not getattr(driven.module, "batch_first", True),
        "discard": plan.discard,
        "k": plan.k,
    }
