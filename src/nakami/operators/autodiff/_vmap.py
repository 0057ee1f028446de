"""``torch.vmap`` without a line on the terminal for each product."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


def silence() -> None:
    """Let torch say nothing of operations that ``vmap`` takes row by row (``glu``, ``mish``).

    It writes a line on performance at every call of one, past Python's warnings. There is no way to
    ask whether that was on, so it stays off.
    """
    torch._C._functorch._set_vmap_fallback_warning_enabled(False)  # type: ignore[attr-defined]


def vmap(
    function: Callable[..., Any], in_dims: int = 0, out_dims: int = 0, chunk_size: int | None = None
) -> Callable[..., Any]:
    """As ``torch.vmap``."""
    silence()
    return torch.vmap(function, in_dims, out_dims, chunk_size=chunk_size)
