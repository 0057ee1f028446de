"""Texts of different lengths in one batch: each is read at its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

TOKENS, MASK = "input_ids", "attention_mask"  # as tokenizers call them


def lengths(tree: Any) -> list[int] | None:
    """Tokens of each text; None where the inputs are no tokens with a mask of whole numbers.

    Nor where the tokens of some text are no unbroken row, or where there are none.
    """
    mask = _mask(tree)
    if mask is None:
        return None
    on = mask.bool()
    switches = (on[:, 1:] != on[:, :-1]).sum(1) + on[:, 0].long() + on[:, -1].long()
    if not bool((on.any(1) & (switches <= 2)).all()):
        return None
    return [int(count) for count in on.sum(1)]


def own_length(tree: Any) -> Any:
    """One text, ``(1, longest)``, without what fills it up: every part as long is cut like it."""
    mask = _mask(tree)
    if mask is None or lengths(tree) is None or bool(mask.all()):
        return tree
    columns = mask[0].nonzero()[:, 0]

    def cut(part: Any) -> Any:
        along = isinstance(part, Tensor) and part.shape[:2] == mask.shape
        return part[:, columns] if along else part

    return {name: cut(part) for name, part in tree.items()}


def _mask(tree: Any) -> Tensor | None:
    if not isinstance(tree, Mapping):
        return None
    tokens, mask = tree.get(TOKENS), tree.get(MASK)
    if not isinstance(tokens, Tensor) or not isinstance(mask, Tensor):
        return None
    whole = not tokens.is_floating_point() and not mask.is_floating_point()
    return mask if whole and mask.ndim == 2 and tokens.shape == mask.shape else None
