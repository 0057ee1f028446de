"""What an x-ray is going to measure, and every refusal that needs no spectrum."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..operators import FunctionalModel, Stages, View, check_cut, natural_start
from ..results import Spectrum, StageInfo, UsageError, check_count, wrong, wrong_type
from ..spectra import LinearOperator, check_budget, check_seed, svd
from ._inputs import Inputs

ALL_UP_TO = 2048  # small side up to which k=None means all values, where they fit the budget
TOP = 25  # values computed beyond it; more bring less than the same products spent on probes
FEWER = (TOP, 20, 10, 5)  # the first of these that the budget holds


@dataclass(frozen=True)
class SpectrumOptions:
    """How the singular values of one Jacobian are computed.

    Args:
        tol: Bound on the estimated relative error of each value.
        seed: Seed of the random start blocks; each piece derives its own from (seed, input, stage).
        memory_budget: Bytes for one spectrum: its basis, vectors and blocks of products, or the
            dense matrix; default 1 GiB.
    """

    tol: float = 1e-4
    seed: int = 0
    memory_budget: int | None = None


def check(
    model: nn.Module | View,
    inputs: Any,
    stages: str | Sequence[str] = "auto",
    k: int | None = None,
    *,
    layers: bool = False,
    spectrum: SpectrumOptions | None = None,
) -> tuple[StageInfo, ...]:
    """The stages that ``xray`` would read with these arguments, or its refusal, at once.

    For what comes before an x-ray and takes long, such as training the model: the answer depends
    on shapes alone (and, with ``layers``, on where the network can be cut), so an untrained model
    and one example do.

    Args:
        model: As for ``xray``, like all that follow.
        inputs: At least one example, as for ``xray``.
        stages: Names or ``"auto"``.
        k: Values for each spectrum.
        layers: Whether each layer is read on its own as well.
        spectrum: How each spectrum is computed; its budget must hold what the method needs.

    Returns:
        The stages in order of execution; the first is where every reading starts, ``input``, or
        the embedding of tokens.

    Raises:
        UsageError: As ``xray`` would, but for what lies in ``out``.

    Cost: two forward passes; up to three more for each stage with ``layers``, for each input of
    tokens.
    """
    return planned(FunctionalModel(model), inputs, stages, k, layers, spectrum).chosen


def planned(
    network: FunctionalModel,
    inputs: Any,
    stages: str | Sequence[str],
    k: int | None,
    layers: bool,
    spectrum: object,
) -> Plan:
    """What is to be measured, refused here if it cannot be."""
    examples = Inputs(inputs, network)
    asked = SpectrumOptions() if spectrum is None else spectrum
    if not isinstance(asked, SpectrumOptions):
        way_out = "pass nakami.dynamics.SpectrumOptions(tol=1e-4)"
        raise wrong_type("spectrum", "be SpectrumOptions", repr(spectrum), way_out)
    seed, budget = check_seed(asked.seed), check_budget(asked.memory_budget)
    first = examples.at(examples.longest)  # so that nothing is larger than planned
    places = network.stages(first)
    source = natural_start(network, first, places)
    found = _chosen(places, stages, source)
    ends = network.ends(places, [stage.name for stage in found[1:]], "stages")
    if isinstance(network.positions, int) and examples.shortest != examples.longest:
        network.ends(network.stages(examples.at(examples.shortest)), [s.name for s in ends])
    chosen = (found[0], *ends)
    k = _check_k(k, chosen)
    plan = Plan(network, examples, places, chosen, k, asked.tol, seed, budget, layers)
    plan.rehearse()
    plan.check_cuts()
    return plan


@dataclass(frozen=True)
class Plan:
    """One x-ray: a network, the stages chosen in it, and how their spectra are computed."""

    network: FunctionalModel
    inputs: Inputs
    places: Stages
    chosen: tuple[StageInfo, ...]
    k: int | None
    tol: float
    seed: int
    budget: int
    layers: bool

    @property
    def aside(self) -> list[str]:
        """Stages asked for that do not lead to the output that is read."""
        return [s.name for s in self.chosen[1:] if not self.places.leads(s.name)]

    def readings(self) -> list[tuple[StageInfo, StageInfo]]:
        """(source, stage) of every spectrum at one input."""
        whole = [(self.chosen[0], stage) for stage in self.chosen[1:]]
        aside = [] if len(self.aside) == len(whole) else self.aside
        way = [stage for stage in self.chosen[1:] if stage.name not in aside]
        starts = [self.places.find(stage.name) for stage in way[:-1]]  # at all positions
        own = list(zip(starts, way[1:], strict=True)) if self.layers else []
        return whole + own

    @property
    def dtype(self) -> torch.dtype:
        """The arithmetic of every spectrum."""
        return self.network.dtype or self.inputs.dtype

    def values(self, shape: tuple[int, int]) -> int | None:
        """How many values of a Jacobian of that shape are computed; None for all."""
        small = min(shape)
        if self.k is not None:
            return min(self.k, small)
        if small <= ALL_UP_TO and self._refusal(shape, None) is None:
            return None
        fitting = (k for k in FEWER if k < small and self._refusal(shape, k) is None)
        return next(fitting, None if small <= ALL_UP_TO else TOP)

    def rehearse(self) -> None:
        """Let the engine check every spectrum's arguments, up to its first product."""
        for source, stage in self.readings():
            shape = (stage.size, source.size)
            refusal = self._refusal(shape, self.values(shape))
            if refusal is not None:
                raise refusal

    def _refusal(self, shape: tuple[int, int], k: int | None) -> UsageError | None:
        """What the engine says against ``k`` values of a matrix of that shape."""
        try:
            with suppress(_Passed):
                svd(Outline(shape, self.dtype), k, self.tol, memory_budget=self.budget)
        except UsageError as error:
            return error
        return None

    def check_cuts(self) -> None:
        """Refuse a source that is no cut: a layer at the first input, an embedding at each."""
        ends: dict[str, list[str]] = {}
        for source, stage in self.readings():
            ends.setdefault(source.name, []).append(stage.name)
        for name, to in ends.items():
            count = 1 if name != self.chosen[0].name else len(self.inputs)
            for i in range(count if name != "input" else 0):
                check_cut(self.network, self.inputs.at(i), name, tuple(to))

    def order(self, spectrum: Spectrum) -> tuple[int, int, int]:
        """Depth of stage and source, then input: the order of a run's spectra."""
        names = [s.name for s in self.chosen]
        return names.index(spectrum.stage), names.index(spectrum.source), spectrum.input


