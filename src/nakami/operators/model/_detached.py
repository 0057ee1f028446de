"""A network made linear at a point: what multiplies its states is held as numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from ._held_layers import RULES
from ._tracer import ACTIVATIONS, FUNCTIONS

EXACT, DETACHED = "exact", "detached"
Derivative = str
STEP = 1e-7  # around 0, for the slope of an activation there; nearer f(x) - f(0) would cancel


@dataclass
class Numbers:
    """The numbers that one run has held, in order, for another run to take.

    Attributes:
        values: What was held. taken: whether a run takes them, in place of making its own.
        also: Names of functions whose values are held too.
        met: Names of functions that states went through, but for those that are linear.
    """

    values: list[Tensor] = field(default_factory=list)
    taken: bool = False
    also: frozenset[str] = frozenset()
    met: set[str] = field(default_factory=set)


class Detached(TorchFunctionMode):
    """Within it values are as always, and derivatives are those of a network with held multipliers.

    Held as numbers are: the multiplier of an activation, ``m = (f(x) - f(0)) / x`` in ``f(0) + m
    x``; a gate, which is what comes from an activation and multiplies another state (SwiGLU: the
    SiLU of the gate, whole); the weights of an attention (a softmax, whole); the denominators of
    normalisations, norms, roots, and whatever else a state is divided by. Mean values stay linear.

    So a network of these is an affine function of its state, which is itself at the point:
    ``J x + b``. A state is what a derivative goes through; all else is computed as always.

    Source: Golden, Equivalent linear mappings of large language models, 2025 (arXiv 2505.24293).
    """

    def __init__(self, numbers: Numbers | None = None):
        super().__init__()
        self._numbers, self._next = numbers, 0
        self._gates: Any = WeakTensorKeyDictionary()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """The function, or the one with held multipliers where a state goes through it."""
        kwargs = kwargs or {}
        moving = [v for v in (*args, *kwargs.values()) if _moves(v)]
        if not moving:
            moving = [v for a in args if isinstance(a, (list, tuple)) for v in a if _moves(v)]
            return self._linear(func, args, kwargs, moving) if moving else func(*args, **kwargs)
        name = getattr(func, "__name__", str(func)).strip("_")
        if self._numbers is not None and name in self._numbers.also:
            out = func(*args, **kwargs)
            return out.detach() if isinstance(out, Tensor) else type(out)(map(_let_go, out))
        if func in _OPENED:
            with self:
                return _OPENED[func](*args, **kwargs)
        if func in _ACTIVATIONS:
            return self._activation(func, *args, **kwargs)
        if func in RULES:
            return RULES[func](self.hold, func, *args, **kwargs)
        if name in _PRODUCTS and len(moving) > 1:
            return self._product(func, *args, **kwargs)
        if name in _QUOTIENTS and _moves(args[-1] if name[0] != "r" else args[0]):
            at = -1 if name[0] != "r" else 0
            held = list(args)
            held[at] = self.hold(lambda: args[at])
            return func(*held, **kwargs)
        if name in _POWERS and _is_denominator(args[-1]):
            return self.hold(lambda: func(*args, **kwargs))
        return self._linear(func, args, kwargs, moving)

    def hold(self, make: Callable[[], Tensor]) -> Tensor:
        """The numbers that ``make`` gives, or that were held at this place before."""
        numbers = self._numbers
        if numbers is not None and numbers.taken:
            self._next += 1
            return numbers.values[self._next - 1]
        value = make().detach()
        if numbers is not None:
            numbers.values.append(value)
        return value

    def _linear(self, func: Any, args: Any, kwargs: Any, moving: list[Tensor]) -> Any:
        """A function as it is; the name of one that is not known to be linear is noted."""
        name = getattr(func, "__name__", str(func)).strip("_")
        out = func(*args, **kwargs)
        moved = [value for value in _several(out) if _moves(value)]
        if not moved:
            return out
        if len(moving) == 1 and moving[0] in self._gates and name in _KEEPING:
            self._gates.update(dict.fromkeys(moved, self._gates[moving[0]]))
        known = name in _SUMS or (name in _LINEAR and len(moving) == 1)
        if self._numbers is not None and not known:
            self._numbers.met.add(name)
        return out

    def _activation(self, func: Any, input: Tensor, *args: Any, **kwargs: Any) -> Tensor:  # noqa: A002
        x, name = input.detach(), FUNCTIONS[func]
        inplace = kwargs.pop("inplace", False) or func.__name__.endswith("_")
        plain = getattr(functional, name, None) or getattr(torch, name)
        args = tuple(map(_doubled, args))
        kwargs = {key: _doubled(value) for key, value in kwargs.items()}
        apart = x.new_zeros(x.shape if name == "prelu" else (), dtype=torch.float64)
        start = torch.zeros_like(apart) if name in _FROM_ZERO else plain(apart, *args, **kwargs)

        def multiplier() -> Tensor:
            if name == "relu":
                return (x > 0).to(x)
            at = x.double()
            change = plain(at.clone(), *args, **kwargs) - start
            ends = [plain(apart + step, *args, **kwargs) for step in (STEP, -STEP)]
            slope = (ends[0] - ends[1]) / (2 * STEP)
            near = at.abs() <= (STEP if name in _SMOOTH else 0.0)
            return torch.where(near, slope, change / at).to(x)

        out = self.hold(multiplier) * input + start.to(x)
        out = input.copy_(out) if inplace else out
        self._gates[out] = 2 if name in _BOUNDED else 1
        return out

    def _product(self, func: Any, *args: Any, **kwargs: Any) -> Any:
        """Of two states: the one that is a gate is held."""
        a, b = args[:2]
        first, second = self._gates.get(a, 0), self._gates.get(b, 0)
        if not first and not second:
            return self._linear(func, args, kwargs, [a, b])
        gate, other = (a, b) if first > second else (b, a)
        out = other * self.hold(lambda: gate)
        return a.copy_(out) if _in_place(func) else out


def _moves(value: Any) -> bool:
    """Whether a derivative goes through it."""
    if not isinstance(value, Tensor) or not value.is_floating_point():
        return False
    if value.requires_grad:
        return True
    if forward_ad._current_level < 0:
        return False
    return forward_ad.unpack_dual(value).tangent is not None


def _several(out: Any) -> Any:
    """The values of a function, of one as of several."""
    return out if isinstance(out, (list, tuple)) else (out,)


def _let_go(value: Any) -> Any:
    return value.detach() if isinstance(value, Tensor) else value


def _doubled(value: Any) -> Any:
    """A tensor in float64, where ``f(x) - f(0)`` keeps its figures at the x of a float32."""
    return value.double() if isinstance(value, Tensor) else value


def _is_denominator(exponent: Any) -> bool:
    return isinstance(exponent, (int, float)) and exponent < 1


def _in_place(func: Any) -> bool:
    name: str = func.__name__
    return name.startswith("__i") or (name.endswith("_") and not name.endswith("__"))


def _opened(func: FunctionType) -> FunctionType:
    """A function of torch's that runs its own code under a mode, in place of asking it again."""
    guards = dict.fromkeys(
        ("has_torch_function", "has_torch_function_unary", "has_torch_function_variadic"),
        lambda *_: False,
    )
    code, names = func.__code__, {**func.__globals__, **guards}
    again = FunctionType(code, names, func.__name__, func.__defaults__, func.__closure__)
    again.__kwdefaults__ = func.__kwdefaults__
    return again


