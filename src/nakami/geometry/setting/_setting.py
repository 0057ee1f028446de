"""A setting of a training: what was chosen, why, and what is not known."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from textwrap import wrap

from ...results import Ended, Outcome, Plotted, check_choice
from ..rate._noise import NoiseScale
from ..rate._result import LearningRate
from ._arguments import ParameterGroup
from ._snippets import SNIPPETS

wrapped = partial(wrap, width=98, initial_indent="# ", subsequent_indent="# ")


@dataclass(frozen=True)
class Choice(Ended):
    """One part of a setting.

    Attributes:
        name: Of the part, as ``"rate"``. value: in words; ``"as it is"`` where nothing changes.
        outcome: Why, a ``ChoiceEnding``; ``converged`` is False where it is not known.
        cost: In gradient evaluations on one batch.
    """

    name: str
    value: str
    outcome: Outcome
    cost: float = 0.0


@dataclass(frozen=True, repr=False)
class TrainingSetting(Plotted, Ended):
    """How to train a network; made by ``nakami.tune``.

    Attributes:
        optimizer: Name of its class. home: the module that has it, or empty. arguments: of it,
            those that differ from its own, and the weight decay, as far as all groups share them.
        groups: Of its parameters; empty where one holds all that is trained.
        rate: The peak rate. interval: where the best one lies two times in three, or None.
        schedule: Of the rate, a name that ``nakami.learning_rate`` takes.
        steps: Optimizer steps of the training. warmup: those of the warm-up.
        batch: Examples of a batch, as given.
        advice: The ``LearningRate`` behind the rate.
        noise: How the gradients of the batches scatter, at the start; None where it was not read.
        choices: Each part with its reason.
        cost: In gradient evaluations on one batch. share: the same over ``steps``.
        outcome: That of the advice.
    """

    optimizer: str
    home: str
    arguments: dict[str, object]
    rate: float | None
    interval: tuple[float, float] | None
    schedule: str
    steps: int
    warmup: int
    batch: int
    advice: LearningRate
    noise: NoiseScale | None
    choices: tuple[Choice, ...]
    cost: float
    outcome: Outcome
    groups: tuple[ParameterGroup, ...] = ()

    @property
    def share(self) -> float:
        """The cost as a share of the training's."""
        return self.cost / self.steps

    def snippet(self, host: str = "torch") -> str:
        """The setting as code for ``"torch"``, ``"lightning"`` or ``"transformers"``.

        Where no rate is known a comment says so, and 0.001 stands in its place; where it is in
        doubt, why.

        Raises:
            UsageError: Another host.
        """
        check_choice("host", host, tuple(SNIPPETS), "use 'torch'")
        return self._doubt() + SNIPPETS[host](float(f"{self.rate or 1e-3:.3g}"), self)

    def _doubt(self) -> str:
        """A comment in front of the code; empty where the rate is not in doubt."""
        if self.rate is None:
            return "# No rate is known, 0.001 stands in its place.\n"
        why = "; ".join(note.reason for note in self.advice.notes if not note.converged)
        return "\n".join([*wrapped(f"The rate is in doubt: {why}."), ""]) if why else ""

    def __str__(self) -> str:
        wide = max(len(choice.name) for choice in self.choices)
        lines = [f"{c.name:{wide}}  {c.value}: {c.reason}" for c in self.choices]
        return "\n".join([*lines, f"{'cost':{wide}}  {self.cost:.0f} gradients, {self.share:.1%}"])

    def __repr__(self) -> str:
        rate = "no rate" if self.rate is None else f"rate {self.rate:.3g}"
        return (
            f"TrainingSetting({self.optimizer}, {rate}, {self.schedule}, {self.steps} steps, "
            f"warm-up {self.warmup}, batch {self.batch}, {self.reason})"
        )
