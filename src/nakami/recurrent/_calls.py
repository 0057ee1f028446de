"""What each recurrent layer gets while its network runs: sequences and first states."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from ..operators import FunctionalModel, is_recurrent, kind_of
from ..results import named_as, unknown, wrong, wrong_type
from ._state_map import StateMap


@dataclass
class Driven:
    """A recurrent layer with what drives it.

    A call that begins with the states that the last one ended with goes on with its sequences;
    another one begins new ones.

    Attributes:
        name: The module's. module: Itself.
        sequences: Each of shape (T, I). starts: State before the first step of each, (S,).
    """

    name: str
    module: nn.Module
    sequences: list[Tensor] = field(default_factory=list)
    starts: list[Tensor] = field(default_factory=list)
    ends: Tensor | None = None  # of the sequences of the last call

    @property
    def kind(self) -> str:
        """``RNN``, ``GRU`` or ``LSTM``."""
        return kind_of(self.module)

    def add(self, parts: list[Tensor], starts: Tensor, ends: Tensor) -> None:
        """Another call: its sequences, and the states (B, S) before and after."""
        if self.ends is not None and torch.equal(starts, self.ends):
            first = len(self.sequences) - len(parts)
            for i, part in enumerate(parts, first):
                self.sequences[i] = torch.cat([self.sequences[i], part])
        else:
            self.sequences += parts
            self.starts += list(starts)
        self.ends = ends


def driven_layers(model: nn.Module, inputs: Any, names: list[str] | None) -> list[Driven]:
    """The recurrent layers that ran, in that order, with what drove them.

    Args:
        model: A network with recurrent modules, or such a module, whose inputs are then (N, T, I).
        inputs: Examples along axis 0, as the network takes them.
        names: Which of the layers; None for all.

    Raises:
        UsageError: Inputs that the network cannot take; no recurrent layer, a name that is none,
            two directions; a layer that does not run, or gets a single step at a time, with other
            states than it gave.
    """
    given: object = model
    if not isinstance(given, nn.Module):
        got, way_out = type(given).__name__, "pass the network; for a function use fixed_points"
        raise wrong_type("model", "be a torch.nn.Module", got, way_out)
    if is_recurrent(model):
        data = StateMap(model).sequences(inputs)
        starts = [data.new_zeros(StateMap(model).state_size)] * len(data)
        return [Driven("", model, list(data), starts)]
    there = recurrent_modules(model)
    if not there:
        way_out = "pass a network with one, or use fixed_points with a function step(x, h)"
        raise wrong("model", "hold an nn.RNN, nn.GRU or nn.LSTM", type(model).__name__, way_out)
    for name in names or ():
        if name not in there:
            raise unknown("layer", name, list(there))
    chosen = {name: m for name, m in there.items() if names is None or name in names}
    for name, module in chosen.items():
        if getattr(module, "bidirectional", False):
            got, others = f"{name}, bidirectional", [n for n in there if n != name]
            way_out = f"name others by layers= ({', '.join(others)})" if others else "read another"
            subject = "layers" if names else "recurrent layers"
            raise wrong(subject, "have one direction", got, way_out)
    found = {name: Driven(name, module) for name, module in chosen.items()}
    ran = list[str]()
    network = FunctionalModel(model)
    hooks = [
        module.register_forward_hook(_hook(found[name], ran), with_kwargs=True)
        for name, module in chosen.items()
    ]
    try:
        with named_as("x", "inputs"):
            example = network.example(inputs, batch=True)
        with torch.no_grad(), named_as("x", "inputs"), network.explained(example):
            network.run_in(lambda: network.caller(example.tree))
    finally:
        for hook in hooks:
            hook.remove()
    missing = [name for name in chosen if not found[name].sequences]
    if missing and (names is not None or len(missing) == len(chosen)):
        way_out = "pass inputs that reach it"
        raise wrong("layers", "run at these inputs", f"{missing[0]}, which did not run", way_out)
    layers = [found[name] for name in dict.fromkeys(ran)]
    for layer in layers:
        if max(map(len, layer.sequences)) < 2:
            got = f"single steps at {layer.name}"
            way_out = "pass longer sequences, or read it alone with inputs of its own"
            raise wrong("inputs", "be sequences that carry the state on", got, way_out)
    return layers


def recurrent_modules(model: nn.Module) -> dict[str, nn.Module]:
    """The ``nn.RNN``, ``nn.GRU`` and ``nn.LSTM`` of a network, and cells, by name."""
    return {name: m for name, m in model.named_modules() if is_recurrent(m)}


def _hook(driven: Driven, ran: list[str]) -> Any:
    def caught(module: nn.Module, args: Any, named: Mapping[str, Any], output: Any) -> None:
        ran.append(driven.name)
        x = args[0] if args else named["input"]
        start = args[1] if len(args) > 1 else named.get("hx")
        if isinstance(module, nn.RNNBase):
            parts, ends = _of_layer(module, x), _states(output[1], stacked=True)
        else:
            parts, ends = list((x if x.ndim == 2 else x[None])[:, None]), _states(output)
        stacked = isinstance(module, nn.RNNBase)
        starts = torch.zeros_like(ends) if start is None else _states(start, stacked)
        driven.add([part.double() for part in parts], starts, ends)

    return caught


def _of_layer(module: nn.RNNBase, x: Tensor | PackedSequence) -> list[Tensor]:
    """Each sequence, (T, I)."""
    if isinstance(x, PackedSequence):
        padded, lengths = pad_packed_sequence(x, batch_first=True)
        return [row[:n] for row, n in zip(padded, lengths.tolist(), strict=True)]
    rows = x[None] if x.ndim == 2 else x if module.batch_first else x.transpose(0, 1)
    return list(rows)


def _states(value: Any, stacked: bool = False) -> Tensor:
    """States (B, S) of ``h`` or ``(h, c)``: (B, H) or (H) each; (layers, B, H) or (layers, H)."""
    flat = []
    for part in value if isinstance(value, tuple | list) else (value,):
        if stacked:
            rows = part.reshape(len(part), -1, part.shape[-1]).transpose(0, 1).flatten(1)
        else:
            rows = part.reshape(-1, part.shape[-1])
        flat.append(rows.double())
    return torch.cat(flat, dim=1)
