"""The Jacobian of a network, matrix-free: products in both directions with blocks of columns."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..results import UsageError, wrong
from ..spectra import DEFAULT_BUDGET, LinearOperator
from ._frozen import Forward, FrozenNetwork, Select
from ._stages import Stages

Product = Callable[[Tensor], Tensor]  # one vector to one vector, safe under torch.vmap


def stages(
    model: nn.Module, x: Tensor, forward: Forward | None = None, select: Select | None = None
) -> Stages:
    """Where a network can be read, in order of execution, with kind and shape.

    Args:
        model: Any module; left as it was.
        x: One example with its batch axis, ``(1, ...)``, floating.
        forward: ``forward(model, x)`` where ``model(x)`` does not do.
        select: Picks a tensor from the output; default the first.

    Returns:
        A sequence of ``StageInfo``; the first is ``input``, the last the model's output. Its
        ``auto`` names the stages an x-ray reads by default. Modules appear by their qualified
        names, a second call as ``name:2``, a function applied to a stage as ``stage.relu``.

    Raises:
        UsageError: ``x`` is not one finite floating example, or the model is random at ``x``.

    Cost: two forward passes.
    """
    return FrozenNetwork(model, forward, select).stages(x)


def jacobian(
    model: nn.Module,
    x: Tensor,
    to: str | None = None,
    start: str | None = None,
    wrt: str = "input",
    *,
    forward: Forward | None = None,
    select: Select | None = None,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
    memory_budget: int | None = None,
) -> Jacobian:
    """The Jacobian ``d state(to) / d state(start)`` at ``x``, as a matrix-free operator.

    ``J[i, j] = d to_i / d start_j``, both flattened, rows = outputs, columns = inputs. The model
    is read in evaluation mode (dropout off, normalisation by its running statistics) and left as
    it was.

    Args:
        model: Any module.
        x: One example with its batch axis, ``(1, ...)``, floating.
        to: Stage to end at (see ``nakami.stages``); default the model's output.
        start: Stage to start from; default the input. It must be a cut: all that follows depends on
            the input through it alone.
        wrt: ``"input"``; the parameters' Jacobian is not there yet.
        forward: ``forward(model, x)`` where ``model(x)`` does not do.
        select: Picks a tensor from the output; default the first.
        dtype: Arithmetic to compute in; default that of the weights.
        device: Where to compute; default where the weights are.
        memory_budget: Bytes one block of columns may take; default 1 GiB.

    Raises:
        UsageError: Unknown stage (the nearest names are offered), ``start`` no cut or not before
            ``to``, a random model, a wrong ``x``.

    Unit: unit of ``to`` per unit of ``start``.
    Cost: a forward and a backward pass to build; a product costs about one pass for each column.
    Source: Griewank & Walther, Evaluating Derivatives, 2nd ed., ch. 3.
    """
    if wrt != "input":
        raise wrong("wrt", "be 'input'", repr(wrt), "the parameters' Jacobian is planned")
    network = FrozenNetwork(model, forward, select, dtype, device)
    return Jacobian(network, x, network.stages(x), to, start, memory_budget)


class Jacobian(LinearOperator):
    """The Jacobian between two stages of a frozen network; made by ``nakami.jacobian``.

    Attributes:
        to, start: Names of the two stages. shape: ``(size of to, size of start)``.
        route: ``"linearised"``, ``"forward mode"`` or ``"double reverse"``: how ``J v`` is made
            (``J^T u`` is always a reverse pass through a kept graph).
        output: The state at ``to``, ``(m,)``.
        chunk: Columns multiplied at a time, from the memory budget by a fixed rule.
    """

    def __init__(
        self,
        network: FrozenNetwork,
        x: Tensor,
        places: Stages,
        to: str | None = None,
        start: str | None = None,
        memory_budget: int | None = None,
    ):
        self.network, self._x = network, network.place_input(x)
        self.to = to if to is not None else places.names[-1]
        self.start = start if start is not None else "input"
        source, target = places.find(self.start, "start"), places.find(self.to)
        if places.position(self.start) >= places.position(self.to):
            raise UsageError(
                f"start must come before to, got start={self.start!r} and to={self.to!r}; "
                "exchange them."
            )
        self._state = (
            self._x if self.start == "input" else network.reach(self._x, self.start).detach()
        )
        if self.start != "input":
            self._state = network.reach(self._x, self.start).detach()
            self._check_cut()
        self.shape = (target.size, source.size)
        self.dtype, self.device = self._state.dtype, self._state.device
        self.output, self._pullback = self._reverse()
        self.route, self._push = self._forward()
        between = places[places.position(self.start) : places.position(self.to) + 1]
        column = 2 * sum(s.size for s in between) * self.dtype.itemsize
        budget = DEFAULT_BUDGET if memory_budget is None else memory_budget
        self.chunk = max(1, min(budget // 4 // max(1, column), 1024))

    def function(self, flat: Tensor) -> Tensor:
        """The map that is differentiated: ``(n,) -> (m,)``."""
        state = flat.reshape(self._state.shape)
        if self.start == "input":
            return self.network.reach(state, self.to).reshape(-1)
        return self.network.reach(self._x, self.to, self.start, state).reshape(-1)

    def _matmat(self, block: Tensor) -> Tensor:
        return torch.vmap(self._push, 1, 1, chunk_size=self.chunk)(block)

    def _rmatmat(self, block: Tensor) -> Tensor:
        return torch.vmap(self._pullback, 1, 1, chunk_size=self.chunk)(block)

    def _reverse(self) -> tuple[Tensor, Product]:
        output, pull = torch.func.vjp(self.function, self._state.reshape(-1))[:2]
        return output.detach(), lambda u: pull(u)[0]

    def _forward(self) -> tuple[str, Product]:
        """The first rung of the ladder that works here."""
        flat = self._state.reshape(-1)
        probe = torch.zeros(len(flat), 1, dtype=flat.dtype, device=flat.device)
        rungs: list[tuple[str, Callable[[], Product]]] = [
            ("linearised", lambda: _linearise(self.function, flat)),
            ("forward mode", lambda: lambda v: torch.func.jvp(self.function, (flat,), (v,))[1]),
            ("double reverse", self._double_reverse),
        ]
        failures = []
        for name, build in rungs:
            try:
                push = build()
                torch.vmap(push, 1, 1)(probe)
            except (RuntimeError, NotImplementedError, AssertionError) as error:
                failures.append(f"{name}: {str(error).strip().splitlines()[0]}")
                continue
            return name, push
        raise UsageError(
            f"no way to differentiate from {self.start!r} to {self.to!r} works "
            f"({'; '.join(failures)}); choose an earlier stage, or replace what stops it."
        )

    def _double_reverse(self) -> Product:
        """``J v`` as the reverse derivative of ``u -> J^T u``, which is linear in ``u``."""
        flat = self._state.reshape(-1)
        zero = torch.zeros_like(self.output)

        def transposed(u: Tensor) -> Tensor:
            return torch.func.vjp(self.function, flat)[1](u)[0]

        pull = torch.func.vjp(transposed, zero)[1]
        return lambda v: pull(v)[0]

    def _check_cut(self) -> None:
        """Hold the state at ``start``, move the input: at a cut, ``to`` does not move."""
        shaken = self._x + 0.1 * self._x.abs().amax().clamp_min(1.0) * _noise(self._x)
        with torch.no_grad():
            still = self.network.reach(self._x, self.to, self.start, self._state)
            moved = self.network.reach(shaken, self.to, self.start, self._state)
        if not torch.equal(still, moved):
            raise UsageError(
                f"start must be a cut, got {self.start!r}: {self.to!r} also depends on the input "
                "past it; start from the input, or from a stage that everything passes."
            )


def _linearise(function: Product, at: Tensor) -> Product:
    with warnings.catch_warnings():
        # torch's constant folding warns about its own bookkeeping
        warnings.filterwarnings("ignore", "Attempted to insert a get_attr Node", UserWarning)
        push: Product = torch.func.linearize(function, at)[1]
        return push


def _noise(x: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(x.shape, generator=generator, dtype=torch.float64).to(x)
