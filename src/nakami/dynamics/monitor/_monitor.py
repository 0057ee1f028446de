"""The x-ray during training: a small one now and then, within a share of the training's time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

import torch
from torch import nn

from ...operators import FunctionalModel, View
from ...results import (
    SkippedLook,
    UsageError,
    XrayHistory,
    XrayLook,
    check_at_least,
    check_state,
    is_number,
    packed_look,
    plain,
    told,
    unpacked_look,
    warn,
    wrong,
    wrong_type,
)
from ...spectra import without_autocast
from .._plan import SpectrumOptions, planned
from .._xray import settings_of
from ._clock import Clock
from ._film import RULE, USUAL, Film
from ._kept import Kept

SCHEMA = 1


class XrayMonitor:
    """Takes a small x-ray every ``every`` optimizer steps, within a share of the training's time.

    ``step()`` after each optimizer step counts it, and takes a look where one is due: the ``k``
    leading singular values of ``J_all = d stage / d input`` at each input and stage, an estimate of
    the others (effective rank, count above 1), residuals and verdicts. A look begins at the
    directions that the one before it found.

    Budget: a look is taken where all looks so far and this one, taken to last as long as the one
    before, are at most ``max_share`` of the training's seconds (wall clock since the first step,
    looks left out). Else it is left out and noted, and the next multiple of ``every`` is looked at.
    The first look cannot be foreseen: it is taken in any case, and counts.

    The model is left as it was: a training takes the same steps with it and without it. What fails
    within ``step`` (weights that are not finite, no memory left) is noted and warned of once; it
    never stops the training.

    Args:
        model: Any module, or a ``View`` of one; read in evaluation mode at its weights of the
            moment.
        inputs: As for ``nakami.xray``; few, for each costs as much as the first.
        stages: Names of stages, or ``"auto"``; few, likewise.
        k: Values for each spectrum, cut to its smaller side.
        every: Optimizer steps between looks.
        out: Folder to keep the looks in, each as it is taken; None: in memory alone. A training
            that goes on from a checkpoint goes on in the folder, see ``load_state_dict``.
        max_share: Seconds of looks for each second of training, from 0 to 1. 0: only those that
            ``look`` takes; ``float("inf")``: all.
        spectrum: As for ``nakami.xray``; default ``SpectrumOptions(tol=1e-3)``.
        input_unit, about: As for ``nakami.xray``.

    Attributes:
        count: Optimizer steps so far.

    Raises:
        UsageError: What ``nakami.xray`` refuses, ``every`` or ``max_share`` out of range, a folder
            with other settings.

    Cost: a copy of the weights in memory, two during a look; a look takes about the time of an
    x-ray of as many inputs and stages. Several processes: monitor in one of them, the others wait.
    """

    def __init__(
        self,
        model: nn.Module | View,
        inputs: Any,
        stages: str | Sequence[str] = "auto",
        k: int = 8,
        every: int = 100,
        out: str | PathLike[str] | None = None,
        *,
        max_share: float = 0.05,
        spectrum: SpectrumOptions | None = None,
        input_unit: str = "1",
        about: Mapping[str, Any] | None = None,
    ):
        self.every = check_at_least("every", every, 1, "100 is the default")
        k = check_at_least("k", k, 1, "8 is the default")
        check_share(max_share)
        if about is not None and not isinstance(about, Mapping):
            raise wrong_type("about", "be a mapping", repr(about), "write about={'note': ...}")
        self.max_share = float(max_share)
        network = FunctionalModel(model)
        self._clock = Clock(network.device)
        with self._clock.working():
            plan = planned(network, inputs, stages, None, False, spectrum or USUAL)
            self._film = Film(plan, k)
            parts = {"name": type(network.model).__name__, "parameters": _size(network.model)}
            settings = settings_of(plan, input_unit, parts, about) | {
                "k": k,
                "every": self.every,
                "max_share": plain(self.max_share),
                "rule": RULE,
            }
            self._inputs = plan.inputs.arrays()
            self._kept = Kept(out, settings, self._inputs)
        self.count, self._failed = 0, False
        self._looks: list[XrayLook] = []
        self._skipped: list[SkippedLook] = []

    @property
    def history(self) -> XrayHistory:
        """All looks so far, as a result."""
        plan, clock = self._film.plan, self._clock
        return XrayHistory(
            {**self._kept.settings, "max_share": plain(self.max_share)}, plan.chosen, self._inputs,
            tuple(self._looks), tuple(self._skipped), clock.spent, clock.training,
            self._kept.path,
        )  # fmt: skip

    @property
    def n_looks(self) -> int:
        """Looks so far."""
        return len(self._looks)

    def step(self, count: int | None = None) -> XrayLook | None:
        """After an optimizer step: count it, and look if it is time and the budget allows it.

        Args:
            count: Optimizer steps so far, where the host counts them; default one more.

        Returns:
            The look, where one was taken.
        """
        before = self.count
        self.count = before + 1 if count is None else count
        self._kept.check_begin()
        self._clock.start()
        if self.count // self.every == before // self.every:
            return None
        return self._if_affordable()

    @told
    @without_autocast
    def look(self) -> XrayLook:
        """Look now, whatever the budget says; it counts. Before the first step: at the start.

        Raises:
            UsageError, RunError: The network cannot be read as it is.
        """
        self._kept.check_begin()
        before = self._clock.spent
        with self._clock.working():
            spectra = self._film.look()
        spent = self._clock.spent
        taken = XrayLook(self.count, spectra, spent - before, spent, self._clock.training)
        if self._looks and self._looks[-1].step == self.count:
            self._looks.pop()
        self._looks.append(taken)
        with self._clock.working():
            self._kept.write(self._looks, self._skipped)
        return taken

    def finish(self) -> XrayHistory:
        """At the end of a training: a last look if the budget allows it, and ``result.json``."""
        tried = {look.step for look in self._looks[-1:]} | {s.step for s in self._skipped[-1:]}
        new = self.count not in tried
        if new and self._affordable:
            self._if_affordable()
        found = self.history
        self._kept.finish(found)
        return found

    def state_dict(self) -> dict[str, Any]:
        """All that a resumed training needs to go on: numbers, texts, lists and tensors.

        Model, inputs and settings are not in it: build the monitor alike first. The first look
        after it begins anew, not at the directions of the one before.
        """
        looks = []
        for record, arrays in map(packed_look, self._looks):
            tensors = {name: torch.as_tensor(array) for name, array in arrays.items()}
            looks.append({"record": record, "arrays": tensors})
        return {
            "schema": SCHEMA,
            "count": self.count,
            "spent": self._clock.spent,
            "training": self._clock.training,
            "skipped": plain(self._skipped),
            "looks": looks,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where ``state_dict`` was taken; looks in the folder from later steps are removed.

        Raises:
            UsageError: A state of something else.
        """
        kept = {"count", "spent", "training", "skipped", "looks"}
        check_state(state, SCHEMA, kept, "XrayMonitor")
        self.count = int(state["count"])
        self._clock.put(state["spent"], state["training"])
        self._skipped = [SkippedLook(**one) for one in state["skipped"]]
        self._looks = [
            unpacked_look(each["record"], {n: t.cpu().numpy() for n, t in each["arrays"].items()})
            for each in state["looks"]
        ]
        self._kept.put_back(self._looks, self._skipped)

    def __repr__(self) -> str:
        return f"XrayMonitor(every {self.every:,} steps, {self.count:,} so far, {self.history.use})"

    @property
    def _expected(self) -> float:
        """Seconds of the next look; of the first one nothing is known."""
        return self._looks[-1].expected if self._looks else 0.0

    @property
    def _allowed(self) -> float:
        """Seconds that the budget has left."""
        if self.max_share == math.inf:
            return math.inf
        return self.max_share * self._clock.training - self._clock.spent

    @property
    def _affordable(self) -> bool:
        return self.max_share > 0 and (not self._looks or self._expected <= self._allowed)

    def _if_affordable(self) -> XrayLook | None:
        """A look, unless the budget or a failure prevents it, which is noted."""
        if not self._affordable:
            allowed = max(0.0, self._allowed)
            self._skipped.append(SkippedLook(self.count, self._expected, allowed))
            return None
        try:
            return self.look()
        except (UsageError, RuntimeError) as error:  # RunError, out of memory, LAPACK's
            self._skipped.append(SkippedLook(self.count, 0.0, 0.0, str(error)))
            if not self._failed:
                warn(f"the x-ray at step {self.count} failed, the training goes on: {error}")
            self._failed = True
            return None


def check_share(max_share: Any, callback: bool = False) -> None:
    """Refuse what is no share of a training's time; 0, too, where a trainer alone looks."""
    good = is_number(max_share) and not isinstance(max_share, bool)
    least = "above 0 and at most" if callback else "from 0 to"
    if (
        not good
        or not (0 <= max_share <= 1 or max_share == math.inf)
        or (callback and not max_share)
    ):
        ways = ["pass 0.05 for 5 %", 'pass float("inf") for no budget']
        raise wrong("max_share", f"be a share {least} 1, or infinite", repr(max_share), ways)


def _size(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())
