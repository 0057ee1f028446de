"""Log-likelihood of data under a machine: what reconstruction errors do not tell."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from ..results import is_number, told, wrong, wrong_type
from ._importance import LogPartition, annealed_importance_sampling
from ._machine import Machine, PairEnergy, check_rows, check_states, machine_of


@dataclass(frozen=True, eq=False)
class LogLikelihood:
    """Mean of ``log p(v)`` over data, in nats for an example.

    Attributes:
        value: ``mean log p*(v) - log Z``.
        standard_error: Of the estimate of ``log Z``, which shifts all examples alike; 0 if exact.
        spread: Standard error of the mean over the examples, as a sample of more of their kind.
        examples: ``log p(v)`` of each, ``(N,)`` float64.
        log_partition: The estimate; None if a number was given.
    """

    value: float
    standard_error: float
    spread: float
    examples: Tensor
    log_partition: LogPartition | None

    def __repr__(self) -> str:
        return (
            f"LogLikelihood({self.value:.3f} ± {self.standard_error:.2g} (log Z) "
            f"± {self.spread:.2g} (examples) nats)"
        )


class Bounded(Protocol):
    """What bounds ``log p(v)`` but for one ``log Z``; ``zoo.dbm.DBM``, ``zoo.dbn.DBN`` are some.

    Attributes:
        visible_units: Of ``v``. undirected: the part whose ``log Z`` is missing, maybe all of it.
    """

    @property
    def visible_units(self) -> int: ...
    @property
    def undirected(self) -> PairEnergy: ...

    def bound(self, v: Tensor) -> Tensor:
        """At most ``log p(v) + log Z``, ``(N,)``."""

    def undirected_means(self, v: Tensor) -> Tensor:
        """Visible units of the undirected part given ``v``, in 0..1, ``(N, units)``."""


@told
def log_likelihood(
    model: PairEnergy | Machine,
    data: Tensor,
    *,
    log_partition: LogPartition | float | None = None,
    runs: int = 100,
    temperatures: int | Tensor = 1000,
    base: Tensor | None = None,
    batch: int = 1000,
    generator: torch.Generator | None = None,
) -> LogLikelihood:
    """Mean of ``log p(v) = log p*(v) - log Z`` over ``data``.

    Since ``log Z`` is rather under- than overestimated where too few runs reach all that the
    machine can draw, the value is then too high.

    Args:
        model: The machine.
        data: ``(N, visible)``, zeros and ones if the units are binary.
        log_partition: ``log Z`` if known, exact (``sampling.log_partition``) or estimated before;
            None: ``annealed_importance_sampling`` with the arguments that follow.
        runs: Independent runs.
        temperatures: Steps from the base to the machine, or the inverse temperatures.
        base: Log odds that the runs start from, ``(visible,)``; None: those of ``data``. For test
            data pass those of the training data.
        batch: Examples, or runs, taken together.
        generator: Source of the random numbers; None: a fresh one with seed 0.

    Raises:
        UsageError: Data that are not binary; weights that are not finite.
    """
    machine = machine_of(model)
    v = check_states("data", data, machine)
    if log_partition is None:
        base = machine.units.base(v) if base is None else base
        how: dict[str, Any] = {"runs": runs, "temperatures": temperatures, "batch": batch}
        log_partition = annealed_importance_sampling(machine, base=base, generator=generator, **how)
    weights = torch.cat([machine.log_weight(part) for part in v.split(batch)])
    return _less_log_z(weights, log_partition)


@told
@torch.no_grad()
def likelihood_bound(
    model: Bounded,
    data: Tensor,
    *,
    log_partition: LogPartition | float | None = None,
    runs: int = 100,
    temperatures: int | Tensor = 1000,
    base: Tensor | None = None,
    batch: int = 1000,
    generator: torch.Generator | None = None,
) -> LogLikelihood:
    """Mean of a lower bound of ``log p(v)`` over ``data``, of models with several hidden layers.

    A bound holds as far as ``log Z`` does: that is rather under- than overestimated, as
    ``log_likelihood`` says, and ``standard_error`` is too small where few runs are effective.

    Args:
        model: A ``zoo.dbm.DBM``, a ``zoo.dbn.DBN``, or anything else with what ``Bounded`` has.
        data: ``(N, visible)`` zeros and ones.
        log_partition: As for ``log_likelihood``, of ``model.undirected``.
        runs: Independent runs.
        temperatures: Steps from the base to the machine, or the inverse temperatures.
        base: Log odds that the runs start from; None: those of ``undirected_means``.
        batch: Examples, or runs, taken together.
        generator: Source of the runs' random numbers; None: a fresh one with seed 0.

    Raises:
        UsageError: Data that are not binary; weights that are not finite.
    """
    given: object = model
    if not all(hasattr(given, name) for name in ("bound", "undirected", "undirected_means")):
        way_out = "pass a DBM or DBN, or take sampling.log_likelihood"
        rule = "bound log p(v), as zoo.dbm.DBM does"
        raise wrong_type("model", rule, type(given).__name__, way_out)
    machine = machine_of(model.undirected)
    v = check_rows("data", data, model.visible_units, machine.weight)
    if log_partition is None:
        if base is None:
            means = torch.cat([model.undirected_means(part) for part in v.split(batch)])
            base = machine.units.base(means)
        how: dict[str, Any] = {"runs": runs, "temperatures": temperatures, "batch": batch}
        log_partition = annealed_importance_sampling(machine, base=base, generator=generator, **how)
    return _less_log_z(torch.cat([model.bound(part) for part in v.split(batch)]), log_partition)


def _less_log_z(weights: Tensor, log_partition: LogPartition | float) -> LogLikelihood:
    """Of examples whose ``log p(v) + log Z`` is known, ``(N,)``."""
    if isinstance(log_partition, LogPartition):
        log_z, error, estimate = log_partition.value, log_partition.standard_error, log_partition
    elif is_number(log_partition) and math.isfinite(log_partition):
        log_z, error, estimate = float(log_partition), 0.0, None
    else:
        way_out = "pass sampling.log_partition(model), or leave it out"
        raise wrong("log_partition", "be a finite number", repr(log_partition), way_out)
    examples = weights.cpu().double() - log_z
    spread = float(examples.std()) / len(examples) ** 0.5 if len(examples) > 1 else math.nan
    return LogLikelihood(float(examples.mean()), error, spread, examples, estimate)
