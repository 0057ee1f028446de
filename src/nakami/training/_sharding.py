"""Weights of which each process holds a part (FSDP2), and the whole of them in checkpoints."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.optim import Optimizer

from ._together import is_part, ranks


def sharded(module: nn.Module) -> nn.Module:
    """A copy of a module for the training that runs here; each process holds its part of it.

    Call it before the optimizer is made. By torch's ``fully_shard``: weights, gradients and what
    an optimizer keeps are split over the processes of ``together`` along axis 0; the items of a
    ``ModuleList`` or ``Sequential`` are gathered one at a time while they compute. ``fit`` and
    ``Training`` take it as any module; what they write is whole, so that any number of processes
    goes on with it. In one process it is a plain copy.

    Args:
        module: The same in all processes. Each holds it whole for a moment, here and in
            checkpoints.
    """
    learner, here = copy.deepcopy(module), ranks()
    if here.size == 1:
        return learner
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    kind = "cuda" if dist.get_backend() == "nccl" else "cpu"
    if kind == "cuda":
        learner.to(f"cuda:{here.local}")
    mesh = init_device_mesh(kind, (here.size,))
    for part in _items(learner):
        fully_shard(part, mesh=mesh)
    fully_shard(learner, mesh=mesh)
    return learner


def _items(module: nn.Module) -> list[nn.Module]:
    """The outermost items of lists and sequences that hold weights."""
    found: list[nn.Module] = []
    for child in module.children():
        if isinstance(module, (nn.ModuleList, nn.Sequential)):
            found += [child] if any(True for _ in child.parameters()) else []
        else:
            found += _items(child)
    return found


def is_sharded(module: nn.Module) -> bool:
    """Whether it holds parts."""
    return any(is_part(p) for p in module.parameters())


def own_part(tensor: Tensor) -> Tensor:
    """What this process holds of it."""
    return tensor.to_local() if is_part(tensor) else tensor  # type: ignore[attr-defined]


def gathered(tree: Any) -> Any:
    """A state with whole tensors in place of parts; all processes call it together."""
    if isinstance(tree, Tensor):
        return tree.full_tensor() if is_part(tree) else tree  # type: ignore[attr-defined]
    if isinstance(tree, Mapping):
        return {key: gathered(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(gathered(value) for value in tree)
    return tree


def load_module(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """``load_state_dict`` of whole tensors, of which each process keeps its part."""
    like = module.state_dict() if is_sharded(module) else {}
    module.load_state_dict({name: _as(value, like.get(name)) for name, value in state.items()})


def load_optimizer(optimizer: Optimizer, state: Mapping[str, Any]) -> None:
    """The same of an optimizer, for what has the shape of its parameter."""
    held = [p for group in optimizer.param_groups for p in group["params"]]
    named = [index for group in state["param_groups"] for index in group["params"]]
    of = dict(zip(named, held, strict=True))
    parts = {
        index: {key: _as(value, of[index]) for key, value in kept.items()}
        for index, kept in state["state"].items()
    }
    optimizer.load_state_dict({**state, "state": parts})


def _as(value: Any, like: Tensor | None) -> Any:
    """A whole tensor as parts, where ``like`` is held so."""
    if like is None or not is_part(like) or not isinstance(value, Tensor):
        return value
    if value.shape != like.shape:
        return value
    from torch.distributed.tensor import distribute_tensor

    mesh, places = like.device_mesh, like.placements  # type: ignore[attr-defined]
    # each process has it whole: nothing is sent
    return distribute_tensor(value.to(like.device), mesh, places, src_data_rank=None)


def all_finite(module: nn.Module) -> bool:
    """Whether all weights are finite, in each process."""
    here = all(bool(torch.isfinite(own_part(p)).all()) for p in module.parameters())
    if not is_sharded(module):
        return here
    device = next(module.parameters()).device
    return not ranks().summed(torch.tensor(float(not here), device=device)).item()
