"""Gradients and weights that optimizers refuse alike."""

from __future__ import annotations

from torch import Tensor

from ..results import UsageError, wrong


def not_whole(argument: str, name: str, part: str) -> UsageError:
    """What is said of a weight of which each process holds a part."""
    way_out = "train with DistributedDataParallel, or by SDProp, which steps sharded weights"
    return wrong(argument, f"hold {name} whole", f"a {part}", way_out)


def check_dense(grad: Tensor) -> None:
    """Refuse a sparse gradient."""
    if grad.is_sparse:
        got = f"a sparse one for a weight of shape {tuple(grad.shape)}"
        way_out = "build the embedding with sparse=False or use torch.optim.SparseAdam"
        raise wrong("gradients", "be dense", got, way_out)
