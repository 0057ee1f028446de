"""A model as a function of weights and input, which leaves no trace on the user's model."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from ...results import StageInfo, UsageError, tick, unknown, wrong, wrong_type
from ._checks import check_batch_statistics, check_filled
from ._conventions import follow_conventions
from ._detached import DETACHED, EXACT, Detached, Numbers
from ._example import Example, count_of, is_number, leaves_of, mapped
from ._failures import failure
from ._positions import info_at, state_at
from ._put_back import InputGuard, WritesToInput
from ._selection import Named
from ._stages import Stages
from ._statistics import warn_of_untouched
from ._still import still
from ._structure import Structure
from ._tracer import first_tensor, transforms
from ._tracing import found_stages, reached
from ._uncompiled import zeros_uncompiled
from ._view import Forward, View, as_view

Reader = Callable[["FunctionalModel", Any, int], tuple[Tensor, Any]]  # of an output, for n rows


class Caller(nn.Module):
    """Lets ``functional_call`` swap weights under a user's own way of calling the model."""

    def __init__(self, model: nn.Module, forward: Forward | None):
        super().__init__()
        self.model, self.call = model, forward

    def forward(self, x: Any) -> Any:
        if self.call is not None:
            return self.call(self.model, x)
        if isinstance(x, Mapping):
            return self.model(**x)
        several = isinstance(x, (tuple, list)) and not isinstance(x, PackedSequence)
        return self.model(*x) if several else self.model(x)


