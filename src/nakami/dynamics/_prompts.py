"""Prompts of a lens, one by one, in whatever form they come, with the positions that count."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..data import fingerprint
from ..operators import Example, FunctionalModel
from ..results import counted, unknown, wrong, wrong_type
from ._inputs import Inputs
from ._padding import MASK


@dataclass(frozen=True)
class Prompt:
    """One input.

    Attributes:
        example: As the network takes it.
        mask: Which positions are no padding, ``(positions,)`` bool; None for all.
    """

    example: Example
    mask: Tensor | None

    def fingerprint(self) -> str:
        """SHA-256 of it and of which positions count."""
        return fingerprint(*self.example.leaves, *(() if self.mask is None else (self.mask,)))


def fingerprint_of(found: Iterable[Prompt]) -> str:
    """SHA-256 of several prompts in their order, as runs and lenses keep it."""
    digest = hashlib.sha256()
    for prompt in found:
        digest.update(prompt.fingerprint().encode())
    return digest.hexdigest()


def prompts(network: FunctionalModel, data: Any, mask: Any) -> Iterator[Prompt]:
    """The prompts of ``data``; the forms stand in ``nakami.lens``."""
    if _are_sequences(data):
        if mask is not None:
            way_out = "leave it out: prompts of their own lengths have no padding"
            raise wrong("mask", "come with one tensor of prompts", "a list of prompts", way_out)
        for one in data:
            yield from _rows(network, torch.as_tensor(one)[None], None)
    elif _is_tree(data):
        yield from _rows(network, data, mask)
    elif isinstance(data, Iterable) and not isinstance(data, (str, bytes)):
        if mask is not None and not isinstance(mask, str):
            rule, way_out = "be the name of a mask in each batch", "pass mask='attention_mask'"
            raise wrong_type("mask", rule, type(mask).__name__, way_out)
        for batch in data:
            yield from _rows(network, batch, mask)
    else:
        rule = "be a tensor of prompts along axis 0, a list of token sequences or batches of such"
        raise wrong_type("data", rule, type(data).__name__, "pass token ids, (N, length)")


def _are_sequences(data: Any) -> bool:
    """Whether it is a list of token ids, each prompt with its own length."""
    if not isinstance(data, (list, tuple)) or not data:
        return False
    return all(
        isinstance(one, (Tensor, np.ndarray)) and one.ndim == 1 and not _floating(one)
        for one in data
    )


def _floating(one: Tensor | np.ndarray) -> bool:
    return one.is_floating_point() if isinstance(one, Tensor) else one.dtype.kind == "f"


def _is_tree(data: Any) -> bool:
    known = isinstance(data, (Tensor, np.ndarray, Mapping, tuple, list))
    return known or is_dataclass(data) or hasattr(data, "to")


def _rows(network: FunctionalModel, tree: Any, mask: Any) -> Iterator[Prompt]:
    inputs = Inputs(tree, network)
    found = _mask(tree, mask)
    if found is not None and not inputs.whole and len(found) != len(inputs):
        rule = f"have a row for each of {counted(len(inputs), 'prompt')}"
        raise wrong("mask", rule, f"shape {tuple(found.shape)}", "pass (N, positions)")
    for i in range(len(inputs)):
        example = inputs.at(i)
        if found is None:
            yield Prompt(example, None)
        else:
            row = (found if inputs.whole else found[i]).reshape(-1)
            yield Prompt(example, row[_kept(tree, i, example, len(row))])


def _kept(tree: Any, i: int, example: Example, columns: int) -> Tensor | slice:
    """Which columns of a mask are left where a padded text is read at its own length."""
    own = example.tree.get(MASK) if isinstance(example.tree, Mapping) else None
    if not isinstance(own, Tensor) or own.ndim != 2 or own.shape[1] == columns:
        return slice(None)
    return torch.as_tensor(tree[MASK])[i].bool().cpu()


def _mask(tree: Any, mask: Any) -> Tensor | None:
    """The mask as given or named, else the usual one of a mapping; ``(N, positions)`` bool."""
    named = isinstance(mask, str)
    if named and not (isinstance(tree, Mapping) and mask in tree):
        if isinstance(tree, Mapping):
            raise unknown("mask", mask, [str(name) for name in tree])
        way_out = "pass the mask itself, (N, positions)"
        raise wrong("mask", "be a name where data is a mapping", repr(mask), way_out)
    usual = mask is None and isinstance(tree, Mapping) and MASK in tree
    found = tree[mask] if named else tree[MASK] if usual else mask
    if found is None:
        return None
    if not isinstance(found, (Tensor, np.ndarray, Sequence)) or isinstance(found, str):
        way_out = "pass True where a position counts, (N, positions)"
        raise wrong_type("mask", "be a tensor or a name in the data", type(found).__name__, way_out)
    found = torch.as_tensor(found)
    if found.ndim != 2:
        if usual:
            return None
        way_out = "pass True where a position counts"
        raise wrong("mask", "be (N, positions)", f"shape {tuple(found.shape)}", way_out)
    return found.cpu() != 0
