"""The vocabulary of a model of language, with the matrix that makes words of its last states."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._folder import folder_of, quiet
from ._texts import FILES, LANGUAGE, tokenizer_of

if TYPE_CHECKING:
    from torch import nn


def words(model: str, network: nn.Module) -> tuple[Any, list[str]] | None:
    """Unembedding times the gains of the last normalisation, and the pieces; None without them."""
    folder = folder_of(model)
    there = any((folder.path / name).is_file() for name in FILES)
    if not folder.kind.endswith(LANGUAGE) or not there:
        return None
    head: Any = network.get_output_embeddings()  # type: ignore[operator]
    if getattr(head, "weight", None) is None:
        return None
    matrix = head.weight.detach()
    with quiet():
        tokenizer = tokenizer_of(folder)
        known = min(len(tokenizer), len(matrix))
        pieces = [str(piece) for piece in tokenizer.convert_ids_to_tokens(range(known))]
    gains = _last_gains(network, matrix.shape[1])
    return (matrix if gains is None else matrix * gains)[:known], pieces


def _last_gains(network: nn.Module, width: int) -> Any:
    """Of the last normalisation of that width, in the order of the modules; None without one."""
    found = None
    for module in network.modules():
        weight = getattr(module, "weight", None)
        named = "norm" in type(module).__name__.lower()
        if named and weight is not None and tuple(weight.shape) == (width,):
            found = weight.detach()
    return found
