"""The Jacobian of a network, matrix-free: products in both directions with blocks of columns."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..results import UsageError, counted, told, wrong
from ..spectra import LinearOperator, check_budget, check_vector, without_autocast
from .autodiff._affine import affine_part
from .autodiff._derivative import Derivative
from .autodiff._known import Steps
from .autodiff._memory import keep_memory
from .autodiff._strategies import (
    COARSE,
    Product,
    Trial,
    adjoint_gap,
    allowed_gap,
    batched,
    forward_product,
    reverse_product,
    unit,
)
from .model._dependence import check_cut, natural_start
from .model._detached import DETACHED
from .model._functional_model import FunctionalModel
from .model._parameters import Parameters
from .model._stages import Stages
from .model._view import View, as_view
from .per_example._independence import one_input

NEAR = 8 << 20  # bytes of the widest state of a chunk on a CPU: beyond, memory is what costs


@without_autocast
def stages(model: nn.Module | View, x: Any) -> Stages:
    """Where a network can be read, in order of execution, with kind and shape.

    Args:
        model: Any module, or a ``View`` of one; left as it was.
        x: One example with its batch axis, ``(1, ...)``: a tensor, or a tuple, list or dict of
            tensors, which ``model(*x)`` or ``model(**x)`` takes. Or one input whose rows see each
            other: a sequence with time along axis 0, the nodes of a graph; it is taken whole.

    Returns:
        A sequence of ``StageInfo``; the first is ``input``, the last the model's output. Its
        ``auto`` names the stages an x-ray reads by default. Modules appear by their qualified
        names, a second call as ``name:2``, a function applied to a stage as ``stage.relu``.

    Raises:
        UsageError: ``x`` is not one finite example, or the model is random at ``x``.

    Cost: two forward passes; four for an ``x`` of several rows.
    """
    view = as_view(model)  # where a network can be cut does not depend on its statistics
    network = FunctionalModel(replace(view, batch_statistics=bool(view.batch_statistics)))
    return network.stages(one_input(network, x))


@told
@without_autocast
def jacobian(
    model: nn.Module | View,
    x: Any,
    to: str | Sequence[str] | None = None,
    start: str | None = None,
    wrt: str = "input",
    *,
    params: str = "*",
    memory_budget: int | None = None,
) -> Jacobian | ParameterJacobian:
    """The Jacobian of a network at ``x``, as a matrix-free operator.

    ``J[i, j] = d to_i / d start_j`` (or ``d to_i / d parameter_j``), both flattened, rows =
    outputs, columns = inputs. The model is read in evaluation mode (dropout off, normalisation by
    its running statistics), with plain attention and recurrent kernels, and left as it was.

    The operator is a snapshot: it keeps a copy of ``x``, the weights and the buffers, so that it
    stays the same matrix whatever the model does later. ``J.at_current_weights()`` is the
    matrix of the model as it is then. What cannot be copied is the model's code: if one of its
    modules or of their plain attributes changes, a product that needs to run it again is refused;
    a change behind ``forward``, ``select``, a hook or a closure is not seen.

    Args:
        model: Any module, or a ``View`` of one.
        x: One example with its batch axis, ``(1, ...)``: a tensor, or a tuple, list or dict of
            tensors. Its floating tensors, flattened and joined, are the input; tokens are fixed.
        to: Stage to end at (see ``nakami.stages``); default the model's output. Several names:
            their rows stacked in order of execution, all from one sweep through the deepest;
            ``J.by_stage`` takes a product apart.
        start: Stage to start from; default the input, or the first embedding where ``x`` holds
            tokens alone. It must be a cut: all that follows depends on the input through it alone.
        wrt: ``"input"`` (or the state at ``start``), or ``"parameters"``.
        params: With ``wrt="parameters"``, a shell pattern of parameter names (``"features.*"``).
        memory_budget: Bytes, default 1 GiB; a block of columns is sized for a quarter of it.

    Returns:
        A snapshot, ``(size of to, size of start)`` or ``(size of to, number of parameters)``.

    Raises:
        UsageError: Unknown stage (the nearest names are offered), one named twice, ``start`` no
            cut or not before every ``to``, a random model, a wrong ``x``.

    Warns:
        NakamiWarning: The Jacobian is not the derivative of the network (a straight-through
            gradient, a detached factor): along one direction, half of it random and half among the
            leading singular vectors, ``J v`` is off by more than 2e-6 of its size (8e-6 in
            float32); see docs/reach.md.

    Unit: unit of ``to`` per unit of ``start``.
    Cost: some passes to build, more for each further stage ``to``; a product costs about one pass
    for each column, through the deepest stage.
    Source: Griewank & Walther, Evaluating Derivatives, 2nd ed., ch. 3.
    """
    if wrt not in ("input", "parameters"):
        raise wrong("wrt", "be 'input' or 'parameters'", repr(wrt), "pass wrt='input'")
    if wrt == "input" and params != "*":
        rule = "come with wrt='parameters'"
        raise wrong(
            "params",
            rule,
            f"{params!r} with wrt='input'",
            "leave params out, or pass wrt='parameters'",
        )
    memory_budget = check_budget(memory_budget)
    network = FunctionalModel(model)
    x = one_input(network, x)
    places = network.stages(x)
    if wrt == "parameters":
        if start is not None:
            raise UsageError(
                f"start must be left out with wrt='parameters', got {start!r}; choose parameters "
                "with params=."
            )
        return ParameterJacobian(network, x, places, to, params, memory_budget)
    return Jacobian(network, x, places, to, start, memory_budget)


class NetworkJacobian(LinearOperator):
    """What all Jacobians share: routes, chunks and products. Subclasses say what moves.

    Args:
        network: The network at its weights.
        ends: The names of the ends with their sizes, in order of execution.
        at: The parameters of the network that move, if they do.

    Attributes:
        to: Name of the stage it ends at, the deepest of several. shape: ``(m, n)``.
        parts: The rows of each stage that it ends at, a slice by name, in order of execution.
        route: How ``J v`` is made: ``"linearised"``, ``"forward mode"``, ``"double reverse"``,
            ``"plain autograd"`` or ``"rows kept"``. ``J^T u`` is always a reverse pass through a
            kept graph; its own name follows where it goes by plain autograd.
        output: The states at the ends, flattened and joined, ``(m,)``.
        chunk: Columns multiplied at a time, from the memory budget by a fixed rule.
    """

    def __init__(
        self, network: FunctionalModel, ends: dict[str, int], at: Parameters | None = None
    ):
        self.network, self.at, self.to = network, at, next(reversed(ends))
        stops = list(accumulate(ends.values()))
        starts = (0, *stops)
        self.parts = {s: slice(a, b) for s, a, b in zip(ends, starts, stops, strict=False)}

    @property
    def batch_normalisation(self) -> str:
        """By which statistics the network's batch normalisation is read; empty without any."""
        return self.network.batch_normalisation

    @property
    def coarse(self) -> bool:
        """Whether products show that the network computes in coarser arithmetic in places."""
        return COARSE in self.route

    def by_stage(self, product: Tensor) -> dict[str, Tensor]:
        """The rows of ``J V``, ``(m,)`` or ``(m, k)``, by the stage they belong to (views)."""
        if product.ndim not in (1, 2) or product.shape[0] != self.shape[0]:
            rule = f"have {counted(self.shape[0], 'row')}"
            raise wrong("product", rule, f"shape {tuple(product.shape)}", "pass J @ V")
        return {name: product[rows] for name, rows in self.parts.items()}

    @abstractmethod
    def function(self, flat: Tensor) -> Tensor:
        """The map that is differentiated: ``(n,) -> (m,)``."""

    def _joined(self, states: tuple[Tensor, ...], like: Tensor) -> Tensor:
        """What is read of states, one after the other, in the dtype they are differentiated by."""
        flat = [state.reshape(-1).to(like.dtype) for state in self.network.read_at(states)]
        return flat[0] if len(flat) == 1 else torch.cat(flat)

    def _held(self, point: Tensor, act: Callable[[], Any]) -> Any:
        """What ``act`` returns while the network is still and, where its weights move, at them."""
        return self.network.run_in(act) if self.at is None else self.at.held(point, act)

    def _build(self, point: Tensor, widest: int, memory_budget: int | None) -> Derivative:
        """Differentiate ``function`` at ``point``; the widest state on the way sets the chunks.

        What returns has the check that it is the derivative.
        """
        room = self._pulled(point, widest, memory_budget)
        route, self._push, trial = forward_product(
            self.function, point, self.output, self._pull, self._held, self.chunk, room,
            self._steps.coarsest,
        )  # fmt: skip
        self.route = f"{route}, {self.network.note}" if self.network.note else route
        if len(self.parts) > 1:  # one by one: a small state hides behind a large one
            for name in self.parts:
                self._check_adjoint(trial, name)
        network, weights = self.network, None if self.at is None else self.at.weights
        return Derivative(
            self.function, point, trial, route, network, self._held, self.parts, room, self._steps,
            weights,
        )  # fmt: skip

    def _pulled(
        self, point: Tensor, widest: int, memory_budget: int | None, checked: bool = False
    ) -> int:
        """The reverse product and sizes; returns the bytes for a block of products.

        ``checked``: whether blocks are known to be safe.
        """
        self._steps = Steps(point)
        if checked:
            self.output, self._pull = self._checked_pull(point)
        else:
            self.output, self._pull = reverse_product(
                self.function, point, self._held, True, self._steps
            )
        self.shape = (self.output.numel(), point.numel())
        self.dtype, self.device = self.output.dtype, self.output.device
        room = check_budget(memory_budget) // 4
        self.chunk = columns_at_once(self.output, widest, sum(self.shape), room)
        return room

    def _checked_pull(self, point: Tensor) -> tuple[Tensor, Product]:
        """The reverse product of a function whose products were tried elsewhere."""
        return reverse_product(self.function, point, self._held)

    def _check_adjoint(self, trial: Trial, name: str) -> None:
        rows = self.parts[name]
        jv = trial.along[rows, 0]
        u = unit(jv, torch.Generator().manual_seed(1))
        with torch.no_grad():
            ju = self._pull(functional.pad(u, (rows.start, self.shape[0] - rows.stop)))
        gap = adjoint_gap(u, jv, ju, trial.v)
        narrow = max(self._steps.coarsest, torch.float32, key=lambda dtype: torch.finfo(dtype).eps)
        if gap > allowed_gap(self.dtype, narrow if COARSE in self.route else None):
            raise UsageError(
                f"to must name stages that one route can multiply, got {name!r} where <u, J v> and "
                f"<J^T u, v> differ by {gap:.2g} ({self.route}); read it on its own."
            )

    def _matmat(self, block: Tensor) -> Tensor:
        return batched(self._push, block, self.chunk)

    def _rmatmat(self, block: Tensor) -> Tensor:
        return batched(self._pull, block, self.chunk)


