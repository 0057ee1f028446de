"""What readings of learning rates return: a rate to train with, and a limit."""

from __future__ import annotations

from dataclasses import dataclass

from ...results import Ended, Outcome, Plotted, counted
from ._matrix import MATRICES
from ._noise import NoiseScale
from ._rule import Rule
from ._schedule import SHAPES, named_course

HEAVY = ("SGD", "RMSprop")  # momentum is a setting of theirs that may be 0


@dataclass(frozen=True)
class Trial:
    """A short training on a copy of the model at one rate.

    Attributes:
        rate: In the unit of the optimizer's ``lr``.
        losses: Training loss of each step, before its update.
        diverged: Whether it ended because the loss ran away.
    """

    rate: float
    losses: tuple[float, ...]
    diverged: bool


@dataclass(frozen=True, repr=False)
class LearningRate(Plotted, Ended):
    """A rate to train with, and what it rests on; made by ``nakami.learning_rate``.

    Attributes:
        advised: The rate, for the group with the largest; None, see ``advice``.
        interval: Lowest and highest rate that the trials cannot tell from the best one, or None.
            Where the advice was lowered below a rate that ran away, it may be the lower end: the
            others did better in trials, and may run away in longer trainings. For a training of
            given ``steps`` one standard error to either side, as calibrated.
        outcome: How the search for it ended, an ``AdviceEnding``; gives ``converged`` and
            ``reason``.
        notes: What else the trials showed: ``AdviceNote``s. One whose ``converged`` is False speaks
            against the advice.
        trials: The short trainings behind it, by rate. steps: of a whole one.
        training: Steps of the training that it is for, None for the first hundreds of steps.
        schedule: Of that training, in words. warmup: its steps of linear warm-up.
        cost: In gradient evaluations on one batch: a gradient 1, the loss alone 1/3, a product
            with the Jacobian 2/3, with its transpose 1.
        constant_loss: Least loss of one output for all examples (class frequencies, means): what a
            network that looks at its inputs must beat. None where it is not known.
        optimizer: Its name. loss: Name of the loss.
        n_samples: How many samples. sample: what one is, in words.
        n_batches: How many batches.
        batch_normalisation: By which statistics it was read; empty without any.
    """

    advised: float | None
    interval: tuple[float, float] | None
    outcome: Outcome
    notes: tuple[Outcome, ...]
    trials: tuple[Trial, ...]
    steps: int
    cost: float
    constant_loss: float | None
    optimizer: str
    loss: str
    n_samples: int
    sample: str
    n_batches: int
    batch_normalisation: str = ""
    training: int | None = None
    schedule: str = "constant"
    warmup: int = 0

    def factor(self, step: int) -> float | None:
        """What the rate is multiplied by at a step ``0 .. training - 1``, warm-up included.

        None without a length, or where the schedule has no name.
        """
        if self.training is None or self.schedule not in SHAPES:
            return None
        return named_course(self.schedule, self.training, self.warmup).factor(step)

    @property
    def advice(self) -> str:
        """Why this rate, or why none, in words: the outcome's and the notes'."""
        return "; ".join(each.reason for each in (self.outcome, *self.notes))

    def __repr__(self) -> str:
        return (
            f"LearningRate(advised {self.advised and format(self.advised, '.3g')}, "
            f"{self.optimizer}, {counted(self.n_samples, 'sample')}, {self.reason})"
        )


@dataclass(frozen=True, repr=False)
class RateLimit(Ended):
    """The limit of an optimizer's learning rate, with its error; made by ``nakami.rate_limit``.

    Attributes:
        limit: Rate at which steps along the sharpest direction stop shrinking; for groups with
            different rates, that of the fastest. inf where no direction curves.
        error: Estimated absolute error of the limit, from that of the eigenvalue. The eigenvalue is
            approached from below, so the limit errs upwards.
        limits: Rate of each parameter group at the limit.
        lambda_max: Largest eigenvalue of ``matrix``, of the loss as it is.
        sharpness: The same in the optimizer's coordinates (rates, denominators, weight decay);
            ``limit = rule.stability_threshold / sharpness``.
        batch_sharpness: ``sharpness`` of each batch alone, in the order given; one for one batch.
        batch_limit: Limit of the sharpest batch: sufficient for mini-batches where the data can be
            fitted. Below ``limit`` if the loss is a mean; a sum over fewer samples is less sharp.
        rule: The update along one direction.
        optimizer: Its name. preconditioner: Where its denominators come from; empty without.
        loss: Name of the loss. value: the loss, own reduction. matrix: which matrix was read.
        n_samples: How many samples. sample: what one is, in words.
        n_batches: How many batches.
        cost: In gradient evaluations on one batch: a gradient 1, the loss alone 1/3, a product
            with the Jacobian 2/3, with its transpose 1.
        seed: Of the random start of the eigenvalue's search.
        outcome: How the search for eigenvalues ended, or a ``LimitEnding``; gives ``converged`` and
            ``reason``.
        noise: How the gradients of the batches scatter, and what it says of the batch size; None
            for one batch, or where batches were not read one by one.
        batch_normalisation: By which statistics it was read; empty without any.
    """

    limit: float
    error: float
    limits: tuple[float, ...]
    lambda_max: float
    sharpness: float
    batch_sharpness: tuple[float, ...]
    batch_limit: float
    rule: Rule
    optimizer: str
    preconditioner: str
    loss: str
    value: float
    n_samples: int
    sample: str
    n_batches: int
    cost: float
    seed: int
    outcome: Outcome
    noise: NoiseScale | None = None
    matrix: str = MATRICES["ggn"]
    batch_normalisation: str = ""

    @property
    def method(self) -> str:
        """The optimizer with its momentum, in words: ``SGD with momentum 0.9``."""
        if self.optimizer not in HEAVY or not self.rule.momentum:
            return self.optimizer
        kind = "Nesterov's momentum" if self.rule.nesterov else "momentum"
        return f"{self.optimizer} with {kind} {self.rule.momentum:g}"

    def __repr__(self) -> str:
        return (
            f"RateLimit(limit {self.limit:.6g}, error {self.error:.1g}, {self.method}, "
            f"sharpness {self.sharpness:.6g}, {counted(self.n_samples, 'sample')}, {self.reason})"
        )
