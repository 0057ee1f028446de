"""Nested states (of optimizers, say) as a text and tensors, so that no pickle is needed.

A file of these runs no code when it is read.
"""

from __future__ import annotations

import json
from typing import Any

from safetensors.torch import save
from torch import Tensor


def pack(state: Any) -> tuple[str, bytes]:
    """A tree of dicts, lists, tuples, tensors, numbers and texts.

    Returns:
        Its shape as JSON, and its tensors as a safetensors file.

    Raises:
        TypeError: Something else is in it.
    """
    tensors: dict[str, Tensor] = {}

    def shape(node: Any) -> Any:
        if isinstance(node, Tensor):
            tensors[str(len(tensors))] = node
            return {"tensor": str(len(tensors) - 1)}
        if isinstance(node, dict):
            return {"dict": [[key, shape(value)] for key, value in node.items()]}
        if isinstance(node, (list, tuple)):
            return {type(node).__name__: [shape(value) for value in node]}
        if node is None or isinstance(node, (bool, int, float, str)):
            return node
        raise TypeError(
            f"a state must hold tensors, numbers and texts, got {type(node).__name__}; return such "
            "from state_dict()."
        )

    text = json.dumps(shape(state))
    return text, saved(tensors)


def unpack(text: str, tensors: dict[str, Tensor]) -> Any:
    """The tree again."""

    def tree(node: Any) -> Any:
        if not isinstance(node, dict):
            return node
        ((kind, content),) = node.items()
        if kind == "tensor":
            return tensors[content]
        if kind == "dict":
            return {key: tree(value) for key, value in content}
        return {"list": list, "tuple": tuple}[kind](tree(value) for value in content)

    return tree(json.loads(text))


def saved(tensors: dict[str, Tensor]) -> bytes:
    """A safetensors file; tensors that share memory are written once each."""
    return save({name: t.detach().cpu().clone().contiguous() for name, t in tensors.items()})
