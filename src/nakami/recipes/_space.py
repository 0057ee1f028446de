"""Which values of settings a sweep tries, and which it tries next."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from nakami.results import RunError, is_number, is_whole, wrong

from ._settings import with_values

DECADE = 10  # ends of a range so far apart are tried by their ratio
WRITE = "write a tuple of two ends, or a list of values"


@dataclass(frozen=True)
class Axis:
    """One setting and what is tried of it.

    Attributes:
        name: Of the setting.
        ends: Of a range; None: ``values`` alone are tried.
        values: Those.
        whole: Whether numbers of the range are whole. log: whether they are even by ratio.
    """

    name: str
    ends: tuple[float, float] | None = None
    values: tuple[Any, ...] = ()
    whole: bool = False
    log: bool = False

    def distribution(self) -> Any:
        """As Optuna has it."""
        from optuna import distributions as of

        if self.ends is None:
            return of.CategoricalDistribution([*range(len(self.values))])
        if self.whole:
            return of.IntDistribution(int(self.ends[0]), int(self.ends[1]), log=self.log)
        return of.FloatDistribution(*self.ends, log=self.log)

    def value(self, drawn: Any) -> Any:
        """What Optuna drew, as the setting takes it; numbers of four digits, to be typed."""
        if self.ends is None:
            return self.values[drawn]
        if self.whole:
            return int(drawn)
        return min(max(float(f"{drawn:.4g}"), self.ends[0]), self.ends[1])

    def drawn(self, value: Any) -> Any:
        """The inverse; None of a value that is not tried."""
        if self.ends is None:
            return self.values.index(value) if value in self.values else None
        return value if is_number(value) and self.ends[0] <= value <= self.ends[1] else None

    def nearest(self, value: Any) -> Any:
        """The value that is tried next to another one; of what has no order the first."""
        if value is None or self.drawn(value) is not None:
            return value
        if not is_number(value):
            return self.values[0]
        if self.ends is not None:
            return self.value(min(max(value, self.ends[0]), self.ends[1]))
        numbers = [each for each in self.values if is_number(each) and each > 0]
        return min(numbers or self.values, key=lambda each: abs(math.log(each / value)))


def axes(settings: Any, over: Mapping[str, Any]) -> tuple[Axis, ...]:
    """What is tried of each setting, checked.

    Args:
        settings: Of a recipe.
        over: By name a tuple of two ends, or a list of values.

    Raises:
        UsageError: No setting, one that the recipe does not have, or a value that it does not take.
    """
    if not over:
        raise wrong("over", "name a setting to try", "none", 'pass over={"rate": (1e-4, 1.0)}')
    return tuple(_axis(settings, name, tried) for name, tried in over.items())


def _axis(settings: Any, name: str, tried: Any) -> Axis:
    if isinstance(tried, list) and tried:
        values = [getattr(with_values(settings, {name: each}), name) for each in tried]
        return Axis(name, values=tuple(dict.fromkeys(values)))
    pair = isinstance(tried, tuple) and len(tried) == 2 and all(map(is_number, tried))
    if not pair or not tried[0] < tried[1]:
        raise wrong(f"over of {name}", "be two numbers, the smaller one first", repr(tried), WRITE)
    low, high = (getattr(with_values(settings, {name: end}), name) for end in tried)
    log = low > 0 and high >= DECADE * low
    return Axis(name, (low, high), whole=is_whole(low) and is_whole(high), log=log)


def next_values(
    space: Sequence[Axis], tried: Sequence[tuple[Mapping[str, Any], float | None]], seed: int
) -> dict[str, Any]:
    """What the tree-structured Parzen estimator of Optuna tries after these.

    The same for the same trials and seed, so that a stopped sweep goes on as it would have.

    Args:
        space: What is tried.
        tried: Settings and loss of each trial so far; None of one that diverged.
        seed: Of the sweep.

    Source: Bergstra, Bardenet, Bengio & Kégl, Algorithms for hyper-parameter optimization, NIPS
    2011; the first ten are random.
    """
    import optuna

    place = np.random.SeedSequence([seed, len(tried)]).generate_state(1)
    kinds = {axis.name: axis.distribution() for axis in space}
    with _quiet():
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=int(place[0])))
        for values, loss in tried:
            drawn = {axis.name: axis.drawn(values[axis.name]) for axis in space}
            if None in drawn.values():  # an advice outside of what is tried
                continue
            state = optuna.trial.TrialState
            study.add_trial(
                optuna.trial.create_trial(
                    state=state.PRUNED if loss is None else state.COMPLETE,
                    value=loss,
                    params=drawn,
                    distributions=kinds,
                )
            )
        found = study.ask(kinds).params
    return {axis.name: axis.value(found[axis.name]) for axis in space}


def require_optuna() -> None:
    """Refuse to begin without it.

    Raises:
        RunError: It is not installed.
    """
    try:
        import optuna  # noqa: F401
    except ImportError as error:
        raise RunError("a sweep needs optuna; pip install 'nakami[sweep]' adds it.") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Optuna's notes are not the caller's."""
    from optuna import logging

    level = logging.get_verbosity()
    logging.set_verbosity(logging.WARNING)
    try:
        yield
    finally:
        logging.set_verbosity(level)
