"""One step of a recurrent net as a map of its state: what every reading of this room works on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import jacfwd, jvp, vmap

from ..results import DEFAULT_BUDGET, check_at_least, check_callable, wrong, wrong_type
from ._units import Layers, layers_of

Step = Callable[[Tensor, Tensor], Tensor]
COPIES = 8  # of a Jacobian that forward mode keeps while it builds one
DTYPES = {"float32": torch.float32, "float64": torch.float64}


class StateMap:
    """``h -> step(x, h)``: the state of a recurrent net after one input, as one flat vector.

    Args:
        net: ``nn.RNN``, ``nn.GRU``, ``nn.LSTM`` (all layers, one direction), their cells, or a
            function ``step(x, h)`` of inputs (B, I) and states (B, S) that returns states (B, S),
            row by row.
        state_size, input_size: S and I of a function; read from a module.
        dtype: Arithmetic, "float64" (default) or "float32". Weights are copied to it once; dropout
            between layers is off.

    Attributes:
        state_size: S. A GRU's or RNN's state is h of layer 1, 2, ...; an LSTM's all h, then all c.
        input_size: I.
        bounds: Size that no entry of a state at rest exceeds, (S,): 1 for GRUs, tanh RNNs and an
            LSTM's h, inf for its cells, other RNNs and functions.

    Raises:
        UsageError: Two directions (each is a recurrence of its own), another module, sizes out of
            range.
    """

    def __init__(
        self,
        net: nn.Module | Step,
        *,
        state_size: int | None = None,
        input_size: int | None = None,
        dtype: torch.dtype | str = "float64",
    ):
        self.dtype = DTYPES.get(dtype, torch.float64) if isinstance(dtype, str) else dtype
        if (dtype if isinstance(dtype, str) else str(dtype).rpartition(".")[2]) not in DTYPES:
            raise wrong("dtype", "be float64 or float32", repr(dtype), "leave it out for float64")
        if isinstance(net, nn.Module):
            self._layers: Layers | None = layers_of(net, self.dtype)
            layers = self._layers
            self._step: Step = layers.step
            self.state_size, self.input_size = layers.state_size, layers.input_size
            self.device, self.bounds = layers.device, layers.bounds
            return
        self._layers = None
        check_callable("net", net, "step(x, h)")
        if state_size is None:
            way_out = "pass the length of a state"
            raise wrong("state_size", "be given for a function", None, way_out)
        self._step = net
        self.state_size = check_at_least("state_size", state_size, 1, "pass the length of a state")
        self.input_size = check_at_least("input_size", input_size or 0, 0, "0 for no input")
        self.device = torch.device("cpu")
        self.bounds = torch.full((self.state_size,), float("inf"), dtype=self.dtype)

    def __call__(self, x: Tensor, h: Tensor) -> Tensor:
        """States after one step.

        Args:
            x: Inputs, shape (B, I).
            h: States, shape (B, S).

        Raises:
            UsageError: A function that returns something else than states (B, S).
        """
        found: object = self._step(x, h)
        if not isinstance(found, Tensor) or found.shape != h.shape:
            got = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            rule = f"return states of shape (B, {h.shape[-1]}) as it gets them"
            raise wrong("net", rule, got, "return the next states, a row for each")
        return found

    def state(self, value: Any) -> Tensor:
        """A state as the module has it, flat: ``h_n``, or ``(h_n, c_n)`` of an LSTM.

        Args:
            value: One example's: each of shape (layers, 1, H), (layers, H) or (H).

        Returns:
            Shape (S,).
        """
        parts = value if isinstance(value, tuple | list) else (value,)
        flat = torch.cat([self.tensor(part, "state").reshape(-1) for part in parts])
        if flat.numel() != self.state_size:
            way_out = "pass the state of one example"
            raise wrong("state", f"have {self.state_size} numbers", flat.numel(), way_out)
        return flat

    def tensor(self, value: Any, argument: str) -> Tensor:
        """Data as a tensor of this map's type and device, without a graph.

        Args:
            value: A tensor, an array or numbers.
            argument: What it was passed as.

        Raises:
            UsageTypeError: Something else.
        """
        try:
            given = value.detach() if isinstance(value, Tensor) else torch.as_tensor(value)
        except (TypeError, ValueError, RuntimeError) as error:
            rule, way_out = "be a tensor or numbers of one length", "pass a torch.Tensor"
            raise wrong_type(argument, rule, type(value).__name__, way_out) from error
        return given.to(self.device, self.dtype)

    def sequences(self, inputs: Any) -> Tensor:
        """Inputs as shape (B, T, I), checked.

        Args:
            inputs: Shape (T, I) or (B, T, I); (T, 0) for a net without input.

        Raises:
            UsageError: Another shape, entries that are not finite.
        """
        data = self.tensor(inputs, "inputs")
        data = data[None] if data.ndim == 2 else data
        if data.ndim != 3 or data.shape[2] != self.input_size or 0 in data.shape[:2]:
            rule = f"have shape (steps, {self.input_size}) or (sequences, steps, {self.input_size})"
            way_out = "pass what the recurrent layer gets, such as embeddings of tokens"
            raise wrong("inputs", rule, tuple(data.shape), way_out)
        if not bool(data.isfinite().all()):
            raise wrong("inputs", "be finite", "NaN or infinite entries", "leave such steps out")
        return data

    @torch.no_grad()
    def run(self, inputs: Any, start: Any = None) -> Tensor:
        """States along sequences.

        Args:
            inputs: As ``sequences`` takes it.
            start: Flat state (S,), or one for each sequence (B,
                S); default 0.

        Returns:
            Shape (B, T + 1, S): the start first.
        """
        data = self.sequences(inputs)
        states = [self.starts(start, len(data))]
        for t in range(data.shape[1]):
            states.append(self(data[:, t], states[-1]))
        return torch.stack(states, dim=1)

    def starts(self, start: Any, n: int) -> Tensor:
        """Flat states (n, S): zeros, the given one n times, or the given n.

        Raises:
            UsageError: Another shape, entries that are not finite.
        """
        if start is None:
            return torch.zeros(n, self.state_size, dtype=self.dtype, device=self.device)
        given = self.tensor(start, "start")
        if given.shape not in ((self.state_size,), (n, self.state_size)):
            rule = f"have shape ({self.state_size},) or ({n}, {self.state_size})"
            raise wrong("start", rule, tuple(given.shape), "leave it out for 0")
        if not bool(given.isfinite().all()):
            raise wrong("start", "be finite", "NaN or infinite entries", "leave it out for 0")
        return given.expand(n, self.state_size)

    def jacobian(self, x: Tensor, h: Tensor) -> Tensor:
        """The derivative of the next state by this one, dense.

        Args:
            x: Inputs, shape (B, I).
            h: States, shape (B, S).

        Returns:
            Shape (B, S, S), rows the next state's. Cost: S steps a row, in pieces of 1 GiB.
        """
        if not len(h):
            return h.new_zeros(0, self.state_size, self.state_size)
        return torch.cat([piece for (piece,) in self._by((1,), self.state_size, x, h)])

    def steps(self, x: Tensor, h: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """The derivatives of the next state, dense, row by row.

        Args:
            x: Inputs, shape (B, I).
            h: States, shape (B, S).

        Returns:
            By the state, shape (S, S), and by the input, (S, I). Cost: S + I steps a row, in pieces
            of 1 GiB.
        """
        if self.input_size:
            pieces = self._by((1, 0), self.state_size + self.input_size, x, h)
        else:  # torch.func has no derivative by nothing
            pieces = ((p, p[..., :0]) for (p,) in self._by((1,), self.state_size, x, h))
        for piece in pieces:
            yield from zip(*piece, strict=True)

    def _by(
        self, arguments: tuple[int, ...], width: int, x: Tensor, h: Tensor
    ) -> Iterator[tuple[Tensor, ...]]:
        """Derivatives by the input (0) or the state (1), ``width`` columns in all, in pieces."""

        def one(x: Tensor, h: Tensor) -> Tensor:
            return self._step(x[None], h[None])[0]

        size = COPIES * self.state_size * width * self.dtype.itemsize
        piece = max(1, DEFAULT_BUDGET // size)
        made = vmap(jacfwd(one, argnums=arguments))
        for i in range(0, len(h), piece):
            yield tuple(part.detach() for part in made(x[i : i + piece], h[i : i + piece]))

    def at_rest(self) -> StateMap:
        """The map whose fixed points are the states at rest, where it is an easier one.

        Of a module, of its h alone: the state that gates and candidates at h would settle to, as if
        held. It has the same points at rest (``whole`` makes states of them) and no slow units. Of
        a function it is the map itself.
        """
        layers = self._layers
        if layers is None:
            return self
        n = len(layers.layers) * layers.hidden
        made = StateMap(
            lambda x, h: layers.settled(x, h)[..., :n],
            state_size=n, input_size=self.input_size, dtype=self.dtype,
        )  # fmt: skip
        made.device, made.bounds = self.device, self.bounds[:n]
        return made

    def whole(self, x: Tensor, h: Tensor) -> Tensor:
        """States (B, S) of those of ``at_rest``, (B, n), at inputs (B, I)."""
        return h if self._layers is None else self._layers.settled(x, h)

    def push(self, x: Tensor, h: Tensor, tangents: Tensor) -> Tensor:
        """Jacobians at states times directions.

        Args:
            x: Inputs, shape (B, I).
            h: States, shape (B, S).
            tangents: Directions of the state, shape (B, S, k).

        Returns:
            Shape (B, S, k).
        """

        def step(h: Tensor) -> Tensor:
            return self._step(x, h)

        def along(v: Tensor) -> Tensor:
            return jvp(step, (h,), (v,))[1]

        out: Tensor = vmap(along, in_dims=2, out_dims=2)(tangents)
        return out.detach()


def as_state_map(net: nn.Module | Step | StateMap) -> StateMap:
    """The map of a module; a map is itself."""
    return net if isinstance(net, StateMap) else StateMap(net)
