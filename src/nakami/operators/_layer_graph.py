"""The outputs of a network's weight layers at a batch, and the derivatives between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from ..results import RunError
from .model._functional_model import FunctionalModel
from .model._stages import is_weighted
from .model._tracer import first_tensor, replace_first, transforms


@dataclass(frozen=True)
class LayerCall:
    """One run of a module that holds a weight matrix.

    Attributes:
        name: The module's name; a second run ends in ``:2``.
        kind: Its class. source: Whether it is an embedding, whose input has no derivative.
        weight: Full name of the matrix that its output is linear in, biases apart; empty where
            there is none to learn (a module of another kind, a weight that is computed or frozen).
        bias: Full name of what is added to the output along ``axis``; empty without.
        axis: Of the outputs that the bias runs along, from the end.
    """

    name: str
    kind: str
    source: bool
    weight: str
    bias: str
    axis: int


OPTIONS: dict[str, Any] = {"with_kwargs": True}
Change = Callable[["LayerGraph", int, Tensor], Tensor]


class LayerGraph:
    """One run of a network over a batch that keeps the graph between its weight layers.

    Weight layers are linear layers, convolutions, attention and other leaf modules with a matrix,
    in the order they run. Derivatives are partial: what bypasses a layer is held fixed.

    Args:
        network: The network, held still.
        tree: A batch of examples.
        change: ``change(graph, i, state)`` returns what takes the place of the output of layer
            ``i``, where ``graph`` holds what ran so far and this layer.
        cut: Whether derivatives end at the layer before, so that only direct parents are seen.

    Attributes:
        calls: The layers, in order. states: their outputs, ``(n, ...)`` as a rule.
        entering: Mean square of what each takes in; NaN for tokens.
        inputs: The floating parts of the batch. output: The network's output.

    Raises:
        RunError: States that are not finite.

    Cost: one forward pass, with the memory of a training step.
    """

    def __init__(
        self, network: FunctionalModel, tree: Any, change: Change | None = None, cut: bool = False
    ):
        network.check_exact("what layers pass on")
        self.network, self.cut, self.change = network, cut, change
        self.calls, self.states, self.entering = list[LayerCall](), list[Tensor](), list[float]()
        self._ends: list[Tensor] = []  # the states with the graph that led to them
        self._counts: Counter[str] = Counter()
        self._level = transforms()
        learned = (item for item in network.model.named_parameters() if item[1].requires_grad)
        names = {id(p): name for name, p in learned}  # the first of each
        example = network.example(tree, batch=True)
        self.inputs = [leaf.requires_grad_() for leaf in example.moving]
        hooks = [
            module.register_forward_hook(partial(self._ran, _call(name, module, names)), **OPTIONS)
            for name, module in network.model.named_modules()
            if _is_layer(module)
        ]
        try:
            with torch.enable_grad():
                self.output = network.run(example.tree)
        finally:
            for hook in hooks:
                hook.remove()
        self._finite("output", self.output)

    def parent(self, i: int) -> int | None:
        """The last layer before layer ``i`` whose output enters it; -1 is the batch itself.

        None where it depends on nothing (an embedding of tokens).
        """
        for j in range(i - 1, -1, -1):
            if self._grad(self.states[i], [self.states[j]])[0] is not None:
                return j
        moved = self.inputs and not self.calls[i].source
        return -1 if moved and any(g is not None for g in self._from_inputs(i)) else None

    def parents(self) -> list[tuple[int, ...]]:
        """For each layer and, at the end, the output: all layers that enter it directly.

        -1 is the batch itself. Needs ``cut=True``.
        """
        found = []
        for i, end in enumerate([*self._ends, self.output]):
            whole, *each = (
                any(g is not None for g in self._grad(end, starts))
                for starts in (self.inputs, *([state] for state in self.states[:i]))
            )
            found.append((-1,) * whole + tuple(j for j, enters in enumerate(each) if enters))
        return found

    def above(self) -> list[set[int]]:
        """For each layer and, at the end, the output: all layers that lead to it, and -1.

        Needs ``cut=True``.
        """
        found: list[set[int]] = []
        for direct in self.parents():
            found.append(set(direct).union(*(found[p] for p in direct if p >= 0)))
        return found

    def beside(self) -> list[tuple[int, ...]]:
        """For each layer, the layers whose outputs enter it side by side, in parallel branches.

        Of those that enter it directly the ones that lead to no other of them; () where that is one
        or the batch. Needs ``cut=True``.
        """
        above, found = self.above(), list[tuple[int, ...]]()
        for direct in self.parents()[:-1]:
            ends = [j for j in direct if not any(j in above[k] for k in direct if k >= 0)]
            found.append(tuple(ends) if len(ends) > 1 else ())
        return found

    def squares(
        self, i: int, probes: int, generator: torch.Generator, beside: Sequence[int] = ()
    ) -> Tensor:
        """Estimates of the mean squared singular value of the step into layer ``i``, ``(probes,)``.

        ``|J^T u|^2 / m`` for random signs ``u``, with ``J`` the ``(m, n)`` Jacobian from the
        parent's output, or from those of layers that enter ``beside`` each other: its mean is
        ``|J|_F^2 / m`` (Hutchinson). NaN without a parent.
        """
        above = self.parent(i)
        if above is None:
            return torch.full((probes,), float("nan"), dtype=torch.float64)
        ends = self.inputs if above < 0 else [self.states[j] for j in beside or (above,)]
        return torch.stack(
            [_norm(g) for g in self._pulled(self.states[i], ends, probes, generator)]
        ) / max(1, self.states[i].numel())

    def slopes(self, probes: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The same from the batch to the output, ``(probes,)``, and from each layer to it.

        The second is ``(layers, probes)``; both over the number of outputs. Zero for layers that
        the output does not depend on; NaN where the batch holds tokens alone.
        """
        found = self._pulled(self.output, [*self.inputs, *self.states], probes, generator)
        k = len(self.inputs)
        whole = torch.stack([_norm(g[:k]) for g in found]) / self.output.numel()
        each = torch.stack([torch.stack([_norm([h]) for h in g[k:]]) for g in found], 1)
        if not self.inputs:
            whole = torch.full_like(whole, float("nan"))
        return whole, each / self.output.numel()

    def leading(self) -> list[int]:
        """The layers that the output depends on, in order; all where it depends on none."""
        found = [g is not None for g in self._grad(self.output, self.states)]
        return [i for i, leads in enumerate(found) if leads or not any(found)]

    def along(
        self, steps: Sequence[Tensor], probes: int, generator: torch.Generator
    ) -> list[float]:
        """How much the output changes along a step of each layer, beside a random one as long.

        ``|J s|^2 / (|J|_F^2 |s|^2 / n)`` over the whole batch, with ``J`` from the layer's ``n``
        states to the output and ``s`` its step, by random signs. NaN where both are 0.
        """
        pulled, found = self._pulled(self.output, self.states, probes, generator), list[float]()
        for slopes, step in zip(zip(*pulled, strict=True), steps, strict=True):
            s = step.double()
            along = sum(float((g.double() * s).sum()) ** 2 for g in slopes if g is not None)
            size = sum(float(_norm([g])) for g in slopes) * float(s.square().mean())
            found.append(along / size if size > 0 else float("nan"))
        return found

    def _pulled(
        self, end: Tensor, starts: Sequence[Tensor], probes: int, generator: torch.Generator
    ) -> list[tuple[Tensor | None, ...]]:
        out = []
        for _ in range(probes):
            bits = torch.randint(2, end.shape, generator=generator, dtype=torch.int8)
            out.append(self._grad(end, starts, (2 * bits - 1).to(end)))
        return out

    def _grad(
        self, end: Tensor, starts: Sequence[Tensor], u: Tensor | None = None
    ) -> tuple[Tensor | None, ...]:
        if not starts or not end.requires_grad:
            return (None,) * len(starts)
        u = torch.ones_like(end) if u is None else u
        return torch.autograd.grad(end, list(starts), u, retain_graph=True, allow_unused=True)

    def _from_inputs(self, i: int) -> tuple[Tensor | None, ...]:
        return self._grad(self.states[i], self.inputs)

    def _ran(self, call: LayerCall, module: nn.Module, args: Any, kwargs: Any, out: Any) -> Any:
        state = first_tensor(out)
        if state is None or transforms() != self._level:
            return None
        self._counts[call.name] += 1
        count = self._counts[call.name]
        self._finite(call.name, state)
        self.calls.append(replace(call, name=f"{call.name}:{count}") if count > 1 else call)
        entering = first_tensor((*args, kwargs))
        with torch.no_grad():
            self.entering.append(
                float("nan") if entering is None else float(entering.double().square().mean())
            )
        self._ends.append(state)
        self.states.append(self._tapped(state))
        if self.change is not None:
            self.states[-1] = self.change(self, len(self.states) - 1, self.states[-1])
        return replace_first(out, self.states[-1].clone())  # what follows may write in place

    def _tapped(self, state: Tensor) -> Tensor:
        if self.cut or not state.requires_grad:
            return state.detach().requires_grad_()
        return state

    def _finite(self, name: str, state: Tensor) -> None:
        if not torch.isfinite(state).all():
            dtype = str(state.dtype).removeprefix("torch.")
            raise RunError(
                f"states of {name!r} are not finite in {dtype}: the signal explodes before it; "
                "read it with {dtype}='float64', or lower the scale of the weights."
            )


