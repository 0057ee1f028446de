"""The examples of an x-ray, in whatever form a model takes them."""

from __future__ import annotations

from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from ..data import fingerprint
from ..operators import Example, FunctionalModel, as_tensors, as_typed, leaves_of, separate_rows
from ..results import counted, wrong, wrong_type
from ..spectra import check_entries
from ._padding import lengths, own_length

TRIED = 8  # rows of the inputs by which it is seen whether they see each other


@final
class Inputs:
    """Examples along axis 0 of a tensor, or of the tensors of a tuple, list, dict or object.

    Args:
        tree: The examples; checked here.
        network: What reads them: integers alone need an embedding.

    Attributes:
        whole: Whether the rows see each other (a sequence with time along axis 0, the nodes of a
            graph), so that all are one input.

    Raises:
        UsageError: No example, not finite, or nothing that moves.
    """

    def __init__(self, tree: Any, network: FunctionalModel):
        tree = as_tensors(tree, "inputs")
        _check(leaves_of(tree), tree, network.embeds)
        self._all, self._network = Example(tree, batch=True), network
        self.dtype = self._all.vector.dtype if self._all.moving else torch.get_default_dtype()
        self.whole = _whole(network, self._all)

    def __len__(self) -> int:
        return 1 if self.whole else self._all.count

    def at(self, index: int) -> Example:
        """Input ``index`` as the network takes it; a text of a padded batch at its own length."""
        if self.whole:
            return self._network.example(self._all.tree, batch=True)
        one = self._all.rows(index, index + 1)
        return self._network.example(own_length(one.tree), batch=True)

    @property
    def longest(self) -> int:
        """The longest of texts of different lengths, else the first input."""
        return int(np.argmax(self._lengths))

    @property
    def shortest(self) -> int:
        """Likewise the shortest."""
        return int(np.argmin(self._lengths))

    @property
    def _lengths(self) -> list[int]:
        return (None if self.whole else lengths(self._all.tree)) or [0]

    def fingerprint(self) -> str:
        """SHA-256 of all tensors."""
        return fingerprint(*self._all.leaves)

    def arrays(self) -> np.ndarray:
        """What a run keeps: one row for each input.

        A tensor as it is; of several the floating ones that are no masks, flattened and joined,
        ``(N, n)``; where none is floating the first (tokens).
        """
        leaves = self._all.leaves
        if len(leaves) == 1 or not self._all.moving:
            return as_array(leaves[0][None] if self.whole else leaves[0])
        return np.stack([as_array(self.at(i).vector) for i in range(len(self))])


def _whole(network: FunctionalModel, inputs: Example) -> bool:
    """Whether the rows of ``inputs`` see each other, as steps of a sequence or nodes of a graph."""
    if network.batch_statistics or inputs.count == 1:  # statistics are of the input itself
        return False
    few = inputs.rows(0, TRIED) if inputs.sliceable else inputs
    return separate_rows(network, network.example(few.tree, batch=True)) is None


def as_array(value: Tensor) -> np.ndarray:
    """A tensor as NumPy has it."""
    if value.dtype == torch.bfloat16:  # NumPy has none
        value = value.float()
    return value.detach().cpu().contiguous().numpy()


def _check(leaves: list[Tensor], tree: Any, embeds: bool) -> None:
    if not leaves:
        raise wrong_type("inputs", "be a torch.Tensor", type(tree).__name__, as_typed(tree))
    alone = len(leaves) == 1
    for leaf in leaves:
        check_entries("inputs", leaf)
        if (alone and leaf.ndim < 2) or leaf.numel() == 0:
            raise wrong(
                "inputs",
                "hold at least one example along axis 0, not empty",
                f"shape {tuple(leaf.shape)}",
                "pass x[None] for a single example",
            )
    _check_types(leaves, embeds)
    if all(leaf.ndim == 0 for leaf in leaves):
        raise wrong("inputs", "have an axis of examples", "numbers alone", "pass x[None]")
    for leaf in leaves:
        _check_finite(leaf, alone)


def _check_types(leaves: list[Tensor], embeds: bool) -> None:
    """Refuse inputs without a floating tensor, unless an embedding takes their integers."""
    if any(leaf.is_floating_point() for leaf in leaves):
        return
    if not embeds or all(leaf.dtype == torch.bool for leaf in leaves):
        raise wrong_type(
            "inputs",
            "be floating-point",
            ", ".join(str(leaf.dtype) for leaf in leaves),
            "pass measured numbers as floats; tokens are for networks with an embedding",
        )


def _check_finite(leaf: Tensor, alone: bool) -> None:
    """Refuse NaN and infinities; beside others a tensor may hold minus infinity: a mask."""
    rows = leaf.reshape(len(leaf) if leaf.ndim else 1, -1)
    if not alone and leaf.is_floating_point():
        masked = rows.isneginf()
        some = masked.any(1)
        if some.any() and not some.all():
            raise wrong(
                "inputs",
                "hold minus infinity in a mask at every example or at none",
                f"it in {int(some.sum())} of {counted(len(some), 'example')}",
                "mask by a large finite number, or by True and False",
            )
        rows = rows.masked_fill(masked, 0)
    bad = (~torch.isfinite(rows)).any(1).nonzero()[:, 0].tolist()
    if bad:
        way_out = "pass inputs[torch.isfinite(inputs.flatten(1)).all(1)]"
        got = f"NaN or infinity in example {bad[0]} ({len(bad)} in all)"
        raise wrong("inputs", "be finite", got, way_out if alone else "leave such examples out")
