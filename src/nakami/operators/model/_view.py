"""How a model is called and computed with, said once and passed on whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from ...results import UsageError, check_callable, check_choice, wrong_type
from ._checks import check_batch_statistics, read_device, read_dtype
from ._detached import DETACHED, EXACT, Derivative
from ._positions import ALL, Positions, check_positions
from ._selection import check_selection
from ._statistics import UNTOUCHED, statistics

Forward = Callable[[nn.Module, Any], Any]
Select = Callable[[Any], Tensor]
LABELS = ("labels", "label", "targets", "target", "y")  # what batches call their targets
Target = str | int | Callable[[Any], Any] | None


@dataclass(frozen=True)
class View:
    """A model with the way it is called; taken by every function that takes a model.

    It holds the model itself, so it always shows the model's present weights; what is built from
    it keeps a copy of them.

    Args:
        model: Any module.
        forward: ``forward(model, x)`` calls the model, where ``model(x)`` does not do.
        select: Which floating tensor of the model's output is read; default the first. Its name:
            keys, attributes and places with dots between (``"logits"``, ``"0.boxes"``, ``0``), or
            a function ``select(output)``.
        dtype: Arithmetic to compute in, ``torch.float32``, ``torch.float64`` or their names;
            default that of the weights, float32 for half precision.
        device: Where to compute; default where the weights are.
        target: Where the targets of a batch are, for readings of a loss: a key of a mapping, an
            attribute of a batch object, a place in a tuple (the rest are inputs), or a function of
            the batch. By default a batch is ``(x, y)``, or holds one of ``labels``, ``label``,
            ``targets``, ``target``, ``y``.
        batch_statistics: True: batch normalisation by the statistics of the batch at hand, as in
            training; buffers stay as they are. False: by its running ones. None: by these too, with
            a warning where all are untouched (no batch seen, mean 0, variance 1), for then they
            are not those of the network's states.
        positions: Where Jacobians end in a stage with positions, ``(1, T, d)``, as transformers
            have them: ``"all"``, ``"last"``, ``"mean"`` (over the positions), or the number of one
            (0 is the first, -1 the last). They start at all positions in any case. A stage that is
            one vector is read as it is. Readings of a loss go by all.
        derivative: ``"exact"``, or ``"detached"``: what multiplies states is held as numbers
            (multipliers of activations, gates, weights of attention, denominators), so that the
            network is ``J x + b`` at the point, with its own output (see docs/lens.md). For
            Jacobians by the input or a state.

    Raises:
        UsageError: ``model`` is no module or a scripted one, ``forward`` or ``select`` cannot be
            called, a ``target`` of another kind, an unknown ``dtype``, a ``device`` that this
            machine lacks, ``positions`` that are none.
    """

    model: nn.Module
    forward: Forward | None = None
    select: Select | str | int | None = None
    dtype: torch.dtype | str | None = None
    device: torch.device | str | None = None
    batch_statistics: bool | None = None
    target: Target = None
    positions: Positions = ALL
    derivative: Derivative = EXACT

    def __post_init__(self) -> None:
        given: object = self.model
        if not isinstance(given, nn.Module):
            got, way_out = type(given).__name__, "pass the module itself"
            if isinstance(given, type):
                got, way_out = f"the class {given.__name__}", f"pass {given.__name__}(...)"
            elif isinstance(given, View):
                way_out = "pass its .model"
            elif callable(given):
                way_out = "wrap the function in a module with a forward method"
            elif isinstance(given, Mapping):
                way_out = "pass the module, after model.load_state_dict"
            raise wrong_type("model", "be a torch.nn.Module", got, way_out)
        if any(isinstance(m, torch.jit.RecursiveScriptModule) for m in self.model.modules()):
            raise UsageError(
                "model must be a module whose states can be watched, got a scripted one; "
                "pass the module it was scripted from, or torch.jit.trace(module, x)."
            )
        way_out = "pass a function of (model, x), where x is all of it: model(**x) of a dict"
        check_callable("forward", self.forward, "forward(model, x)", way_out)
        object.__setattr__(self, "select", check_selection(self.select))
        if self.batch_statistics not in (True, False, None):
            got = repr(self.batch_statistics)
            raise wrong_type("batch_statistics", "be True or False", got, "pass True or False")
        named = isinstance(self.target, (str, int)) and not isinstance(self.target, bool)
        if self.target is not None and not named and not callable(self.target):
            rule = "be the key, attribute or place of a batch's targets, or a function of the batch"
            raise wrong_type("target", rule, repr(self.target), "pass target='labels'")
        if callable(self.target):
            check_callable("target", self.target, "target(batch)")
        check_choice("derivative", self.derivative, (EXACT, DETACHED), "leave it out for 'exact'")
        object.__setattr__(self, "dtype", read_dtype(self.dtype))
        object.__setattr__(self, "device", read_device(self.device))
        object.__setattr__(self, "positions", check_positions(self.positions))

    @property
    def batch_normalisation(self) -> str:
        """By which statistics the model's batch normalisation is read, in words; "" without any."""
        return statistics(self.model, self.batch_statistics)

    @property
    def reads_untouched_statistics(self) -> bool:
        """Whether that is, unasked, by running statistics that no batch has touched."""
        return self.batch_statistics is None and self.batch_normalisation == UNTOUCHED

    def for_batches(self) -> View:
        """The view by which whole batches are best read.

        By the statistics of the batch where the running ones are untouched and nothing is asked;
        not with dropout, which is random then.
        """
        return self._by_batch() if self.reads_untouched_statistics else self

    def for_training(self) -> View:
        """The view by which a training is best watched, where nothing is asked.

        By the statistics of the batch while the model is in training mode; not with dropout.
        """
        asked = self.batch_statistics is not None or not self.batch_normalisation
        return self if asked or not self.model.training else self._by_batch()

    def _by_batch(self) -> View:
        try:
            check_batch_statistics(self.model)
        except UsageError:
            return self
        return replace(self, batch_statistics=True)


def as_view(model: nn.Module | View) -> View:
    """The view itself, or the plain one of a model."""
    return model if isinstance(model, View) else View(model)
