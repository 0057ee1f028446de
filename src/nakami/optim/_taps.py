"""Inputs and slopes of a model's weight matrices, caught while it runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.nn import functional
from torch.nn.utils.rnn import PackedSequence

from ..operators import OwnHook, ends_of, is_recurrent
from ..results import wrong
from ._unroll import Pair, pairs_of

Positions = Callable[[nn.Module, Tensor], Tensor]


class Matrix(NamedTuple):
    """A weight that acts as one matrix (outputs by numbers), and the bias that is added to it."""

    weight: nn.Parameter
    bias: nn.Parameter | None

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The weight, and the bias where there is one."""
        return [self.weight] if self.bias is None else [self.weight, self.bias]


class Call(NamedTuple):
    """One use of a module: its input and first state, and the places of its outputs in the graph.

    Places and not tensors, since what follows may write into these (``nn.ReLU(inplace=True)``).
    """

    module: nn.Module
    name: str
    x: Any
    start: Any
    outputs: list[GradientEdge]


class Taps:
    """The weight matrices of a model, and what they were used for.

    Linear layers, convolutions and recurrent layers. A weight that several modules hold, or that
    another module makes, is left out: what one layer does with it is then not all of its gradient.
    So are convolutions with groups and recurrent layers with dropout between them.

    Args:
        model: Hooks stay on its modules until ``remove``.

    Attributes:
        matrices: By name of the weight, in the model's order.
        on: Whether anything is caught.
    """

    def __init__(self, model: nn.Module):
        held = Counter(id(p) for m in model.modules() for p in m._parameters.values())
        self.matrices: dict[str, Matrix] = {}
        self._calls: list[Call] = []
        self.on = True
        self._hooks = [model.register_forward_pre_hook(OwnHook(lambda *_: self.clear()))]
        for name, module in model.named_modules():
            found = {
                f"{name}.{weight}" if name else weight: matrix
                for weight, matrix in _matrices(module).items()
                if matrix.weight.requires_grad and all(held[id(p)] == 1 for p in matrix.parameters)
            }
            self.matrices.update(found)
            if found:
                hook = OwnHook(self._caught(name))
                self._hooks.append(module.register_forward_hook(hook, with_kwargs=True))

    def _caught(self, name: str) -> Callable[[nn.Module, Any, Mapping[str, Any], Any], Any]:
        def hook(module: nn.Module, inputs: Any, named: Mapping[str, Any], output: Any) -> Any:
            if not self.on:
                return None
            if isinstance(module, nn.LSTMCell):  # h is made from c: a slope by c must not hold h's
                output = tuple(leaf.view_as(leaf) for leaf in output)
            x = inputs[0] if inputs else named["input"]
            start = inputs[1] if len(inputs) > 1 else named.get("hx")
            leaves = _flat(output)
            if any(leaf.requires_grad for leaf in leaves):
                places = [get_gradient_edge(leaf) for leaf in leaves]
                self._calls.append(Call(module, name, x, start, places))
            return output

        return hook

    def clear(self) -> None:
        """Let go of what was caught, and of its graph."""
        self._calls = []

    def remove(self) -> None:
        """Take the hooks off the model."""
        for hook in self._hooks:
            hook.remove()

    def layers(self) -> list[tuple[str, nn.Module, GradientEdge]]:
        """Uses of linear layers and convolutions: the weight's name, the layer, its output."""
        found = [(f"{c.name}.weight" if c.name else "weight", c) for c in self._calls]
        return [(name, c.module, c.outputs[0]) for name, c in found
                if name in self.matrices and type(c.module).forward in POSITIONS]  # fmt: skip

    def slopes(
        self, outputs: Tensor, cotangent: Tensor, rest: Sequence[Tensor | GradientEdge]
    ) -> tuple[dict[str, list[Pair]], list[Tensor | None]]:
        """Inputs and slopes of the matrices in the last run, and gradients by other parameters.

        Args:
            outputs: Of that run, with its graph, which stays.
            cotangent: Gradient by the outputs.
            rest: Other parameters, and other places in the graph.

        Returns:
            By name of a weight a pair for each use, with the bias's 1 among the inputs; and the
            gradients of ``rest``.

        Raises:
            UsageError: A recurrent layer ran on a packed sequence.
        """
        ends = [end for call in self._calls for end in call.outputs]
        if not ends and not rest:
            return {}, []
        places: list[Any] = [*ends, *rest]
        grads = torch.autograd.grad(
            outputs, places, cotangent, retain_graph=True, allow_unused=True
        )
        found, at = dict[str, list[Pair]](), 0
        for call in self._calls:
            own: list[Tensor | None] = list(grads[at : at + len(call.outputs)])
            at += len(call.outputs)
            if any(slope is not None for slope in own):
                for weight, pair in _pairs(call, own).items():
                    name = f"{call.name}.{weight}" if call.name else weight
                    if name in self.matrices:
                        found.setdefault(name, []).append(_with_one(pair, self.matrices[name]))
        return found, list(grads[len(ends) :])


