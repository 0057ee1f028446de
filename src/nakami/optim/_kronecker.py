"""The two factors of a layer's Fisher matrix: moments, running means, eigenbases, and the solve."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, distributed

from ..spectra import _lapack
from ._dense import check_dense

Pairs = list[tuple[Tensor, Tensor]]  # a layer's inputs and slopes, (rows, positions, numbers)


def squares_in_bases(pairs: Pairs, state: dict[str, Any], rows: int) -> Tensor:
    """Sum over examples of squared gradients in the eigenbases, ``(o, i)``."""
    turned = [(x @ state["inputs_basis"], d @ state["slopes_basis"]) for x, d in pairs]
    return products(turned, rows, [lambda g: g])[0]


def products(pairs: Pairs, rows: int, with_: list[Callable[[Tensor], Tensor]]) -> list[Tensor]:
    """Sums over examples of a gradient times a choice of its columns.

    Args:
        pairs: Inputs and slopes, whose products sum up to the gradients ``(o, i)``.
        rows: Examples of the batch. Where a pair has another number of rows the gradient of the
            whole batch is taken, which is right in the mean.
        with_: Choices of columns, (..., i) to (..., i) or (..., 1).

    Returns:
        For each choice ``sum g * choice(g)``, (o, i).
    """
    if len(pairs) == 1 and pairs[0][0].shape[:2] == (rows, 1):
        x, d = pairs[0][0][:, 0], pairs[0][1][:, 0]
        return [d.square().T @ (x * choice(x)) for choice in with_]
    if all(x.shape[0] == rows for x, _ in pairs):
        cuts: list[Any] = [*range(rows)]
    else:
        cuts = [slice(None)]
    totals = [torch.zeros(()).to(pairs[0][0]) for _ in with_]
    for at in cuts:
        uses = [(x[at].reshape(-1, x.shape[2]), d[at].reshape(-1, d.shape[2])) for x, d in pairs]
        g = torch.stack([d.T @ x for x, d in uses]).sum(0)
        totals = [total + g * choice(g) for total, choice in zip(totals, with_, strict=True)]
    return totals


def moments(parts: list[Tensor]) -> Tensor:
    """Sum of ``v v^T`` over rows and positions."""
    flat = [part.flatten(0, 1) for part in parts]
    return torch.stack([rows.T @ rows for rows in flat]).sum(0)


def average(state: dict[str, Any], key: str, new: Tensor, decay: float) -> None:
    """A running mean without the bias of its start: early ones are plain means."""
    count = float(state.get(f"{key}_weight", 0.0))
    weight = decay * count + 1 - decay
    old = state.get(key)
    state[key] = new.clone() if old is None else old + (new - old) * ((1 - decay) / weight)
    state[f"{key}_weight"] = weight


def decompose(state: dict[str, Any]) -> None:
    for key in ("inputs", "slopes"):
        # in float64: LAPACK may fail on float32 matrices with many equal small eigenvalues
        values, basis = _lapack.eigh(state[key].double())
        kind = state[key].dtype
        state[f"{key}_values"] = values.clamp_min(0).to(kind)
        state[f"{key}_basis"] = basis.to(kind)


def solved(state: dict[str, Any], grad: Tensor, damping: float) -> Tensor:
    """``(F + damping)^-1`` of a gradient ``(o, i)``."""
    left, right = state["slopes_basis"], state["inputs_basis"]
    return left @ ((left.T @ grad @ right) / (state["scales"] + damping)) @ right.T


def decayed(p: Tensor, group: dict[str, Any]) -> Tensor:
    assert p.grad is not None
    check_dense(p.grad)
    return p.grad.add(p, alpha=group["weight_decay"]) if group["weight_decay"] else p.grad


def together() -> bool:
    """Whether several processes train together."""
    ready = distributed.is_available() and distributed.is_initialized()
    return ready and distributed.get_world_size() > 1


def rank() -> int:
    """Of this process among those that train together."""
    return distributed.get_rank() if together() else 0


def used_by_any(samples: float, used: list[bool], like: Tensor) -> tuple[Tensor, list[bool]]:
    """The samples of all processes, and which parts any of them used.

    Each process must then reduce all of these, with zeros for what it did not use itself.
    """
    numbers = torch.tensor([samples, *map(float, used)], device=like.device)
    numbers = over_processes(numbers)
    return numbers[0], [count > 0 for count in numbers[1:].tolist()]


def used_by_all(used: list[bool], like: Tensor) -> list[bool]:
    """Which parts every process used."""
    return [not any_lacks for any_lacks in used_by_any(0.0, [not use for use in used], like)[1]]


def over_processes(values: Tensor) -> Tensor:
    """The sum over processes that train together."""
    if together():
        values = values.clone()
        distributed.all_reduce(values)
    return values
