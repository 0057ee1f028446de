"""What a reading of learning rates returns."""

from __future__ import annotations

from dataclasses import dataclass

from ...results import Ended, Outcome, counted
from .._outcomes import AdviceEnding
from ._matrix import MATRICES
from ._noise import NoiseScale
from ._rule import Rule

NOT_ASKED = Outcome(AdviceEnding.NOT_ASKED)

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
class LearningRate(Ended):
    """The limit of an optimizer's learning rate, with its error; made by ``nakami.learning_rate``.

    Attributes:
        limit: Rate at which steps along the sharpest direction stop shrinking; for groups with
            different rates, that of the fastest. inf where no direction curves, or the optimizer's
            steps are not linear in the gradient: ``outcome`` says which.
        error: Estimated absolute error of the limit, from that of the eigenvalue. The eigenvalue is
            approached from below, so the limit errs upwards.
        limits: Rate of each parameter group at the limit.
        lambda_max: Largest eigenvalue of ``matrix``, of the loss as it is.
        sharpness: The same in the optimizer's coordinates (rates, denominators, weight decay);
            ``limit = rule.stability_threshold / sharpness``. ``lambda_max`` without a limit.
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
        outcome: How the search for eigenvalues ended; gives ``converged`` and ``reason``.
        advised: A rate to train with, for the group with the largest; None, see ``advice``.
        interval: Lowest and highest rate that the trials cannot tell from the best one, or None.
            Where the advice was lowered below a rate that ran away, it may be the lower end: the
            others did better in trials, and may run away in longer trainings.
        advice_outcome: How the search for a rate to train with ended: an ``AdviceEnding``.
        advice_notes: What else the trials showed: ``AdviceNote``s.
        trials: The short trainings behind the advice, by rate.
        advice_cost: Part of ``cost`` that they and the first rate took.
        constant_loss: Least loss of one output for all examples (class frequencies, means): what a
            network that looks at its inputs must beat. None where it is not known.
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
    advised: float | None = None
    interval: tuple[float, float] | None = None
    advice_outcome: Outcome = NOT_ASKED
    advice_notes: tuple[Outcome, ...] = ()
    trials: tuple[Trial, ...] = ()
    advice_cost: float = 0.0
    constant_loss: float | None = None
    noise: NoiseScale | None = None
    matrix: str = MATRICES["ggn"]
    batch_normalisation: str = ""

    @property
    def advice(self) -> str:
        """Why this rate, or why none, in words."""
        return "; ".join(each.reason for each in (self.advice_outcome, *self.advice_notes))

    @property
    def method(self) -> str:
        """The optimizer with its momentum, in words: ``SGD with momentum 0.9``."""
        if self.optimizer not in HEAVY or not self.rule.momentum:
            return self.optimizer
        kind = "Nesterov's momentum" if self.rule.nesterov else "momentum"
        return f"{self.optimizer} with {kind} {self.rule.momentum:g}"

    def __repr__(self) -> str:
        return (
            f"LearningRate(advised {self.advised and format(self.advised, '.3g')}, "
            f"limit {self.limit:.6g}, error {self.error:.1g}, {self.method}, "
            f"sharpness {self.sharpness:.6g}, {counted(self.n_samples, 'sample')}, {self.reason})"
        )
