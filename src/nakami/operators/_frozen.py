"""A network held still: evaluation mode, detached weights, no trace left on the user's model."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..results import StageInfo, UsageError, wrong, wrong_type
from ._stages import Place, Stages, is_weighted, weighted_inside
from ._tap import Tap, first_tensor

Forward = Callable[[nn.Module, Any], Any]
Select = Callable[[Any], Tensor]


class _Reached(Exception):
    pass


class _Caller(nn.Module):
    """Lets ``functional_call`` swap weights under a user's own way of calling the model."""

    def __init__(self, model: nn.Module, forward: Forward | None):
        super().__init__()
        self.model, self.call = model, forward

    def forward(self, x: Any) -> Any:
        return self.model(x) if self.call is None else self.call(self.model, x)


class FrozenNetwork:
    """A model as a function of its input: evaluation mode, weights detached (and cast, on request).

    Args:
        model: Any module. It is never changed: mode, gradients, buffers, hooks and random states
            are as before after every call.
        forward: ``forward(model, x)`` calls the model, where ``model(x)`` does not do.
        select: Picks the tensor that counts from the model's output; default its first tensor.
        dtype, device: Where to compute; default those of the model's first parameter.
    """

    def __init__(
        self,
        model: nn.Module,
        forward: Forward | None = None,
        select: Select | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ):
        if not isinstance(model, nn.Module):
            raise wrong_type(
                "model",
                "be a torch.nn.Module",
                type(model).__name__,
                "wrap the function in a module with a forward method",
            )
        self.model, self.select = model, select
        self.caller = _Caller(model, forward)
        like = next((p for p in model.parameters() if p.is_floating_point()), None)
        self.dtype = dtype or (like.dtype if like is not None else None)
        self.device = torch.device(device or (like.device if like is not None else "cpu"))
        self.weights = {
            f"model.{name}": self._cast(value.detach())
            for name, value in (*model.named_parameters(), *model.named_buffers())
        }
        self._check_weights()

    def place_input(self, x: Tensor) -> Tensor:
        """``x`` checked, detached and moved to where the network computes."""
        if not isinstance(x, Tensor):
            raise wrong_type(
                "x", "be a torch.Tensor", type(x).__name__, "convert it with torch.as_tensor"
            )
        if not x.is_floating_point():
            raise wrong_type(
                "x",
                "be floating-point",
                x.dtype,
                "pass x.float(), or start from a stage after the embedding",
            )
        if x.ndim == 0 or x.shape[0] != 1:
            raise wrong(
                "x",
                "hold one example, batch axis included",
                f"shape {tuple(x.shape)}",
                "pass x[i:i+1]",
            )
        if not torch.isfinite(x).all():
            raise wrong(
                "x",
                "be finite",
                f"{int((~torch.isfinite(x)).sum())} NaN or infinite components",
                "clean the data",
            )
        return self._cast(x.detach().clone())

    def run(self, x: Tensor, chance: int | None = None) -> Tensor:
        """The selected output at ``x``; ``chance`` reseeds the random states for this run alone."""
        # Buffers are cloned at every run, so that a module that writes to one writes to a copy.
        with self._still(chance):
            swapped = {
                k: v.clone() if k in self._buffer_names else v for k, v in self.weights.items()
            }
            out = torch.func.functional_call(self.caller, swapped, (x,))
        return self._selected(out)

    def stages(self, x: Tensor) -> Stages:
        """All stages at ``x``; checks ``x``, and that the model is deterministic there."""
        x = self.place_input(x)
        shape = tuple(x.shape[1:])
        places = [_place("input", "input", x, None, shape)]
        alive: list[Tensor] = []  # identities stay unique while their tensors live

        def note(name: str, kind: str, value: Tensor, module: nn.Module | None) -> Tensor:
            alive.append(value)
            places.append(_place(name, kind, value, module))
            return value

        with torch.no_grad(), self._explained(x), Tap(self.model, note):
            out = self.run(x)
        with torch.no_grad():
            again = self.run(x, chance=len(places))  # another seed, else noise would repeat itself
        _check_repeatable(out, again)
        if all(p.info.name != "output" for p in places):
            last = _place("output", type(self.model).__name__.lower(), out, self.model)
            places.append(replace(last, container=False))  # no name for a stage before it
        return Stages(places)

    def reach(
        self, x: Tensor, to: str, start: str | None = None, state: Tensor | None = None
    ) -> Tensor:
        """The state at stage ``to``; with ``start``, that stage's state is replaced by ``state``.

        The run is cut short once ``to`` is reached.
        """
        found: list[Tensor] = []

        def watch(name: str, kind: str, value: Tensor, module: nn.Module | None) -> Tensor:
            if name == start and state is not None:
                value = state
            if name == to:
                found.append(value)
                raise _Reached
            return value

        try:
            with Tap(self.model, watch):
                out = self.run(x)
        except _Reached:
            return found[0]
        return out

    def _selected(self, out: Any) -> Tensor:
        picked = first_tensor(out) if self.select is None else self.select(out)
        if not isinstance(picked, Tensor):
            raise wrong_type(
                "the model's output",
                "hold a floating tensor",
                type(out).__name__,
                "pick one with select=",
            )
        return picked

    def _cast(self, value: Tensor) -> Tensor:
        if value.is_floating_point() and self.dtype is not None:
            return value.to(self.device, self.dtype)
        return value.to(self.device)

    @property
    def _buffer_names(self) -> frozenset[str]:
        return frozenset(f"model.{name}" for name, _ in self.model.named_buffers())

    def _check_weights(self) -> None:
        for name, value in self.weights.items():
            if value.is_floating_point() and not torch.isfinite(value).all():
                raise UsageError(
                    f"weight {name.removeprefix('model.')!r} holds NaN or infinite values; load a "
                    "sound checkpoint."
                )

    @contextmanager
    def _still(self, chance: int | None) -> Iterator[None]:
        """Evaluation mode and untouched random states, whatever happens inside."""
        modes = [(m, m.training) for m in self.model.modules()]
        torch_state, python_state, numpy_state = (
            torch.get_rng_state(),
            random.getstate(),
            np.random.get_state(),
        )
        cuda = torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None
        if chance is not None:
            torch.random.default_generator.manual_seed(chance)
            random.seed(chance)
            np.random.seed(chance)
            if cuda is not None:
                torch.cuda.manual_seed(chance)
        for module, _ in modes:
            module.training = False
        try:
            yield
        finally:
            for module, mode in modes:
                module.training = mode
            torch.set_rng_state(torch_state)
            random.setstate(python_state)
            np.random.set_state(numpy_state)
            if cuda is not None:
                torch.cuda.set_rng_state(cuda, self.device)

    @contextmanager
    def _explained(self, x: Tensor) -> Iterator[None]:
        try:
            yield
        except UsageError:
            raise
        except Exception as error:
            first = (
                str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            )
            raise UsageError(
                f"the model cannot take an input of shape {tuple(x.shape)}: {first.rstrip('.')}; "
                "give the shape it was built for, or call it your way with forward=."
            ) from error


def _place(
    name: str,
    kind: str,
    value: Tensor,
    module: nn.Module | None,
    shape: tuple[int, ...] | None = None,
) -> Place:
    if shape is None:
        shape = tuple(value.shape[1:]) if value.ndim and value.shape[0] == 1 else tuple(value.shape)
    container = module is not None and next(module.children(), None) is not None
    inside = weighted_inside(module) if module is not None and container else 0
    return Place(StageInfo(name, kind, shape), is_weighted(module), container, id(value), inside)


def _check_repeatable(first: Tensor, second: Tensor) -> None:
    scale = float(first.abs().max()) if first.numel() else 0.0
    gap = (
        float((first - second).abs().max())
        if first.shape == second.shape and first.numel()
        else 0.0
    )
    if first.shape != second.shape or gap > 1e-4 * scale or gap != gap:
        raise UsageError(
            "model must be deterministic in evaluation mode, got two outputs that differ by "
            f"{gap:.3g} at the same input; switch its randomness off."
        )
