"""Watching a network run: which places it passes, in order, and how to stop or step in there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

OnStage = Callable[[str, str, Tensor, nn.Module | None], Tensor]

_POINTWISE = (
    "celu elu gelu hardshrink hardsigmoid hardswish hardtanh leaky_relu logsigmoid mish prelu "
    "relu relu6 rrelu selu sigmoid silu softplus softshrink softsign tanh tanhshrink "
    "threshold "
)
_OTHER = (
    "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d "
    "adaptive_max_pool2d adaptive_max_pool3d avg_pool1d avg_pool2d avg_pool3d batch_norm "
    "conv1d conv2d conv3d group_norm instance_norm interpolate layer_norm linear "
    "local_response_norm log_softmax max_pool1d max_pool2d max_pool3d normalize rms_norm "
    "scaled_dot_product_attention softmax "
)


def _functions() -> dict[Any, str]:
    """Functions that count as stages when a module calls them directly, with their kinds."""
    table: dict[Any, str] = {}
    for name in f"{_POINTWISE}{_OTHER}".split():
        for home, spelt in (
            (functional, name),
            (functional, name + "_"),
            (torch, name),
            (torch, name + "_"),
            (Tensor, name),
            (Tensor, name + "_"),
        ):
            if hasattr(home, spelt):
                table[getattr(home, spelt)] = name
    return table


FUNCTIONS = _functions()
JOINS = frozenset(
    getattr(home, name)
    for home in (torch, Tensor)
    for name in ("add", "add_", "__add__", "__iadd__", "__radd__", "cat", "concat", "concatenate")
    if hasattr(home, name)
)
ACTIVATIONS = frozenset(_POINTWISE.split())


class Tracer(AbstractContextManager["Tracer"]):
    """Calls ``on_stage(name, kind, value, module)`` at every place the network passes.

    Places are the outputs of modules (leaves and containers, the root excepted) and of the
    functions in ``FUNCTIONS`` called outside leaf modules. The first call of a place has its plain
    name, later ones ``name:2``, ``name:3``. A function is named after the place whose value it is
    applied to (``conv1.relu``), else after the module that calls it. What ``on_stage`` returns
    takes the place of the value.

    ``joining`` names the modules that add or concatenate states in their own ``forward``.

    On leaving, the hooks are gone; modules are otherwise untouched.
    """

    def __init__(self, model: nn.Module, on_stage: OnStage):
        self.model, self.on_stage = model, on_stage
        self.calls: Counter[str] = Counter()
        self.path: list[tuple[str, bool]] = []  # enclosing modules: name, is it a leaf
        self.last: tuple[str, Any] = ("", None)  # the place passed last and its value
        self.joining: set[str] = set()
        self.handles: list[Any] = []
        self.mode = _FunctionMode(self)
        self.transforms = transforms()

    def __enter__(self) -> Tracer:
        for name, module in self.model.named_modules():
            if module is self.model:
                continue
            leaf = next(module.children(), None) is None
            kind = type(module).__name__.lower()
            self.handles += [
                module.register_forward_pre_hook(self._entering(name, leaf)),
                module.register_forward_hook(self._leaving(name, kind)),
            ]
        self.mode.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.mode.__exit__(*error)
        for handle in self.handles:
            handle.remove()

    def passed(self, base: str, kind: str, value: Any, module: nn.Module | None) -> Any:
        """Report one place; values that are no floating tensors are passed over.

        So are those inside a ``torch.vmap`` or ``torch.func.grad`` of the network's own, which mean
        nothing outside it.
        """
        tensor = first_tensor(value)
        if tensor is None or transforms() != self.transforms:
            return value
        self.calls[base] += 1
        name = base if self.calls[base] == 1 else f"{base}:{self.calls[base]}"
        new = replace_first(value, self.on_stage(name, kind, tensor, module))
        self.last = (name, new)
        return new

    def _entering(self, name: str, leaf: bool) -> Callable[..., None]:
        def hook(module: nn.Module, args: Any) -> None:
            self.path.append((name, leaf))

        return hook

    def _leaving(self, name: str, kind: str) -> Callable[..., Any]:
        def hook(module: nn.Module, args: Any, output: Any) -> Any:
            self.path.pop()
            if any(leaf for _, leaf in self.path):
                return None
            return self.passed(name, kind, output, module)

        return hook


class _FunctionMode(TorchFunctionMode):
    def __init__(self, tap: Tracer):
        super().__init__()
        self.tap = tap

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        tap = self.tap
        if func in JOINS and tap.path and _several(args):
            tap.joining.add(tap.path[-1][0])
        kind = FUNCTIONS.get(func)
        if kind is None or any(leaf for _, leaf in tap.path):
            return out
        before, value = tap.last
        parent = tap.path[-1][0] if tap.path else ""
        if args and args[0] is value:
            parent = before
        return tap.passed(f"{parent}.{kind}" if parent else kind, kind, out, None)


def _several(args: Any) -> bool:
    """Whether a function got two floating tensors, in a list or not."""
    operands = args[0] if isinstance(args[0], (tuple, list)) else args[:2]
    return sum(isinstance(a, Tensor) and a.is_floating_point() for a in operands) > 1


def transforms() -> int:
    """How many function transforms are active."""
    return torch._C._functorch.maybe_current_level() or 0


def first_tensor(value: Any) -> Tensor | None:
    """The first floating tensor of a module's output, or None; of a mapping its loss comes last."""
    if isinstance(value, Tensor):
        return value if value.is_floating_point() else None
    if isinstance(value, (tuple, list)):
        return next((t for item in value if (t := first_tensor(item)) is not None), None)
    if isinstance(value, dict):
        return first_tensor(tuple(value[key] for key in _loss_last(value)))
    return None


def _loss_last(value: dict[Any, Any]) -> list[Any]:
    """Keys in their order, but for the loss of a model that was given its labels."""
    return sorted(value, key=lambda key: key == "loss")


def replace_first(value: Any, new: Tensor) -> Any:
    """``value`` with its first floating tensor replaced; the same object if nothing changes."""
    if first_tensor(value) is new:
        return value
    if isinstance(value, Tensor):
        return new
    if isinstance(value, dict):
        keys = _loss_last(value)
        items = replace_first(tuple(value[key] for key in keys), new)
        made = dict(zip(keys, items, strict=True))
        return type(value)((key, made[key]) for key in value)
    for i, item in enumerate(value):
        if first_tensor(item) is not None:
            items = [*value[:i], replace_first(item, new), *value[i + 1 :]]
            named = hasattr(value, "_fields")
            return type(value)(*items) if named else type(value)(items)
    return value
