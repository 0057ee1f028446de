"""What the recurrent layers of a model saw in the run that is trained on."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from ...operators import OwnHook
from ...results import wrong, wrong_type


class Seen(NamedTuple):
    """Of the longest examples of one run of one module.

    Attributes:
        inputs: Shape (T, n, I).
        starts: What the run began with, h or (h, c), each (layers and directions, n, size); None
            for zeros.
    """

    inputs: Tensor
    starts: tuple[Tensor, ...] | None


class Witness:
    """Keeps the last training run of every ``nn.RNN``, ``nn.GRU`` and ``nn.LSTM`` of a model.

    A hook on each of them; runs in evaluation mode or without gradients are not kept. Nothing is
    kept while ``awake`` is False.

    Args:
        model: Any module.
        examples: Of how many examples; of packed sequences the longest.

    Attributes:
        modules: The recurrent modules by name.
        seen: What they saw, by name, since ``forget``.
        awake: Whether to keep anything.

    Raises:
        UsageError: No such module.
    """

    def __init__(self, model: nn.Module, examples: int):
        given: object = model
        if not isinstance(given, nn.Module):
            way_out = "pass the module that holds the nn.RNN, nn.GRU or nn.LSTM"
            raise wrong_type("model", "be a torch module", type(model).__name__, way_out)
        self.modules = {name: m for name, m in model.named_modules() if isinstance(m, nn.RNNBase)}
        if not self.modules:
            way_out = "pass the module that holds it; cells in a loop of your own are not seen"
            rule = "hold an nn.RNN, nn.GRU or nn.LSTM"
            raise wrong("model", rule, type(model).__name__, way_out)
        self.examples, self.awake, self.seen = examples, True, dict[str, Seen]()
        self._hooks = [
            module.register_forward_hook(OwnHook(self._heard(name)), with_kwargs=True)
            for name, module in self.modules.items()
        ]

    def forget(self) -> None:
        """Drop what was kept."""
        self.seen.clear()

    def remove(self) -> None:
        """Take the hooks off."""
        self.forget()
        for hook in self._hooks:
            hook.remove()

    def _heard(self, name: str) -> Any:
        def hook(module: nn.RNNBase, args: Any, kwargs: dict[str, Any], _: Any) -> None:
            if self.awake and module.training and torch.is_grad_enabled():
                x = args[0] if args else kwargs["input"]
                hx = args[1] if len(args) > 1 else kwargs.get("hx")
                self.seen[name] = _kept(module, x, hx, self.examples)

        return hook


@torch.no_grad()
def _kept(module: nn.RNNBase, x: Tensor | PackedSequence, hx: Any, examples: int) -> Seen:
    """Copies of a few examples, time first."""
    starts = None if hx is None else tuple(hx) if isinstance(hx, tuple | list) else (hx,)
    if isinstance(x, PackedSequence):
        padded, lengths = pad_packed_sequence(x)
        chosen = lengths.argsort(descending=True, stable=True)[:examples]
        data = padded[: int(lengths[chosen[-1]]), chosen.to(padded.device)]
    else:
        batched = x if x.ndim == 3 else x.unsqueeze(0 if module.batch_first else 1)
        first = batched.transpose(0, 1) if module.batch_first else batched
        chosen = torch.arange(min(examples, first.shape[1]))
        data = first[:, : len(chosen)]
    if starts is not None:
        whole = [start if start.ndim == 3 else start.unsqueeze(1) for start in starts]
        starts = tuple(start[:, chosen.to(start.device)].clone() for start in whole)
    return Seen(data.clone(), starts)
