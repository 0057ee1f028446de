"""The two factors of a layer's Fisher matrix: moments, running means, eigenbases, and the solve."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed

Pairs = list[tuple[Tensor, Tensor]]  # a layer's inputs and slopes, (rows, positions, numbers)


def squares_in_bases(pairs: Pairs, state: dict[str, Any], rows: int) -> Tensor:
    """Sum over examples of squared gradients in the eigenbases, ``(o, i)``."""
    turned = [(x @ state["inputs_basis"], d @ state["slopes_basis"]) for x, d in pairs]
    if all(x.shape[0] == rows for x, _ in turned):
        if len(turned) == 1 and turned[0][0].shape[1] == 1:
            x, d = turned[0]
            return d[:, 0].square().T @ x[:, 0].square()
        total = torch.zeros_like(state["scales"])
        for row in range(rows):
            total += torch.stack([d[row].T @ x[row] for x, d in turned]).sum(0).square()
        return total
    whole = [d.flatten(0, 1).T @ x.flatten(0, 1) for x, d in turned]
    return torch.stack(whole).sum(0).square()


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
        values, basis = torch.linalg.eigh(state[key].double())
        kind = state[key].dtype
        state[f"{key}_values"] = values.clamp_min(0).to(kind)
        state[f"{key}_basis"] = basis.to(kind)


def solved(state: dict[str, Any], grad: Tensor, damping: float) -> Tensor:
    """``(F + damping)^-1`` of a gradient ``(o, i)``."""
    left, right = state["slopes_basis"], state["inputs_basis"]
    return left @ ((left.T @ grad @ right) / (state["scales"] + damping)) @ right.T


def decayed(p: Tensor, group: dict[str, Any]) -> Tensor:
    assert p.grad is not None
    return p.grad.add(p, alpha=group["weight_decay"]) if group["weight_decay"] else p.grad


def together() -> bool:
    return distributed.is_available() and distributed.is_initialized()


def over_processes(values: Tensor) -> Tensor:
    """The sum over processes that train together."""
    if together():
        values = values.clone()
        distributed.all_reduce(values)
    return values
