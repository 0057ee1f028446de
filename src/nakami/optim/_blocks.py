"""Lists of tensors in pieces that fit a processor's cache.

An update that treats each number alone may run on any piece of the tensors. Torch's operations pass
over memory once each; on pieces that stay in the cache the main memory is passed once in all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

BLOCK = 1 << 15  # numbers: with six tensors of float32, about what a core's second cache holds
Row = list[list[Tensor]]  # for each role (weights, gradients, ...) as many tensors


def blocks(roles: Sequence[Sequence[Tensor]], size: int = BLOCK) -> Iterator[Row]:
    """Pieces of about ``size`` numbers: small tensors together, large ones cut.

    Args:
        roles: For each role a list of tensors; those at one place of all lists have one shape.
        size: Numbers of a role in a piece.

    Yields:
        The same roles, with views of the tensors.
    """
    held: Row = [[] for _ in roles]
    numbers = 0
    for column in zip(*roles, strict=True):
        count = column[0].numel()
        if count > size and all(tensor.is_cpu and tensor.is_contiguous() for tensor in column):
            for piece in zip(*(tensor.view(-1).split(size) for tensor in column), strict=True):
                yield [[part] for part in piece]
            continue
        if numbers + count > size and numbers:
            yield held
            held, numbers = [[] for _ in roles], 0
        for role, tensor in zip(held, column, strict=True):
            role.append(tensor)
        numbers += count
    if numbers:
        yield held


def plain(tensors: Sequence[Tensor]) -> bool:
    """Whether all are torch's own tensors, and not parts of a distributed one or the like."""
    return all(type(tensor) in (Tensor, torch.nn.Parameter) for tensor in tensors)