def _matrices(module: nn.Module) -> dict[str, Matrix]:
    """The weights of a module that act as matrices, by their names in it."""
    own = module._parameters
    if is_recurrent(module):
        if getattr(module, "dropout", 0) and getattr(module, "num_layers", 1) > 1:
            return {}
        pairs = [(f"{m}{end}", f"bias_{m[7:]}{end}") for end in ends_of(module)
                 for m in ("weight_ih", "weight_hh")]  # fmt: skip
    elif type(module).forward in POSITIONS and getattr(module, "groups", 1) == 1:
        pairs = [("weight", "bias")]
    else:
        return {}
    found = {}
    for name, bias in pairs:
        weight, added = own.get(name), own.get(bias)
        if weight is not None:  # a frozen bias does not move with its weight
            moves = added is not None and added.requires_grad
            found[name] = Matrix(weight, added if moves else None)
    return found


def nothing_of(matrix: Matrix) -> Pair:
    """Inputs and slopes of a matrix that was not used: of no row."""
    weight, inputs = matrix.weight, sum(p[0].numel() for p in matrix.parameters)
    return weight.new_zeros(0, 1, inputs), weight.new_zeros(0, 1, len(weight))


def _flat(output: Any) -> list[Tensor]:
    parts = output if isinstance(output, tuple) else (output,)
    return [leaf for part in parts for leaf in (part if isinstance(part, tuple) else (part,))
            if isinstance(leaf, Tensor)]  # fmt: skip


def _pairs(call: Call, slopes: list[Tensor | None]) -> dict[str, Pair]:
    if is_recurrent(call.module):
        if isinstance(call.x, PackedSequence):
            way_out = "pass padded sequences and leave the padding out of the loss"
            raise wrong("model", f"give {call.name} padded sequences", "packed ones", way_out)
        return pairs_of(call.module, call.x, call.start, slopes)
    slope, dtype = slopes[0], call.module._parameters["weight"].dtype  # type: ignore[union-attr]
    assert slope is not None
    made = POSITIONS[type(call.module).forward](call.module, call.x.detach().to(dtype))
    return {"weight": (made, _slopes_of(call.module, slope.to(dtype)))}


def _with_one(pair: Pair, matrix: Matrix) -> Pair:
    """The inputs with a 1 for the bias, last."""
    x, slope = pair
    if matrix.bias is not None:
        x = torch.cat([x, x.new_ones(*x.shape[:2], 1)], dim=2)
    return x, slope


def _slopes_of(module: nn.Module, slope: Tensor) -> Tensor:
    """A gradient by the layer's output as ``(rows, positions, outputs)``."""
    if isinstance(module, nn.Linear):
        return slope.reshape(len(slope) if slope.ndim > 1 else 1, -1, slope.shape[-1])
    assert isinstance(module, nn.modules.conv._ConvNd)
    whole = slope if slope.ndim == len(module.kernel_size) + 2 else slope[None]
    return whole.flatten(2).transpose(1, 2)


def _of_linear(module: nn.Module, x: Tensor) -> Tensor:
    return x.reshape(len(x) if x.ndim > 1 else 1, -1, x.shape[-1])


def _of_convolution(module: nn.Module, x: Tensor) -> Tensor:
    """Patches, a row for each place of the output, in the order of the weight's numbers."""
    assert isinstance(module, nn.modules.conv._ConvNd)
    dims = len(module.kernel_size)
    x = x if x.ndim == dims + 2 else x[None]
    mode = "constant" if module.padding_mode == "zeros" else module.padding_mode
    x = functional.pad(x, module._reversed_padding_repeated_twice, mode=mode)
    for axis, (size, stride, apart) in enumerate(
        zip(module.kernel_size, module.stride, module.dilation, strict=True), start=2
    ):
        # (n, channels, places..., kernel...): each axis is cut into its places, kernels go last
        x = x.unfold(axis, apart * (size - 1) + 1, stride)[..., ::apart]
    places = x.shape[2 : 2 + dims].numel()
    x = x.movedim(1, 1 + dims)  # (n, places..., channels, kernel...)
    return x.reshape(len(x), places, -1)


POSITIONS: dict[Any, Positions] = {
    nn.Linear.forward: _of_linear,
    nn.Conv1d.forward: _of_convolution,
    nn.Conv2d.forward: _of_convolution,
    nn.Conv3d.forward: _of_convolution,
}
