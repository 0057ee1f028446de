"""One run of a network that keeps what its layers' gradients are made of, example by example."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..autodiff._overrides import PointwiseConvolutions
from ..model._functional_model import FunctionalModel
from ..model._tracer import transforms
from ._examples import Rows, slices
from ._layer_rules import Layer, known
from ._recurrent_taps import RecurrentTaps


class LayerIO:
    """The weighted layers of a network at one batch, with their gradients on demand.

    Holds a graph of reverse mode: each call of ``slopes`` is one backward pass for all examples,
    and no gradient by a weight is formed unless a layer is asked for it. Only gradients of what a
    layer computes itself are seen; for a weight that is used elsewhere as well see ``verified``.

    Args:
        network: The network, held still.
        tree: A batch of examples. n: how many.
        names: Modules to look at; default all those with weights of a known kind.

    Attributes:
        output: The network's output, ``(n, ...)``.
        layers: The layers found, by the names of their modules.
        names: The weights that they have, by full name.
        recurrent: Those of recurrent modules, by the identity of the tensors that they run with.
    """

    def __init__(
        self, network: FunctionalModel, tree: Any, n: int, names: Collection[str] | None = None
    ):
        self.n, self.layers = n, dict[str, Layer]()
        self._held = network.run_in  # a custom backward may run parts of it again
        self._taps: dict[str, Tensor] = {}
        self._calls: Counter[str] = Counter()
        self._level = transforms()
        named = network.model.named_modules()
        modules = [(s, m) for s, m in named if (names is None or s in names) and _weights(m)]
        wanted = [(name, module) for name, module in modules if known(module)]
        recurrent = [(name, module) for name, module in modules if isinstance(module, nn.RNNBase)]
        inside = [full_name(s, k) for s, m in recurrent for k in _weights(m)]
        self.names = frozenset(
            [*(full_name(s, k) for s, m in wanted for k in _weights(m)), *inside]
        )
        own = {name: network.weights.get(f"model.{name}") for name in inside}
        self.recurrent = {id(weight): name for name, weight in own.items() if weight is not None}
        self._modules = dict(wanted)
        rewritten = PointwiseConvolutions(), RecurrentTaps(self)
        with self._hooked(self._hook), torch.enable_grad(), rewritten[0], rewritten[1]:
            self.output = network.run(tree)
        for name, count in self._calls.items():
            if count > 1:
                self.layers.pop(name, None)

    @property
    def width(self) -> int:
        """Numbers that the layers put out for one example."""
        return sum(self._taps[name][0].numel() for name in self.layers)

    @property
    def single(self) -> set[str]:
        """Parameters of layers that act at one position, by full name."""
        names = [name for name, layer in self.layers.items() if layer.single]
        return {full_name(name, part) for name in names for part in ("weight", "bias")}

    def slopes(self, cotangent: Tensor) -> dict[str, Tensor]:
        """Gradients of ``<cotangent, output>`` by the layers' outputs; ``(n, ...)`` as the output.

        Layers that the output does not depend on are left out.
        """
        names = [name for name in self.layers if name in self._taps]
        if not names or not self.output.requires_grad:
            return {}
        taps = [self._taps[name] for name in names]
        # What a checkpoint runs again has to save as much.
        again = RecurrentTaps(self, again=True)
        with self._hooked(self._again), PointwiseConvolutions(), again:
            found = self._held(
                lambda: torch.autograd.grad(
                    self.output, taps, cotangent, retain_graph=True, allow_unused=True
                )
            )
        return {name: g for name, g in zip(names, found, strict=True) if g is not None}

    def squares(self, slopes: dict[str, Tensor]) -> dict[str, Tensor]:
        """Squared norms of each example's gradient by each weight, ``(n,)``, by its full name."""
        with torch.no_grad():
            return {
                full_name(name, part): value
                for name, slope in slopes.items()
                for part, value in self.layers[name].squares(slope).items()
                if full_name(name, part) in self.names
            }

    def keep(self, name: str, layer: Layer, tap: Tensor) -> None:
        """A layer that was met inside a module, whose gradient by ``tap`` is that by its output."""
        self._calls[name] += 1
        self.layers[name], self._taps[name] = layer, tap

    def taps_of(self, names: Iterable[str]) -> list[Tensor]:
        """What was kept of layers inside a module; empty where nothing was."""
        return [self._taps[name] for name in names if name in self._taps]

    def let_go(self) -> None:
        """Empty it: the graph goes, whoever holds this run."""
        self.layers.clear()
        self._taps.clear()
        self.output = self.output.detach()

    @contextmanager
    def _hooked(self, hook: Callable[[str], Callable[..., Any]]) -> Iterator[None]:
        modules = self._modules.items()
        handles = [m.register_forward_hook(hook(s), with_kwargs=True) for s, m in modules]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _again(self, name: str) -> Callable[..., Any]:
        def hook(module: nn.Module, args: Any, kwargs: Any, out: Any) -> Any:
            return _tap(out).clone() if name in self._taps and self._fits(out) else None

        return hook

    def _hook(self, name: str) -> Callable[..., Any]:
        def hook(module: nn.Module, args: Any, kwargs: Any, out: Any) -> Any:
            self._calls[name] += 1
            x = args[0] if args else kwargs.get("input")
            if self._calls[name] > 1 or not self._fits(x) or not self._fits(out):
                self.layers.pop(name, None)
                return None
            layer = known(module)
            assert layer is not None
            with torch.no_grad():
                self.layers[name] = layer(module, x.detach())  # type: ignore[call-arg]
            self._taps[name] = _tap(out)
            return out.clone()  # what follows may write to it in place

        return hook

    def _fits(self, value: Any) -> bool:
        return (
            isinstance(value, Tensor)
            and value.ndim > 1 - (not value.is_floating_point())
            and len(value) == self.n
            and transforms() == self._level
        )


def sweeps(
    rows: Rows, modules: Collection[str], width: int
) -> Iterator[tuple[slice, LayerIO, int, dict[str, Tensor]]]:
    """The one loop over rows: for ``width`` examples a forward pass, a backward for each column.

    Yields which examples, the run, which column, and the slopes of these examples for it. Slopes
    and run are emptied before the next ones are made.
    """
    examples, root = rows
    for here in slices(len(examples.z), width):
        tree = examples.example.rows(here.start, here.stop).tree
        run = LayerIO(examples.at.network, tree, here.stop - here.start, modules)
        for c, column in enumerate(root.each()):
            slopes = run.slopes(column[here])
            yield here, run, c, slopes
            slopes.clear()
        run.let_go()


def modules_of(names: Iterable[str]) -> set[str]:
    """The modules that parameters belong to."""
    return {name.rpartition(".")[0] for name in names}


def full_name(module: str, part: str) -> str:
    """The name of a parameter of a module, which may be the network itself.

    Of a layer inside a recurrent one ``"gru.*_ih_l0"``, where the star stands for the part.
    """
    if "*" in module:
        return module.replace("*", part)
    return f"{module}.{part}" if module else part


def _tap(out: Tensor) -> Tensor:
    return out if out.requires_grad else out.requires_grad_()


def _weights(module: nn.Module) -> list[str]:
    return [name for name, p in module._parameters.items() if p is not None]
