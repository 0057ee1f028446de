"""A learning rate held through training, and lowered only where instability is measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from ..operators import PresentCurvature, fisher, runs_present
from ..results import RunError, check_callable, wrong, wrong_type
from ..spectra import LinearOperator, RitzPair, Scaled, check_seed, ritz
from ._band import LossBand, RateRecord
from ._result import LearningRate
from ._settings import adaptive, check_optimizer, coordinates, make, started

PRODUCT = 5 / 3  # gradient evaluations: forward with tangent 2/3, back 1
COLD, WARM = 5, 2  # products of the first measure and of the others
LEAST, MOST = 1 / 4, 1 / 2  # what a lowering multiplies the rate by
SCHEMA = 1


class RateControl:
    """Warms up to a rate, watches its stability, and lowers it only on measured instability.

    ``step(loss)`` after each optimizer step sets the rates of the next one. Instability is: the
    loss above its running band **and** rate times sharpness beyond the optimizer's limit, at
    ``patience`` measures in a row. Sharpness that rises alone changes nothing: it is limited by the
    rate itself, and a rate that follows it down chases it.

    Measures cost ``budget`` of the training's gradient evaluations: half of that is spread evenly,
    half is kept for times when the loss is above its band, where every step may be measured.

    Args:
        model: Any module; measured in evaluation mode, left as it was.
        optimizer: torch's ``SGD``, ``Adam`` or ``AdamW`` on the model's parameters. Its groups keep
            the ratios of the rates they have now.
        data: ``(x, y)`` or a few such batches, read once and held; a batch of the training's own
            size gives the sharpness its steps see.
        loss: A torch loss, its name, or a function, as ``nakami.fisher`` takes it.
        rate: The rate to train with, of the fastest group; or a ``LearningRate`` with advice.
        warmup: Steps of linear warm-up; 0 for none.
        settle: Steps that sharpness is given after the warm-up, and after a lowering, before it is
            judged.
        budget: Share of the training's gradient evaluations to spend on measures; 0 measures
            nothing.
        steps: Planned optimizer steps: over so many the budget holds as a whole, beyond them at any
            time.
        every: Steps between measures; default what half the budget allows.
        batch_size: Examples in one optimizer step (all micro-batches, all processes); default as
            many as ``data`` holds.
        patience: Measures in a row.
        schedule: ``schedule(step)`` multiplies the rate of step 0, 1, ...; a scheduler of torch on
            the same optimizer is refused, for two hands on one rate undo each other.
        seed: Of the random part of the search; the global random state is not touched.
        forward, select, batch_statistics, dtype, device, memory_budget: As in ``nakami.fisher``.

    Attributes:
        log: A ``RateRecord`` for each measure.
        target: The rate aimed at: ``rate``, or less after a lowering.
        cost: Gradient evaluations on the held data spent so far, by count: a product 5/3. One check
            of the products at the start is not in it.

    Raises:
        UsageError: What ``nakami.fisher`` and ``nakami.learning_rate`` refuse, an argument out of
            range, ``every`` too small for the budget.

    Several processes: give all of them the same ``data`` and the loss averaged over them, so that
    they decide alike. Source: Cohen et al., arXiv 2103.00065 (sharpness hovers at the limit of the
    rate, whatever the rate).
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        data: Any,
        loss: nn.Module | str | Callable[[Tensor, Any], Tensor],
        rate: float | LearningRate,
        *,
        warmup: int = 20,
        settle: int = 20,
        budget: float = 0.05,
        steps: int = 1000,
        every: int | None = None,
        batch_size: int | None = None,
        patience: int = 3,
        schedule: Callable[[int], float] | None = None,
        seed: int = 0,
        **reading: Any,
    ):
        if isinstance(optimizer, str):
            raise wrong_type("optimizer", "be a torch optimizer", repr(optimizer), "make it first")
        check_optimizer(optimizer)
        self.target = _rate(rate)
        self.warmup, self.settle = _whole("warmup", warmup, 0), _whole("settle", settle, 0)
        self.patience, self.steps = _whole("patience", patience, 1), _whole("steps", steps, 1)
        if isinstance(budget, bool) or not isinstance(budget, (int, float)) or not 0 <= budget < 1:
            raise wrong("budget", "be a share from 0 to below 1", repr(budget), "0.05 is usual")
        check_callable("schedule", schedule, "schedule(step)")
        self.model, self.optimizer, self.schedule = model, optimizer, schedule
        self.budget, self.seed = float(budget), check_seed(seed)
        self._op = fisher(model, data, loss, "ggn", **reading)
        make(optimizer, self._named())
        self._light = runs_present(self._op) if budget else False
        held = sum(len(part.z) for part in self._op.parts)
        size = held if batch_size is None else _whole("batch_size", batch_size, 1)
        self._step_cost = size / held
        self.every = self._interval(every)
        self._ratios = _ratios(optimizer)
        self._count = self._streak = self._quiet_until = 0
        self._next = self.warmup + self.settle
        self.cost, self.log = 0.0, list[RateRecord]()
        self._band = LossBand()
        self._vector: Tensor | None = None
        self._set()

    @property
    def rate(self) -> float:
        """Rate of the fastest group in the next step."""
        warm = min(1.0, (self._count + 1) / (self.warmup + 1))
        shape = 1.0 if self.schedule is None else float(self.schedule(self._count))
        if not (math.isfinite(shape) and shape >= 0):
            raise wrong("schedule", "return a factor from 0 on", shape, "look at its last steps")
        return self.target * warm * shape

    def step(self, loss: float | Tensor) -> RateRecord | None:
        """After an optimizer step: take its loss, measure if it is time, set the next rates.

        Args:
            loss: Of the batch of that step, at the weights before it; with gradient accumulation
                the mean over the micro-batches.

        Returns:
            The record, where something was measured.

        Raises:
            RunError: The loss is not finite.
            UsageError: Someone else changed the optimizer's rates or groups.
        """
        value = self._finite(loss)
        self._check_rates()
        self._last_rate = self._given[self._fastest]
        self._count += 1
        self._band.add(value)
        record = self._measure() if self._due() else None
        self._set()
        return record

    def state_dict(self) -> dict[str, Any]:
        """All that a resumed run needs to go on bit by bit; numbers, lists and one tensor."""
        return {
            "schema": SCHEMA,
            "target": self.target,
            "count": self._count,
            "streak": self._streak,
            "quiet_until": self._quiet_until,
            "next": self._next,
            "cost": self.cost,
            "ratios": list(self._ratios),
            "band": self._band.as_dict(),
            "vector": None if self._vector is None else self._vector.clone(),
            "log": [record.as_dict() for record in self.log],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where ``state_dict`` was taken; sets the optimizer's rates too.

        Raises:
            UsageError: A state of another model or optimizer.
        """
        if state.get("schema") != SCHEMA:
            got = repr(state.get("schema"))
            raise wrong("state", f"have schema {SCHEMA}", got, "pass RateControl's own state_dict")
        vector, ratios = state["vector"], state["ratios"]
        n, groups = self._op.shape[0], len(self._ratios)
        if len(ratios) != groups:
            raise wrong("state", f"have {groups} parameter groups", len(ratios), "build it alike")
        if vector is not None and tuple(vector.shape) != (n,):
            raise wrong("state", f"have a vector of {n}", tuple(vector.shape), "build it alike")
        self.target, self.cost = float(state["target"]), float(state["cost"])
        self._count, self._streak = int(state["count"]), int(state["streak"])
        self._quiet_until, self._next = int(state["quiet_until"]), int(state["next"])
        self._ratios = tuple(ratios)
        self._band = LossBand(**state["band"])
        self._vector = None if vector is None else vector.clone().to(self._op.device)
        self.log = [RateRecord(**record) for record in state["log"]]
        self._set()

    def _due(self) -> bool:
        """Whether to measure now: in time, or because the loss is high; never over the budget."""
        here, price = self._count, self._price()
        whole = self.budget * self._step_cost * max(self.steps, here)
        if self.cost + price > whole or not self._last_rate > 0:
            return False
        if adaptive(self.optimizer) and not started(self.optimizer, self._named()):
            return False
        return here >= self._next or (self._band.above and here >= self._quiet_until)

    def _measure(self) -> RateRecord:
        self.cost += self._price()
        found, reach = self._sharpness()
        self._vector = found.vector
        sharpness, (low, high) = max(0.0, found.value), self._band.band
        allowed = reach / sharpness if sharpness else math.inf
        above, beyond = self._band.above, self._last_rate > allowed
        self._streak = self._streak + 1 if above and beyond else 0
        lower, streak = self._streak >= self.patience, self._streak
        if lower:
            self.target *= max(LEAST, min(MOST, allowed / self._last_rate))
            self._streak = 0
        if not self._streak:
            self._quiet_until = self._count + self.settle
        self._next = self._count + self.every
        record = RateRecord(
            self._count, self._last_rate, sharpness, found.residual, allowed, self._band.recent,
            low, high, above, beyond, streak, self.target, lower, self.cost,
        )  # fmt: skip
        self.log.append(record)
        return record

    def _sharpness(self) -> tuple[RitzPair, float]:
        """Sharpness in the optimizer's coordinates, and rate times curvature at the border."""
        here = PresentCurvature(self._op)
        op: LinearOperator = here if self._light else here.traced()
        frame = coordinates(self.optimizer, self._named(), self._op.parts[0].point)
        shift = None if not bool(frame.shift.any()) else frame.shift
        if not frame.plain or shift is not None:
            op = Scaled(op, frame.scale, shift)
        seed = self.seed + len(self.log)
        found = ritz(op, self._products(), start=self._vector, seed=seed)
        return found, frame.rule.reach

    def _products(self) -> int:
        return COLD if self._vector is None else WARM

    def _price(self) -> float:
        return PRODUCT * self._products()

    def _interval(self, every: int | None) -> int:
        """Steps between measures; 0 where the budget allows none."""
        if not self.budget:
            return 0
        price = PRODUCT * WARM / self._step_cost / self.budget
        if every is None:
            return math.ceil(2 * price)
        every, least = _whole("every", every, 1), math.ceil(price)
        if every < least:
            rule = f"be at least {least} within budget={self.budget:g}"
            raise wrong("every", rule, every, "raise the budget")
        return every

    def _named(self) -> dict[str, Tensor]:
        parameters: dict[str, Tensor] = dict(self.model.named_parameters())
        return {name: parameters[name] for name in self._op.names}

    def _set(self) -> None:
        """Give the optimizer the rates of the next step."""
        rate = self.rate
        for group, ratio in zip(self.optimizer.param_groups, self._ratios, strict=True):
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate * ratio)
            else:
                group["lr"] = rate * ratio
        self._given = [float(group["lr"]) for group in self.optimizer.param_groups]
        self._fastest = self._ratios.index(max(self._ratios))

    def _check_rates(self) -> None:
        seen = [float(group["lr"]) for group in self.optimizer.param_groups]
        if len(seen) != len(self._given):
            rule = f"keep its {len(self._given)} parameter groups"
            raise wrong("optimizer", rule, len(seen), "make a new RateControl for it")
        for now, given in zip(seen, self._given, strict=True):
            if now != given:
                rule, way_out = "keep the rates it is given", "drop its scheduler, pass schedule="
                raise wrong("optimizer", rule, f"lr {now:g} where {given:g} was set", way_out)

    def _finite(self, loss: float | Tensor) -> float:
        if isinstance(loss, Tensor) and loss.numel() != 1:
            raise wrong("loss", "be one number", f"shape {tuple(loss.shape)}", "average it")
        value = float(loss.detach()) if isinstance(loss, Tensor) else float(loss)
        if not math.isfinite(value):
            raise RunError(
                f"the loss is {value} after step {self._count + 1} at rate {self._given[0]:.3g}: "
                "the training has diverged; go back to a checkpoint and use a smaller rate."
            )
        return value


def _ratios(optimizer: Optimizer) -> tuple[float, ...]:
    rates = [float(group["lr"]) for group in optimizer.param_groups]
    return tuple(rate / max(rates) for rate in rates)


def _rate(rate: float | LearningRate) -> float:
    if isinstance(rate, LearningRate):
        if rate.advised is None:
            raise wrong("rate", "hold advice", "advised=None", "pass a number, as rate.limit / 2")
        rate = rate.advised
    if isinstance(rate, bool) or not isinstance(rate, (int, float)):
        raise wrong_type("rate", "be a number or a LearningRate", repr(rate), "pass a number")
    if not 0 < rate < math.inf:
        raise wrong("rate", "be positive and finite", rate, "pass the rate to train with")
    return float(rate)


def _whole(argument: str, value: object, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise wrong(argument, f"be a whole number from {least} on", repr(value), "leave it out")
    return value