class Jacobian(NetworkJacobian):
    """The Jacobian between stages of a network; made by ``nakami.jacobian``.

    Attributes:
        to, start: Names of the two stages. shape: ``(size of to, size of start)``; with several
            stages ``to`` the sum of their sizes, and ``parts`` says which rows are whose.
        point: The state at ``start``, flattened, ``(n,)``: that of ``x``, or the ``state`` given.
        offset: Of a view with ``derivative="detached"`` b in ``J x + b``, ``(m,)``; else None.
        residual: ``|J x + b - output| / |output|`` there; else NaN.
    """

    def __init__(
        self,
        network: FunctionalModel,
        x: Any,
        places: Stages,
        to: str | Sequence[str] | None = None,
        start: str | None = None,
        memory_budget: int | None = None,
        state: Tensor | None = None,
    ):
        ends = network.ends(places, to if to is not None else places.names[-1])
        super().__init__(network, {s.name: s.size for s in ends})
        self.example, self._budget, self._other = network.example(x), memory_budget, state
        self.start = start if start is not None else natural_start(network, self.example, places)
        first = ends[0].name
        places.find(self.start, "start")
        if places.position(self.start) >= places.position(first):
            raise UsageError(
                f"start must come before to, got start={self.start!r} and to={first!r}; "
                + ("exchange them." if len(ends) == 1 else "leave that stage out.")
            )
        if self.start == "input":
            self._state = self.example.vector
        else:
            self._state = check_cut(network, self.example, self.start, tuple(self.parts))
        between = places[places.position(self.start) : places.position(self.to) + 1]
        here = self._state if state is None else state
        self.point = here.reshape(-1).to(network.dtype or self._state.dtype)
        derivative = self._build(self.point, max(s.size for s in between), memory_budget)
        self.offset: Tensor | None = None
        self.residual = math.nan
        if network.derivative == DETACHED:
            image = self @ self.point
            self.offset, self.residual = affine_part(network, self.function, self.point, image)
        else:
            derivative.check(repr(self))

    def at_current_weights(self) -> Jacobian:
        """The same Jacobian, at the same ``x``, of the model as it is now; costs a new build."""
        network, x = self.network.at_current_weights(), self.example
        ends = tuple(self.parts)
        places = network.stages(x)
        return Jacobian(network, x, places, ends, self.start, self._budget, self._other)

    def function(self, flat: Tensor) -> Tensor:
        """The states at the ends at another state at the start, ``(n,) -> (m,)``."""
        to = tuple(self.parts)
        if self.start == "input":
            return self._joined(self.network.activations(self.example.at(flat), to), flat)
        state = flat.reshape(self._state.shape).to(self._state.dtype)
        states = self.network.activations(self.example.tree, to, self.start, state)
        return self._joined(states, flat)