def _call(name: str, module: nn.Module, names: Mapping[int, str]) -> LayerCall:
    """What is known of a layer before it runs; later its weights may be swapped for others."""

    def named(owner: nn.Module, part: str) -> str:
        return names.get(id(owner._parameters.get(part)), "")

    weight, bias, axis = "", "", -1
    if isinstance(module, (nn.Linear, _ConvNd)):
        weight, bias = named(module, "weight"), named(module, "bias")
        if isinstance(module, _ConvNd):
            axis = -(len(module.kernel_size) + 1)
    elif isinstance(module, nn.MultiheadAttention):
        weight, bias = named(module.out_proj, "weight"), named(module.out_proj, "bias")
    kind = type(module).__name__
    source = "embedding" in kind.lower()
    return LayerCall(name or kind, kind, source, weight, bias if weight else "", axis)


def is_recurrent(module: nn.Module) -> bool:
    """Whether it uses one matrix at every step of a sequence."""
    return isinstance(module, (nn.RNNBase, nn.RNNCellBase))


def _is_layer(module: nn.Module) -> bool:
    return isinstance(module, (nn.Linear, _ConvNd, nn.MultiheadAttention)) or is_weighted(module)


def _norm(parts: Sequence[Tensor | None]) -> Tensor:
    squares = [part.double().square().sum() for part in parts if part is not None]
    return torch.stack(squares).sum() if squares else torch.zeros((), dtype=torch.float64)
