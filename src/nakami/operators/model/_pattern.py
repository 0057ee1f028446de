"""The activation pattern of a network: on which side of its kinks each unit is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from ...results import wrong
from ._tracer import ACTIVATIONS, FUNCTIONS

JUMP = 1e-3  # change of a slope that is no rounding


@dataclass(frozen=True)
class _Sloped:
    """A function of each number by itself: its tangent at every entry."""

    slope: Tensor
    offset: Tensor  # the tangent is slope x + offset

    def differs(self, other: _Sloped) -> Tensor:
        return (self.slope.double() - other.slope.double()).abs() > JUMP

    def applied(self, out: Tensor, flipped: Tensor, x: Tensor, *_: Any) -> Tensor:
        return torch.where(flipped, self.slope.to(x.dtype) * x + self.offset.to(x.dtype), out)


@dataclass(frozen=True)
class _Pooled:
    """A maximum over windows: the flat place of each."""

    places: Tensor
    axes: int

    def differs(self, other: _Pooled) -> Tensor:
        return self.places != other.places

    def applied(self, out: Tensor, flipped: Tensor, x: Tensor, *_: Any) -> Tensor:
        flat = x.flatten(-self.axes).gather(-1, self.places.flatten(-self.axes))
        return torch.where(flipped, flat.reshape(out.shape), out)


@dataclass(frozen=True)
class _Chosen:
    """A choice between two values by a condition."""

    condition: Tensor

    def differs(self, other: _Chosen) -> Tensor:
        return self.condition != other.condition

    def applied(self, out: Tensor, flipped: Tensor, condition: Tensor, *ways: Any) -> Tensor:
        here, elsewhere = ways
        return torch.where(self.condition, here, elsewhere)


_Call = _Sloped | _Pooled | _Chosen


class ActivationPattern(TorchFunctionMode):
    """Notes, while a network runs within it, on which side of its kinks each unit is.

    Units are the entries of what comes out of a function of each number by itself (ReLU and its
    kind, ``clamp``, ``abs``), of max pooling, and of ``torch.where``. A unit of the first kind is
    on another side in another run where the slope of its function there differs by more than 0.001;
    of the second where another entry of its window is the largest; of the third where the condition
    is another. Other choices, such as ``torch.max`` over an axis, are not noted.

    Attributes:
        units: Number of units.
    """

    def __init__(self) -> None:
        super().__init__()
        self._calls: list[_Call] = []

    @property
    def units(self) -> int:
        """Number of units."""
        return sum(_noted(call).numel() for call in self._calls)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if _is_pointwise(func, args):
            self._calls.append(_tangent(func, args, kwargs))
        elif func in _POOLS:
            self._calls.append(_Pooled(_pooled(func, args, kwargs)[1].detach(), _POOLS[func]))
        elif func in _CHOICES and len(args) == 3:
            self._calls.append(_Chosen(_condition(func, args)[0].detach().clone()))
        return func(*args, **kwargs)

    def differing(self, other: ActivationPattern) -> list[Tensor]:
        """Which units of each function are on another side in another run.

        Raises:
            UsageError: The two runs passed other functions.
        """
        shapes = [[(type(c), _noted(c).shape) for c in p._calls] for p in (self, other)]
        if shapes[0] != shapes[1]:
            got = "others, which depend on the values"
            way_out = "leave this comparison out"
            raise wrong("model", "pass the same functions in float32 and float64", got, way_out)
        pairs = zip(self._calls, other._calls, strict=True)
        return [mine.differs(theirs) for mine, theirs in pairs]  # type: ignore[arg-type]

    def held(self, flipped: Sequence[Tensor]) -> HeldPattern:
        """What puts units that are ``flipped`` in another run on their sides in this pattern."""
        return HeldPattern(self._calls, flipped)


class HeldPattern(TorchFunctionMode):
    """Within it, some units of a network are on the sides of a pattern. For one run.

    Made by ``ActivationPattern.held``.
    """

    def __init__(self, calls: Sequence[_Call], flipped: Sequence[Tensor]):
        super().__init__()
        self._todo = iter(zip(calls, flipped, strict=True))

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        chosen = func in _CHOICES and len(args) == 3
        if not (chosen or func in _POOLS or _is_pointwise(func, args)):
            return func(*args, **kwargs)
        call, flipped = next(self._todo)
        if not flipped.any():
            return func(*args, **kwargs)
        if chosen:
            return call.applied(flipped, flipped, *_condition(func, args))
        x = args[0]
        if func in _POOLS:
            value = call.applied(_pooled(func, args, kwargs)[0], flipped, x)
            return (value, _noted(call)) if _gives_places(func, kwargs) else value
        value = call.applied(func(x.clone(), *args[1:], **kwargs), flipped, x)
        return x.copy_(value) if _writes(func, kwargs) else value


def _noted(call: _Call) -> Tensor:
    if isinstance(call, _Sloped):
        return call.slope
    return call.places if isinstance(call, _Pooled) else call.condition


_MORE = ("abs", "absolute", "clamp", "clamp_min", "clamp_max", "clip")
_POINTWISE = {func for func, kind in FUNCTIONS.items() if kind in ACTIVATIONS} | {
    getattr(home, spelt)
    for home in (torch, Tensor)
    for name in _MORE
    for spelt in (name, f"{name}_", f"__{name}__")
    if hasattr(home, spelt)
}
_POOLS = {
    getattr(home, name): axes
    for axes in (1, 2, 3)
    for home, names in (
        (functional, "max_pool{}d max_pool{}d_with_indices adaptive_max_pool{}d"),
        (torch, "max_pool{}d max_pool{}d_with_indices"),
    )
    for name in names.replace("{}", str(axes)).split()
    if hasattr(home, name)
}
_CHOICES = {torch.where, Tensor.where}


def _is_pointwise(func: Any, args: Any) -> bool:
    if func not in _POINTWISE or not args or not isinstance(args[0], Tensor):
        return False
    return bool(args[0].is_floating_point())


def _tangent(func: Any, args: Any, kwargs: Any) -> _Sloped:
    with torch.enable_grad():
        x = args[0].detach().clone().requires_grad_()
        out = func(x.clone(), *args[1:], **kwargs)
        (slope,) = torch.autograd.grad(out.sum(), x)
    return _Sloped(slope, (out - slope * x).detach())


def _pooled(func: Any, args: Any, kwargs: Any) -> tuple[Tensor, Tensor]:
    """Maxima with their places."""
    pool = getattr(functional, func.__name__.removesuffix("_with_indices"))
    made: tuple[Tensor, Tensor] = pool(*args, **{**kwargs, "return_indices": True})
    return made


def _gives_places(func: Any, kwargs: Any) -> bool:
    return func.__name__.endswith("_with_indices") or bool(kwargs.get("return_indices"))


def _condition(func: Any, args: Any) -> tuple[Any, Any, Any]:
    """Condition, value where it holds, value elsewhere."""
    if func is Tensor.where and args[0].dtype != torch.bool:
        return args[1], args[0], args[2]
    return args[0], args[1], args[2]


def _writes(func: Any, kwargs: Any) -> bool:
    name: str = func.__name__
    return bool(kwargs.get("inplace")) or (name.endswith("_") and not name.endswith("__"))