_OPENED: dict[Any, Any] = {
    func: _opened(func)  # type: ignore[arg-type]
    for func in (
        functional.multi_head_attention_forward,
        functional.local_response_norm,
        functional.normalize,
    )
}
_ACTIVATIONS = {func for func, name in FUNCTIONS.items() if name in ACTIVATIONS}
_ZEROS = (
    "celu elu gelu hardshrink hardswish hardtanh leaky_relu mish prelu relu relu6 rrelu selu silu "
    "softshrink softsign tanh tanhshrink"
)
_FROM_ZERO = frozenset(_ZEROS.split())  # activations with f(0) = 0
_SMOOTH = frozenset(("hardsigmoid", "logsigmoid", "sigmoid", "softplus"))  # others, without a jump
_PRODUCTS = frozenset(("mul", "multiply", "rmul", "imul"))
_QUOTIENTS = frozenset(("div", "divide", "true_divide", "truediv", "rtruediv", "itruediv", "rdiv"))
_POWERS = frozenset(("pow", "float_power"))
_OF_SEVERAL = (
    "add radd iadd sub rsub isub subtract cat concat concatenate stack where lerp hstack vstack"
)
_SUMS = frozenset(_OF_SEVERAL.split())
_OF_ONE = (
    "linear matmul rmatmul bmm mm einsum addmm baddbmm conv1d conv2d conv3d conv_transpose1d "
    "conv_transpose2d conv_transpose3d neg sum mean cumsum view view_as reshape reshape_as flatten "
    "unflatten transpose permute movedim moveaxis swapaxes t T mT squeeze unsqueeze expand "
    "expand_as repeat repeat_interleave chunk split tensor_split unbind select narrow index_select "
    "gather getitem slice roll flip tril triu pad to type type_as float double half contiguous "
    "clone masked_fill dropout unfold fold avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d "
    "adaptive_avg_pool2d diagonal get set batch_norm outer dot interpolate copy"
)
_BOUNDED = frozenset(("sigmoid", "hardsigmoid"))  # held first, of two gates
_ELEMENTWISE = (
    "neg view view_as reshape reshape_as flatten unflatten transpose permute movedim squeeze "
    "unsqueeze expand expand_as chunk split unbind select getitem to type_as float double half "
    "contiguous clone dropout repeat_interleave"
)
_KEEPING = _PRODUCTS | _QUOTIENTS | _SUMS | frozenset(_ELEMENTWISE.split())  # gates stay gates
_LINEAR = _PRODUCTS | _QUOTIENTS | frozenset(_OF_ONE.split())
