"""The linearised product: the steps that a direction takes through a network, recorded once.

The network runs once on dual numbers. What the direction has no part in is computed there and then,
the network's own branches and in-place steps with it; what it passes through is kept as a list of
steps with their constants, and run again for each product. ``torch.func.linearize`` keeps the same
steps by tracing twice, which took 4 to 10 times as long (AlexNet 190 ms in place of 37), and adds a
tensor of zeros for each convolution (a tenth of a product with SqueezeNet).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from weakref import ref

import torch
from torch import Tensor
from torch.autograd import forward_ad

from ..model._put_back import leaves, memory, written
from ..model._uncompiled import DispatchMode
from ._overrides import PointwiseConvolutions
from ._recurrence import Recurrences

Product = Callable[[Tensor], Tensor]
aten = torch.ops.aten
LIKE = {aten.expand.default, aten.view.default, aten._to_copy.default, aten.clone.default}


def linearised(function: Product, point: Tensor) -> Linearised:
    """``v -> J v`` of ``function`` at ``point``, both flat; safe under ``torch.vmap``."""
    direction = torch.zeros_like(point)
    with forward_ad.dual_level(), _Recorder(direction) as recorder:
        with PointwiseConvolutions(), Recurrences(0):
            output = function(forward_ad.make_dual(point, direction))
        image = forward_ad.unpack_dual(output).tangent
        if image is None:  # J = 0
            image = torch.zeros_like(output)
        steps, result = recorder.finished(recorder.taken(image))
    return Linearised(steps, result, len(recorder.pieces), 0 in recorder.touched)


class Linearised:
    """``v -> J v`` by recorded steps.

    Args:
        steps: In order. result: A slot, or a constant. count: How many slots there are.
        copied: Whether a step writes to the direction.
    """

    def __init__(self, steps: list[_Step], result: Any, count: int, copied: bool):
        self._fixed: list[Any] = [(s.call, *s.spots(), s.kwargs, s.out, s.last) for s in steps]
        self._result, self._count, self._copied = result, count, copied

    @property
    def states(self) -> list[Tensor]:
        """What the steps hold of the network."""
        held = leaves([(args, kwargs) for _, args, _, kwargs, _, _ in self._fixed])
        return [value for value in held if isinstance(value, Tensor)]

    def __call__(self, v: Tensor) -> Tensor:
        """``J v``."""
        held: list[Any] = [None] * self._count
        v = v.contiguous()  # as it was recorded
        held[0] = v.clone() if self._copied else v
        for call, args, spots, kwargs, out, last in self._fixed:
            given = args.copy()
            for at, slot in spots:
                given[at] = held[slot] if type(slot) is int else _filled(slot, held)
            made = call(*given, **_filled(kwargs, held)) if kwargs else call(*given)
            if type(out) is int:
                held[out] = made
            else:
                for place, value in zip(out, made, strict=True):
                    held[place] = value
            for place in last:
                held[place] = None
        found: Tensor = _filled(self._result, held)
        return found.clone() if found is self._result else found  # a constant stays as it is


@dataclass(frozen=True)
class _Slot:
    """A place in the list of what a product holds; 0 is the direction itself."""

    index: int


@dataclass
class _Constant:
    """A tensor that the direction has no part in, as it was when it was used."""

    value: Tensor


@dataclass
class _Step:
    call: Any
    args: Any
    kwargs: Any
    out: int | list[int]
    writes: bool = False
    repeats: int | None = None  # a slot whose value it repeats
    last: list[int] = field(default_factory=list)  # slots that nothing needs afterwards

    def spots(self) -> tuple[list[Any], list[tuple[int, Any]]]:
        """The arguments, and the places to be filled: by a slot, or with slots inside."""
        args = list(self.args)
        moving = [(at, a) for at, a in enumerate(args) if any(type(s) is _Slot for s in leaves(a))]
        return args, [(at, a.index if type(a) is _Slot else a) for at, a in moving]

    def inputs(self) -> set[int]:
        return {s.index for s in leaves((self.args, self.kwargs)) if isinstance(s, _Slot)}

    def outputs(self) -> list[int]:
        return [self.out] if isinstance(self.out, int) else self.out


class _Recorder(DispatchMode):
    """Notes every operation that takes part of a direction, with the constants beside it."""

    def __init__(self, direction: Tensor):
        super().__init__()
        self.steps: list[_Step] = []
        self.slots: dict[int, _Slot] = {}  # by the identity of tensors that are alive
        self.alive: dict[int, Any] = {}  # weak, to take their slots away in time
        self.pieces: list[int] = []  # by slot: which slots lie in the same memory
        self._place(direction, None)
        self.constants: dict[int, list[_Constant]] = {}  # by the memory they lie in
        self.opened: dict[int, tuple[_Slot, Tensor]] = {}  # constant memory written to by a step
        self.touched: set[int] = set()  # pieces written to by a step

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        changed = list(written(func, args, kwargs)) if func._schema.is_mutable else []
        tensors = [value for value in leaves((args, kwargs)) if isinstance(value, Tensor)]
        if not any(map(self._moves, tensors)):
            for value in changed:
                self._set_aside(value)
            return func(*args, **kwargs)
        if torch.Tag.data_dependent_output in func.tags:
            raise NotImplementedError(f"{func} reads numbers off a direction")
        if not changed and not _makes_tensors(func):  # it asks about a shape
            return func(*args, **kwargs)
        for value in changed:
            if not self._moves(value):
                self._open(value)
        step = _Step(func, self.taken(args), self.taken(kwargs), [], bool(changed))
        moving = [value for value in tensors if self._moves(value)]
        self.touched |= {self._piece(v) for v in changed}
        out = _zeros(func, args)
        out = func(*args, **kwargs) if out is None else out
        values = [out] if isinstance(out, Tensor) else out
        if not isinstance(values, (list, tuple)) or not all(isinstance(v, Tensor) for v in values):
            return out  # what it asks about is the shape
        near = {memory(value): self._piece(value) for value in moving}
        places = [self._place(value, near.get(memory(value))) for value in values]
        step.out = places[0] if isinstance(out, Tensor) else places
        step.repeats = self._repeated(func, args, out)
        self.steps.append(step)
        return out

    def taken(self, value: Any) -> Any:
        """The same with slots and constants in place of tensors."""
        if isinstance(value, Tensor):
            if not self._moves(value):
                constant = _Constant(value.detach())
                self.constants.setdefault(memory(value), []).append(constant)
                return constant
            if id(value) not in self.slots:  # a view of memory that was constant when it was made
                whole, _ = self.opened[memory(value)]
                where = (value.shape, value.stride(), value.storage_offset())
                place = self._place(value, self.pieces[whole.index])
                self.steps.append(_Step(torch.as_strided, [whole, *where], {}, place))
            return self.slots[id(value)]
        if isinstance(value, dict):
            return {name: self.taken(item) for name, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.taken(item) for item in value]
        return value

    def finished(self, result: Any) -> tuple[list[_Step], Any]:
        """The steps that ``result`` needs, and ``result``, with their constants in place."""
        again = self._repeats()
        kept: list[_Step] = []
        result = _settled(result, again)
        needed = {result.index} if isinstance(result, _Slot) else set()
        for step in reversed(self.steps):
            if step.repeats is not None and step.outputs()[0] in again:
                continue
            if not step.writes and needed.isdisjoint(step.outputs()):
                continue
            step.args, step.kwargs = _settled(step.args, again), _settled(step.kwargs, again)
            if isinstance(step.out, int) and step.out in again:
                step.out = again[step.out].index  # written to in place
            seen = step.inputs() | set(step.outputs())
            step.last = [place for place in seen if place not in needed]
            needed |= seen
            kept.append(step)
        return kept[::-1], result

    def _moves(self, value: Tensor) -> bool:
        return id(value) in self.slots or bool(self.opened and memory(value) in self.opened)

    def _place(self, value: Tensor | None, piece: int | None) -> int:
        """The slot of a tensor, a new one as a rule, in a known piece of memory or a new one."""
        key = id(value)
        if value is not None and key in self.slots:
            return self.slots[key].index
        place = len(self.pieces)
        self.pieces.append(place if piece is None else piece)
        if value is not None:
            self.slots[key] = _Slot(place)
            self.alive[key] = ref(value, lambda _: self._forget(key))
        return place

    def _forget(self, key: int) -> None:
        del self.slots[key], self.alive[key]

    def _piece(self, value: Tensor) -> int:
        return self.pieces[self.taken(value).index]

    def _set_aside(self, value: Tensor) -> None:
        """Constants in this memory, which the network is about to write to, become copies."""
        for constant in self.constants.pop(memory(value), ()):
            constant.value = constant.value.clone()

    def _open(self, value: Tensor) -> None:
        """Constant memory that a step writes to: each product begins with what it holds now."""
        self._set_aside(value)
        size = value.untyped_storage().nbytes() // value.itemsize
        whole = value.detach().as_strided((size,), (1,), 0)
        slot = _Slot(self._place(None, None))
        constants = [_Slot(0), _Constant(whole.clone())]
        self.steps.append(_Step(_copied, constants, {}, slot.index))
        self.opened[memory(value)] = (slot, whole)

    def _repeated(self, func: Any, args: Any, out: Any) -> int | None:
        """The slot to which this adds zeros alone, or of which it is a copy or a like view."""
        if func in LIKE and id(args[0]) in self.slots and _alike(args[0], out):
            return self.slots[id(args[0])].index
        if func is not torch.ops.aten.add.Tensor or len(args) != 2:
            return None
        for value, other in (args, args[::-1]):
            if not isinstance(other, Tensor) or self._moves(other):
                continue
            if (value.shape, value.dtype) == (out.shape, out.dtype) and not other.any():
                return self.slots[id(value)].index
        return None

    def _repeats(self) -> dict[int, _Slot]:
        """Slots that may be replaced by the one that they repeat.

        That is where no step writes to either, or nothing else knows the one repeated.
        """
        uses = Counter(place for step in self.steps for place in step.inputs())
        sharing = Counter(self.pieces)
        again: dict[int, _Slot] = {}
        for step in self.steps:
            if step.repeats is None:
                continue
            before, after = self.pieces[step.repeats], self.pieces[step.outputs()[0]]
            alone = uses[step.repeats] == sharing[before] == 1 and step.repeats not in again
            if alone or self.touched.isdisjoint((before, after)):
                again[step.outputs()[0]] = again.get(step.repeats, _Slot(step.repeats))
        return again


@cache
def _makes_tensors(func: Any) -> bool:
    return any("Tensor" in str(made.type) for made in func._schema.returns)


def _zeros(func: Any, args: Any) -> Tensor | None:
    """What a large product makes of a direction of zeros, without the product; None of others."""
    if func is aten.mm.default or func is aten.bmm.default:
        return args[0].new_zeros(*args[0].shape[:-1], args[1].shape[-1])
    if func is aten.addmm.default and not args[0].any():
        return args[0].new_zeros(len(args[1]), args[2].shape[1])
    if func is not aten.convolution.default or len(args) < 9 or args[6]:  # transposed
        return None
    x, kernels, _, *steps = args[:6]
    if not (x.is_contiguous() and kernels.is_contiguous()):
        return None  # the result may lie in another order
    axes = list(zip(x.shape[2:], kernels.shape[2:], *steps, strict=False))
    if len(axes) != x.ndim - 2:
        return None
    sizes = [(size + 2 * pad - gap * (k - 1) - 1) // s + 1 for size, k, s, pad, gap in axes]
    return x.new_zeros(len(x), len(kernels), *sizes)


def _alike(value: Tensor, other: Tensor) -> bool:
    """Whether both hold the same numbers in the same order, as far as shapes and types tell."""
    kinds = [(t.shape, t.stride(), t.dtype, t.device, t.layout) for t in (value, other)]
    return kinds[0] == kinds[1]


def _copied(direction: Tensor, constant: Tensor) -> Tensor:
    """A copy that has the batch axis of the direction, if that has one."""
    return direction.new_zeros(constant.shape, dtype=constant.dtype).copy_(constant)


def _settled(value: Any, again: dict[int, _Slot]) -> Any:
    """The same with the values of constants, and slots for those that repeat them."""
    if isinstance(value, _Constant):
        return value.value
    if isinstance(value, _Slot):
        return again.get(value.index, value)
    if isinstance(value, dict):
        return {name: _settled(item, again) for name, item in value.items()}
    return [_settled(item, again) for item in value] if isinstance(value, list) else value


def _filled(value: Any, held: list[Any]) -> Any:
    """The same with what is held in place of slots."""
    if type(value) is _Slot:
        return held[value.index]
    if type(value) is list:
        return [_filled(item, held) for item in value]
    if type(value) is dict:
        return {name: _filled(item, held) for name, item in value.items()}
    return value
