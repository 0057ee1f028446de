"""Gradients and weights that optimizers refuse alike."""

from __future__ import annotations

from torch import Tensor

from ..results import wrong


def check_whole(weight: Tensor, argument: str, name: str) -> None:
    """Refuse a weight of which each process holds a part."""
    if hasattr(weight, "device_mesh"):
        way_out = "train with DistributedDataParallel, or by SDProp, which steps sharded weights"
        raise wrong(argument, f"hold {name} whole", f"a {type(weight.data).__name__}", way_out)


def check_dense(grad: Tensor) -> None:
    """Refuse a sparse gradient."""
    if grad.is_sparse:
        got = f"a sparse one for a weight of shape {tuple(grad.shape)}"
        way_out = "build the embedding with sparse=False or use torch.optim.SparseAdam"
        raise wrong("gradients", "be dense", got, way_out)