class FunctionalModel:
    """A model as a function of its input, in evaluation mode, at the weights that it had.

    Weights and buffers are copied when this is built (and cast, on request). Whatever the model
    does later (a training step, another mode, dtype or device, replaced parameters), every run is
    at the copies. The model's code still runs: where its modules or their plain attributes have
    changed, a run is refused, see ``Structure``.

    Args:
        model: Any module, or a ``View`` of one. It is never changed: mode, gradients, buffers,
            hooks and random states are as before after every call.
    """

    def __init__(self, model: nn.Module | View):
        view = as_view(model)
        model, dtype, device = view.model, view.dtype, view.device
        self.batch_statistics = bool(view.batch_statistics)
        assert not isinstance(dtype, str)  # a view holds what names stand for
        assert not isinstance(device, str)
        assert not isinstance(view.select, (str, int))  # likewise
        self.model, self.select, self.target = model, view.select, view.target
        self.forward, self.positions = view.forward, view.positions
        self.derivative = view.derivative
        self.numbers: Numbers | None = None
        self.reader: Reader | None = None
        self.caller: Callable[[Any], Any] = Caller(model, view.forward)
        like = next((p for p in model.parameters() if is_number(p)), None)
        self.dtype = dtype or (like.dtype.to_real() if like is not None else None)
        self._note = ""
        self.said: set[str] = set()  # kinds of warnings given; of a network each is given once
        if dtype is None and self.dtype in (torch.float16, torch.bfloat16):
            self._note = f"{str(self.dtype).removeprefix('torch.')} weights computed in float32"
            self.dtype = torch.float32
        self.device = device or (like.device if like is not None else torch.device("cpu"))
        self._copy()
        self.batch_normalisation = view.batch_normalisation
        if view.reads_untouched_statistics:
            warn_of_untouched()

    def _copy(self) -> None:
        """Take the model's weights, buffers and structure as they are now."""
        check_filled(self.model)
        if self.batch_statistics:
            check_batch_statistics(self.model)
        buffers = dict(self.model.named_buffers())
        self._buffers = frozenset(f"model.{name}" for name in buffers)
        self.weights = {
            f"model.{name}": self._cast(value.detach(), copy=True)
            for name, value in (*self.model.named_parameters(), *buffers.items())
        }
        self.structure = Structure(self.model)
        self._check_weights()
        follow_conventions(self.model, self.weights)

    def example(self, x: Any, batch: bool = False) -> Example:
        """``x`` checked, detached and moved to where the network computes; an example as it is."""
        if isinstance(x, Example):
            return x
        return Example(x, batch).moved(lambda leaf: self._cast(leaf.detach(), copy=True))

    @property
    def note(self) -> str:
        """What else is to be said of the arithmetic."""
        lifted = "autocast lifted" if self.structure.autocasts else ""
        return ", ".join(part for part in (self._note, lifted) if part)

    @property
    def output_name(self) -> str | None:
        """The name of the output that is read; None of the first, or of what a function picks."""
        return self.select.name if isinstance(self.select, Named) else None

    @property
    def embeds(self) -> bool:
        """Whether a module of the network is an embedding."""
        return any("embedding" in type(m).__name__.lower() for m in self.model.modules())

    def parameters(self, pattern: str = "*") -> dict[str, Tensor]:
        """The parameters of numbers whose names fit a shell pattern, as they are computed with."""
        if not isinstance(pattern, str):
            raise wrong_type("params", "be one shell pattern", repr(pattern), "'*' takes all")
        names = [n for n, p in self.model.named_parameters() if is_number(p)]
        if not names:
            raise wrong("model", "have floating parameters", "none", "read it with wrt='input'")
        fitting = [n for n in names if fnmatchcase(n, pattern)]
        if not fitting:
            raise unknown("params", pattern, names, "'*' takes all")
        return {f"model.{n}": self.weights[f"model.{n}"] for n in fitting}

    def with_weights(self, weights: Mapping[str, Tensor]) -> FunctionalModel:
        """The same network at other weights, named as in ``weights``; shares the rest.

        They are taken as they are, not copied.
        """
        other = copy.copy(self)
        other.weights = {**self.weights, **weights}
        return other

    def normalised_by_batch(self) -> FunctionalModel:
        """The same network with batch normalisation by the batch at hand; shares the rest."""
        other = copy.copy(self)
        other.batch_statistics = True
        return other

    def at_current_weights(self) -> FunctionalModel:
        """The same network at the weights and buffers that the model has now.

        It computes in the same arithmetic and on the same device, wherever the model is now.
        """
        other = copy.copy(self)
        other._copy()
        if not self.structure.change():  # the same code: what was tried of it holds
            other.structure = self.structure
        return other

    def run(
        self,
        x: Any,
        weights: Mapping[str, Tensor] | None = None,
        chance: int | None = None,
        fixed: bool = False,
    ) -> Tensor:
        """The selected output at ``x``, under whatever transform is active.

        ``weights`` replace some of the network's; ``chance`` reseeds the random states for this run
        alone. ``fixed``: No gradient enters by ``x`` where weights have one, which is right where
        nothing runs modules again.
        """
        return self.read(x, weights, chance, fixed)[0]

    def read(
        self,
        x: Any,
        weights: Mapping[str, Tensor] | None = None,
        chance: int | None = None,
        fixed: bool = False,
    ) -> tuple[Tensor, Any]:
        """As ``run``, with what the reader says of the output's form; None without a reader."""
        tick()
        tried, plain = self.structure, transforms() == 0
        if plain and not torch.is_grad_enabled() and not tried.writes_to_input:
            try:
                with InputGuard(leaves_of(x)):
                    out = self._run(x, weights, chance)
                tried.writes_to_input = False
                return out
            except WritesToInput:
                tried.writes_to_input = True
        if plain and torch.is_grad_enabled() and _any_requires_grad(weights) and not fixed:
            x = mapped(x, _requiring)
        if tried.writes_to_input is not False:
            x = mapped(x, torch.clone)
        return self._run(x, weights, chance)

    def _run(
        self, x: Any, weights: Mapping[str, Tensor] | None, chance: int | None
    ) -> tuple[Tensor, Any]:
        out = self.run_in(lambda: self.caller(x), weights, chance)
        if self.reader is None:
            return self.selected(out), None
        return self.reader(self, out, count_of(leaves_of(x)))

    def with_reader(self, reader: Reader | None) -> FunctionalModel:
        """The same network with its output read in another way; shares the rest."""
        other = copy.copy(self)
        other.reader = reader
        return other

    def run_in(
        self,
        act: Callable[[], Any],
        weights: Mapping[str, Tensor] | None = None,
        chance: int | None = None,
    ) -> Any:
        """What ``act`` returns, run while the model is still and holds the network's weights."""
        # Buffers are cloned at every run, so that a module that writes to one writes to a copy.
        by_batch = bool(self.batch_statistics)
        calm = still(self.model, self.device, by_batch, chance)
        with self.structure, calm as composites, self._mode(), zeros_uncompiled():
            swapped = {k: v.clone() if k in self._buffers else v for k, v in self.weights.items()}
            swapped.update(weights or {})
            holder = Caller(self.model, lambda model, _: act())
            out = torch.func.functional_call(holder, swapped, (None,))
            self.structure.autocasts |= composites.lifted
            return out

    def _mode(self) -> AbstractContextManager[Any]:
        """What changes derivatives."""
        return Detached(self.numbers) if self.derivative == DETACHED else nullcontext()

    @contextmanager
    def held(self, numbers: Numbers) -> Iterator[Numbers]:
        """Within it the numbers that runs hold are kept, or taken."""
        before, self.numbers = self.numbers, numbers
        try:
            yield numbers
        finally:
            self.numbers = before

    def check_exact(self, what: str) -> None:
        """Refuse a view with another derivative than the network's own."""
        if self.derivative != EXACT:
            got = f"a View with derivative={self.derivative!r}"
            raise wrong("model", f"be read by its exact derivative for {what}", got, "leave it out")

    def stages(self, x: Any, rows: int = 1) -> Stages:
        """All stages at ``x``; checks ``x``, and that the model is deterministic there.

        Of more ``rows`` than one the shapes keep the batch axis.
        """
        return found_stages(self, self.example(x, batch=rows > 1))

    def activations(
        self,
        x: Any,
        to: Sequence[str],
        start: str | None = None,
        state: Tensor | None = None,
        weights: Mapping[str, Tensor] | None = None,
    ) -> tuple[Tensor, ...]:
        """The states at the stages ``to``, in the order asked, from one run.

        With ``start``, that stage's state is replaced by ``state``. The run is cut short once all
        are reached.
        """
        changed = {} if start is None or state is None else {start: lambda _: state}
        return reached(self, x, to, changed, weights)

    def nudged(self, x: Any, to: str, nudges: Mapping[str, Tensor]) -> tuple[Tensor, int]:
        """The state at ``to`` where flat vectors are added to the states of some stages.

        With the number of entries of the largest state on the way. The run is cut short at ``to``.
        """
        largest = 1

        def added(nudge: Tensor) -> Callable[[Tensor], Tensor]:
            return lambda value: value + nudge.reshape(value.shape).to(value.dtype)

        def seen(value: Tensor) -> None:
            nonlocal largest
            largest = max(largest, value.numel())

        changed = {name: added(nudge) for name, nudge in nudges.items()}
        return reached(self, x, (to,), changed, seen=seen)[0], largest

    def ends(
        self, places: Stages, to: str | Sequence[str], argument: str = "to"
    ) -> tuple[StageInfo, ...]:
        """The stages ``to`` in order of execution, each in the shape in which it is read.

        Raises:
            UsageError: Unknown names, or one of them has no such positions.
        """
        return tuple(info_at(stage, self.positions) for stage in places.ordered(to, argument))

    def read_at(self, states: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """States at the view's positions."""
        return tuple(state_at(state, self.positions) for state in states)

    def selected(self, out: Any) -> Tensor:
        """The tensor of an output that the view selects, by default the first floating one."""
        picked = first_tensor(out) if self.select is None else self.select(out)
        if self.select is not None and (picked is None or first_tensor(picked) is not picked):
            got = picked.dtype if isinstance(picked, Tensor) else type(picked).__name__
            raise wrong_type(
                "select",
                "return a floating tensor",
                got,
                "return one tensor of the output, as output[0]",
            )
        if not isinstance(picked, Tensor):
            raise wrong_type(
                "the model's output",
                "hold a floating tensor",
                out.dtype if isinstance(out, Tensor) else type(out).__name__,
                "pass nakami.View(model, select=lambda out: ...), which picks one",
            )
        return picked

    def _cast(self, value: Tensor, copy: bool = False) -> Tensor:
        if value.is_floating_point() and self.dtype is not None:
            return value.to(self.device, self.dtype, copy=copy)
        if value.is_complex() and self.dtype is not None:
            return value.to(self.device, self.dtype.to_complex(), copy=copy)
        return value.to(self.device, copy=copy)

    @property
    def recast(self) -> torch.dtype | None:
        """What the weights were cast to, if they were."""
        own = (p for p in self.model.parameters() if is_number(p))
        return self.dtype if any(p.dtype.to_real() != self.dtype for p in own) else None

    def _check_weights(self) -> None:
        for name, value in self.weights.items():
            filled = value if value.layout == torch.strided else _entries(value)
            if name in self._buffers:  # which may hold a mask
                filled = filled[filled != -torch.inf]
            if is_number(filled) and not torch.isfinite(filled).all():
                raise UsageError(
                    f"weight {name.removeprefix('model.')!r} holds NaN or infinite values; load a "
                    "sound checkpoint."
                )

    @contextmanager
    def explained(self, example: Example) -> Iterator[None]:
        """Within it, what goes wrong at ``example`` is said in one sentence."""
        try:
            yield
        except UsageError:
            raise
        except Exception as error:
            raise failure(self, error, example) from error


def _entries(sparse: Tensor) -> Tensor:
    """The stored values of a sparse tensor."""
    values: Tensor = sparse.coalesce().values() if sparse.is_sparse else sparse.values()
    return values


def _any_requires_grad(weights: Mapping[str, Tensor] | None) -> bool:
    return weights is not None and any(weight.requires_grad for weight in weights.values())


def _requiring(leaf: Tensor) -> Tensor:
    """With a gradient: functions that run modules again drop their weights' where none enters."""
    return leaf.detach().requires_grad_() if leaf.is_floating_point() else leaf
