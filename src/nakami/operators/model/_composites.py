"""Functions in another form, for right second derivatives."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from ...spectra import autocast_enabled as enabled
from ...spectra import autocast_put_back
from ._losses_again import LOSSES


class Composites(TorchFunctionMode):
    """Functions whose second derivative torch has wrong or not at all, as plain arithmetic.

    The backward of ``_weight_norm`` differentiated again is wrong (by 40 %, torch 2.13), that of
    ``mse_loss`` is refused by forward mode or ends the process, that of ``huber_loss`` is missing.
    ``cdist`` has no forward mode nor second derivative; its first is wrong under ``vmap``.
    ``pdist`` and ``hardsigmoid`` have no second derivative.
    ``ctc_loss`` and margin losses have no second derivative, or one that no transform takes.

    Forward and reverse mode of ``prelu`` disagree at 0.

    Autocast is lifted: functions compute in the types of what they get. Embeddings have the plain
    derivative of what they look up: as dense tensors, not divided by how often a token occurs
    (``scale_grad_by_freq``), and without a look at ``max_norm``, see ``follow_conventions``.

    Attributes:
        lifted: Whether autocast was on.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lifted, self._before = False, ExitStack()

    def __enter__(self) -> Composites:
        """Begin, with a note of where autocast is on."""
        self._before.enter_context(autocast_put_back())
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        """End, with autocast on where it was on before."""
        super().__exit__(*error)
        self._before.close()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """The function, or its composite."""
        for kind in enabled():  # within the autocast that a forward switched on itself
            torch.set_autocast_enabled(kind, False)
            self.lifted = True
        return _COMPOSITES.get(func, func)(*args, **(kwargs or {}))


def _weight_norm(v: Tensor, g: Tensor, dim: int = 0) -> Tensor:
    return v * (g / torch.norm_except_dim(v, 2, dim))


def _prelu(x: Tensor, weight: Tensor) -> Tensor:
    axes = (-1, *[1] * (x.ndim - 2)) if x.ndim > 1 else ()
    slopes = weight.reshape(axes) if weight.ndim else weight
    return torch.where(x > 0, x, slopes * x)


def _cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: Any = None) -> Tensor:
    return torch.linalg.vector_norm(x1.unsqueeze(-2) - x2.unsqueeze(-3), p, -1)


def _pdist(input: Tensor, p: float = 2.0) -> Tensor:  # noqa: A002
    i, j = torch.triu_indices(len(input), len(input), 1, device=input.device)
    return torch.linalg.vector_norm(input[i] - input[j], p, -1)


def _hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:  # noqa: A002
    inside = (input > -3) & (input < 3)  # the derivative is zero at the ends, as in training
    found = torch.where(inside, input / 6 + 0.5, (input >= 3).to(input))
    return input.copy_(found) if inplace else found


def _embedding(
    input: Tensor,  # noqa: A002
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    return functional.embedding(input, weight, padding_idx)


def _embedding_bag(
    input: Tensor,  # noqa: A002
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    if input.ndim != 2 or mode == "max":
        rest = (per_sample_weights, include_last_offset, padding_idx)
        options = (None, norm_type, False, mode, False)
        return functional.embedding_bag(input, weight, offsets, *options, *rest)
    each = functional.embedding(input, weight, padding_idx)
    if per_sample_weights is not None:
        each = each * per_sample_weights.unsqueeze(-1)
    if padding_idx is None:
        return each.mean(1) if mode == "mean" else each.sum(1)
    seen = (input != padding_idx).unsqueeze(-1).to(each)
    total = (each * seen).sum(1)
    return total / seen.sum(1).clamp_min(1) if mode == "mean" else total


_COMPOSITES: dict[Any, Any] = {
    functional.embedding: _embedding,
    functional.embedding_bag: _embedding_bag,
    **LOSSES,
    torch._weight_norm: _weight_norm,
    torch.cdist: _cdist,
    torch.pdist: _pdist,
    functional.hardsigmoid: _hardsigmoid,
    torch.prelu: _prelu,
}