class ParameterJacobian(NetworkJacobian):
    """The Jacobian of a stage by the parameters; made by ``nakami.jacobian(wrt="parameters")``.

    Attributes:
        to: Name of the stage. names: the parameters, in the order of the columns.
        shape: ``(size of to, number of parameters)``.
    """

    at: Parameters

    def __init__(
        self,
        network: FunctionalModel,
        x: Any,
        places: Stages,
        to: str | Sequence[str] | None = None,
        params: str = "*",
        memory_budget: int | None = None,
    ):
        ends = network.ends(places, to if to is not None else places.names[-1])
        if places.position(ends[0].name) == 0:
            raise wrong(
                "to", "be a stage behind the input", "'input'", "pass to=None for the output"
            )
        at = Parameters(network, network.parameters(params))
        super().__init__(at.network, {s.name: s.size for s in ends}, at)
        self.example, self._params, self._budget = network.example(x), params, memory_budget
        self.names = at.names
        between = places[: places.position(self.to) + 1]
        self._build(at.flat, max(s.size for s in between), memory_budget).check(repr(self))

    def at_current_weights(self) -> ParameterJacobian:
        """The same Jacobian, at the same ``x``, of the model as it is now; costs a new build."""
        network, x = self.network.at_current_weights(), self.example
        ends = tuple(self.parts)
        return ParameterJacobian(network, x, network.stages(x), ends, self._params, self._budget)

    def function(self, flat: Tensor) -> Tensor:
        """The states at the ends at other parameters, ``(n,) -> (m,)``."""
        to, weights = tuple(self.parts), self.split(flat)
        states = self.network.activations(self.example.tree, to, weights=weights)
        return self._joined(states, flat)

    def split(self, flat: Tensor) -> Mapping[str, Tensor]:
        """A flat vector of parameters, ``(n,)``, as named tensors of their shapes."""
        flat = check_vector("flat", flat, self.at.flat.numel())
        return self.at.split(flat)


def columns_at_once(like: Tensor, widest: int, kept: int, room: int) -> int:
    """How many columns are multiplied at a time, by a fixed rule of sizes, type and device.

    Args:
        like: Has the type and the device of the products.
        widest: Entries of the largest state on the way.
        kept: Entries of the two ends.
        room: Bytes.
    """
    column = (4 * widest + kept) * like.dtype.itemsize  # states are freed on the way
    chunk = max(1, min(room // max(1, column), 1024))
    if like.device.type == "cpu":
        keep_memory()
        chunk = max(1, min(chunk, NEAR // (widest * like.dtype.itemsize)))
    return chunk
