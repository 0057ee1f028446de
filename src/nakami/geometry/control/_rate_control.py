"""A learning rate during training, lowered only where instability is measured."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from ...operators import View, check_order, unwrapped_optimizer
from ...results import RunError, counted, is_number, warn, wrong, wrong_type
from ..rate._matrix import Loss
from ..rate._result import LearningRate
from ..rate._schedule import Schedule
from ..rate._trials import PRODUCT
from ._group_rates import GroupRates
from ._holding import check_free, hold, let_go
from ._measures import DEFAULT, Measures
from ._plan import plan_of
from ._running_loss import RateRecord, RunningLoss
from ._sharpness import WARM, SharpnessMonitor

LEAST, MOST = 1 / 4, 1 / 2  # what a lowering multiplies the rate by
SCHEMA = 1
COUNTERS = ("count", "warm", "streak", "quiet_until", "next")  # of the state, each an attribute


class RateControl:
    """Warms up to a rate, watches its stability, and lowers it only on measured instability.

    ``step(loss)`` after each optimizer step sets the rates of the next one. Instability is: rate
    times sharpness beyond the optimizer's limit at ``patience`` measures with no calm one between
    (calm: within the limit, and the loss not above its running band), **and** the loss above its
    band at the last of them. Then the rate falls to the limit of this sharpness, but at least to a
    half and at most to a quarter. So it does, to the limit of small batches, where the loss stays
    above its band for more than ``patience`` steps in a row and the rate is beyond that limit,
    ``2 (1 - momentum) / sharpness``: momentum sums up what scatters from batch to batch. Rising
    sharpness alone does not lower the rate, since a rate that tracks sharpness keeps falling; nor
    does a rising loss alone.

    Measures take ``budget`` of the training's gradient evaluations. One is made in the middle of
    the warm-up and one at its end; then half the budget is spread evenly, with a last one near the
    end. A short training is measured at its start, middle and end; where the budget does not allow
    this, a warning says so (``NakamiWarning``). The other half is for
    suspicion: a measure beyond the limit is repeated after ``settle`` steps until only one more is
    needed, and with the loss above its band every step is measured (every ``4 settle`` steps where
    no measure was beyond). The warm-up waits meanwhile.

    Args:
        model: Any module, or a ``View`` of one; measured in evaluation mode, left as it was. Batch
            normalisation is read by the statistics of ``data`` where the model is in training mode,
            has no dropout and the view says nothing else.
        optimizer: One of torch's on the model's parameters for which ``nakami.rate_limit`` has a
            limit. Its groups keep the ratios of the rates they have now.
        data: ``(x, y)`` or a few such batches, read once and stored. Use the training's batch
            size: the sharpness of a larger batch is lower.
        loss: As ``nakami.learning_rate`` takes it; None for the loss that the model returns.
        rate: The rate to train with, of the fastest group; or a ``LearningRate`` with advice.
        steps: Planned optimizer steps: over so many the budget holds as a whole, beyond them at any
            time. Default: those of the advice, else 1000.
        warmup: Steps of linear warm-up, 0 for none. Default: with the schedule of the advice that
            of the advice, if it has one; else 20.
        schedule: As ``nakami.learning_rate`` takes it: ``"constant"``, ``"cosine"``, ``"linear"``,
            ``"wsd"``, over ``steps`` after the warm-up; ``schedule(step)``, the factor of step 0,
            1, ...; or a scheduler of torch on the optimizer, or several. A scheduler's rate over
            the one that the optimizer was built with (over the highest of ``OneCycleLR`` and
            ``CyclicLR``) is the factor; the training steps it as always. Default: the schedulers
            built on the optimizer before; without any that of the advice, else none.
        measures: When to measure, at which cost, and how many measures a lowering takes.

    Attributes:
        log: A ``RateRecord`` for each measure.
        target: The rate aimed at: ``rate``, or less after a lowering.
        cost: Gradient evaluations on ``data`` so far, by count: a product 5/3; without one check of
            the products at the start.

    Raises:
        UsageError: What ``nakami.ggn`` and ``nakami.rate_limit`` refuse, an argument out of
            range, ``every`` too small for the budget, an optimizer that has a RateControl, advice
            for a schedule without a name that is not passed here.

    Several processes: give all of them the same ``data`` and the loss averaged over them, so that
    they decide alike. Source: Cohen et al., arXiv 2103.00065 (progressive sharpening, the edge of
    stability).
    """

    def __init__(
        self,
        model: nn.Module | View,
        optimizer: Optimizer,
        data: Any,
        loss: Loss,
        rate: float | LearningRate,
        *,
        steps: int | None = None,
        warmup: int | None = None,
        schedule: Schedule | Sequence[LRScheduler] | None = None,
        measures: Measures = DEFAULT,
    ):
        check_order(model=model, optimizer=optimizer, data=data, loss=loss, rate=rate)
        if isinstance(optimizer, str):
            way_out = "pass torch.optim.SGD(model.parameters(), lr=0.1)"
            raise wrong_type("optimizer", "be a torch optimizer", repr(optimizer), way_out)
        given: object = measures
        if not isinstance(given, Measures):
            way_out = "pass nakami.geometry.Measures(budget=0.05)"
            raise wrong_type("measures", "be Measures", repr(given), way_out)
        optimizer = unwrapped_optimizer(optimizer)
        check_free(optimizer)
        plan = plan_of(rate, optimizer, steps, warmup, schedule)
        self.target, self.measures = plan.rate, measures
        self.steps, self.warmup, self._shape = plan.steps, plan.warmup, plan.shape
        self._rates = GroupRates(optimizer, plan.schedulers, factors=plan.shape is None)
        try:
            self._monitor = SharpnessMonitor(model, optimizer, data, loss, measures.memory_budget)
            n = self._monitor.n_examples
            self._worth = (measures.batch_size or n) / n  # of a step, in gradients
            self.every = measures.interval(self._worth, self.steps)
            self._marks = measures.marks(self._worth, self.steps, self.warmup)
            self._count = self._warm = self._streak = self._quiet_until = 0
            self._next = self._mark()
            self.cost, self.log, self._band = 0.0, list[RateRecord](), RunningLoss()
            self._rates.set(self._wanted)
            if why := measures.why_few(self._marks, self._worth, self.steps):
                warn(why + ".")
        except BaseException:
            self._rates.release()
            raise
        hold(optimizer, self, self._rates)

    @property
    def rate(self) -> float:
        """Rate of the fastest group in the next step."""
        return self._wanted * self._rates.factor

    @property
    def _wanted(self) -> float:
        """The rate before factors of schedulers."""
        return self._warmed * (1.0 if self._shape is None else self._shape(self._count))

    def step(self, loss: float | Tensor) -> RateRecord | None:
        """After an optimizer step: take its loss, measure if it is time, set the next rates.

        Args:
            loss: Of the batch of that step, at the weights before it; with gradient accumulation
                the mean over the micro-batches.

        Returns:
            The record, where something was measured.

        Raises:
            RunError: The loss is not finite.
            UsageError: Someone else changed the optimizer's rates or groups; after ``release``.
        """
        value = self._number(loss)
        self._rates.check()
        self._count += 1
        self._band.add(value)
        record = self._measure() if self._due() else self._judged_again()
        if not (self._streak and self._band.above):
            self._warm += 1
        self._rates.set(self._wanted)
        return record

    def __repr__(self) -> str:
        return (
            f"RateControl(target {self.target:.4g}, "
            f"{counted(self._count, 'step')}, {counted(len(self.log), 'measure')})"
        )

    def apply(self) -> None:
        """Give the optimizer its rates again, where other code has written its own."""
        self._rates.set(self._wanted)

    def release(self) -> None:
        """Let go of the optimizer: schedulers write their own rates again; this control is done."""
        self._rates.release()
        let_go(self._rates.optimizer, self)

    def state_dict(self) -> dict[str, Any]:
        """All that a resumed run needs to go on bit by bit; numbers, lists and one tensor.

        ``data``, ``schedule`` and the settings are not in it: build the control alike first.
        """
        vector = self._monitor.vector
        return {
            "schema": SCHEMA,
            "target": self.target,
            "cost": self.cost,
            **{name: getattr(self, f"_{name}") for name in COUNTERS},
            "ratios": list(self._rates.ratios),
            "host": None if self._rates.host is None else list(self._rates.host.own),
            "band": self._band.as_dict(),
            "vector": None if vector is None else vector.clone(),
            "log": [record.as_dict() for record in self.log],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where ``state_dict`` was taken; sets the optimizer's rates too.

        Raises:
            UsageError: A state of something else, or of another model or optimizer.
        """
        given: object = state
        schema = state.get("schema") if isinstance(given, Mapping) else type(given).__name__
        way_out = "pass RateControl's own state_dict"
        if schema != SCHEMA:
            raise wrong("state", f"have schema {SCHEMA}", schema, way_out)
        kept = self.state_dict()
        if self._rates.host is None:
            del kept["host"]
        missing = ", ".join(key for key in kept if key not in state)
        if missing:
            raise wrong("state", "be whole", f"one without {missing}", way_out)
        vector, ratios = state["vector"], tuple(state["ratios"])
        size, groups = self._monitor.size, len(self._rates.ratios)
        if len(ratios) != groups:
            way_out = "build the optimizer with the groups that were saved"
            raise wrong("state", f"have {counted(groups, 'parameter group')}", len(ratios), way_out)
        if vector is not None and tuple(vector.shape) != (size,):
            way_out = "build the model that was saved"
            raise wrong("state", f"be of {counted(size, 'parameter')}", len(vector), way_out)
        self.target, self.cost, self._rates.ratios = state["target"], state["cost"], ratios
        for name in COUNTERS:
            setattr(self, f"_{name}", int(state[name]))
        self._band = RunningLoss(**state["band"])
        self._monitor.vector = None if vector is None else vector.clone()
        self.log = [RateRecord(**record) for record in state["log"]]
        if self._rates.host is not None and state["host"] is not None:
            self._rates.host.own = list(state["host"])
        self._rates.set(self._wanted)

    @property
    def _warmed(self) -> float:
        """The target's share that the warm-up has come to."""
        return self.target * min(1.0, (self._warm + 1) / (self.warmup + 1))

    def _due(self) -> bool:
        """Whether to measure now: in time, or because the loss is high; never over the budget."""
        here, high = self._count, self._band.above
        wanted = here >= self._next or (high and here >= self._quiet_until) or self._stays
        if not (wanted and self._rates.last > 0 and self._monitor.ready):
            return False
        final = bool(self._marks) and self._marks[-1] <= here <= self.steps
        saved = 0.0 if high or final else PRODUCT * WARM  # for when the loss is high
        whole = self.measures.budget * self._worth * max(self.steps, here)
        return self.cost + self._monitor.price + saved <= whole * (1 + 1e-9)

    @property
    def _stays(self) -> bool:
        """Whether the loss has stayed above its band for more than ``patience`` steps."""
        return self._band.stays(self.measures.patience)

    def _measure(self) -> RateRecord:
        self.cost += self._monitor.price
        with self._rates.as_made():
            sharpness, residual, rule = self._monitor.read(self.measures.seed + len(self.log))
        thresholds = rule.stability_threshold, rule.noise_threshold
        limits = [each / sharpness if sharpness > 0 else math.inf for each in thresholds]
        return self._judged(max(0.0, sharpness), residual, *limits)

    def _judged_again(self) -> RateRecord | None:
        """The last measure, if it says to lower where the loss stays high; no other can be paid."""
        last = self.log[-1] if self.log and self._stays else None
        if last is None or not self._rates.last > last.noise_limit:
            return None
        return self._judged(last.sharpness, last.residual, last.limit, last.noise_limit)

    def _judged(
        self, sharpness: float, residual: float, limit: float, noise_limit: float
    ) -> RateRecord:
        options = self.measures
        rate, (low, high), above = self._rates.last, self._band.band, self._band.above
        beyond, rising = rate > limit, self._band.run
        streak = self._streak + 1 if beyond else self._streak * above
        confirmed = above and streak >= options.patience
        lower = confirmed or (self._stays and rate > noise_limit)
        if lower:
            allowed = limit if confirmed else noise_limit
            self.target = self._warmed * max(LEAST, min(MOST, allowed / rate))
            self._warm = self.warmup
        if lower or self._stays:
            self._band.run = 0  # another rise takes as many steps again
        soon = lower or 0 < streak < options.patience - 1
        wait = options.settle if lower else 1 if streak else 4 * options.settle
        self._next = self._count + min(options.settle, self.every) if soon else self._mark()
        self._quiet_until = self._count + wait
        self._streak = 0 if lower else streak
        record = RateRecord(
            self._count, rate, sharpness, residual, limit, self._band.recent, low, high, above,
            beyond, streak, self.target, lower, self.cost, noise_limit, rising,
        )  # fmt: skip
        self.log.append(record)
        return record

    def _mark(self) -> int:
        """The next step to measure at without suspicion: as planned, or ``every`` after another."""
        here, later = self._count, self._count + self.every
        ahead = [at for at in self._marks if at > here]
        if not ahead:
            return later
        planned = here == 0 or here in self._marks or here <= self.warmup
        return ahead[0] if planned else min(later, ahead[-1])

    def _number(self, loss: float | Tensor) -> float:
        if isinstance(loss, Tensor) and loss.numel() != 1:
            raise wrong("loss", "be one number", f"shape {tuple(loss.shape)}", "pass loss.mean()")
        number: object = loss.detach() if isinstance(loss, Tensor) else loss
        if not is_number(number):
            got = type(loss).__name__
            raise wrong_type("loss", "be a number or a tensor", got, "pass the loss of the step")
        value = float(number)
        if not math.isfinite(value):
            raise RunError(
                f"the loss is {value} after step {self._count + 1} at rate {self._rates.last:.3g}: "
                "the training has diverged; go back to a checkpoint and use a smaller rate."
            )
        return value