class _Passed(Exception):
    pass


class Outline(LinearOperator):
    """Shape and dtype of a Jacobian; its first product ends the rehearsal."""

    route, device = "none", torch.device("cpu")

    def __init__(self, shape: tuple[int, int], dtype: torch.dtype):
        self.shape, self.dtype = shape, dtype

    def dense(self) -> Tensor:
        raise _Passed

    def _matmat(self, block: Tensor) -> Tensor:
        raise _Passed

    _rmatmat = _matmat


def _chosen(places: Stages, stages: str | Sequence[str], source: str) -> tuple[StageInfo, ...]:
    """Where the readings start, and the stages they end at."""
    first, auto = places.position(source), stages == "auto"
    names = tuple(stages) if isinstance(stages, Iterable) else (stages,)
    if isinstance(stages, str):
        names = (stages,)
    if auto:
        names = tuple(n for n in places.auto if places.position(n) > first)
    wanted = [name for name in places.matching(names) if name not in ("input", source)]
    if not wanted:
        way_out = "use 'auto'" if not auto else "give a network with a layer behind it"
        rule = f"name at least one stage beyond the {_word(source)}"
        raise wrong("stages", rule, names, way_out)
    found = places.ordered(wanted, "stage")
    if places.position(found[0].name) < first:
        rule = f"lie behind {source!r}, where the readings of tokens start"
        raise wrong("stages", rule, repr(found[0].name), f"leave {found[0].name!r} out")
    return (places.find(source), *found)


def _word(source: str) -> str:
    return "input" if source == "input" else f"embedding {source!r}"


def _check_k(k: int | None, chosen: tuple[StageInfo, ...]) -> int | None:
    most = min(chosen[0].size, max(s.size for s in chosen[1:]))
    if k is None:
        return None
    way_out = "choose one of these, or leave it out"
    return check_count("k", k, most, "the largest spectrum here", way_out)
