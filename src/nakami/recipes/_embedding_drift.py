"""How a matrix of word vectors changes over a training: its singular values and directions."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from nakami.spectra import _lapack, svd
from nakami.zoo.skipgram import SkipGram

from ..results import Lines
from ._times import epoch_of
from ._word_facts import spectrum

LEADING = 5  # directions that are compared
Times = Mapping[str, Mapping[str, Tensor]]  # state dicts, as Network.times
WORDS = "embedding.weight"


def spectra(net: SkipGram, times: Times) -> Lines:
    """Singular values of the word vectors at each time, and of the vectors around at the end."""
    at = {f"words, {time}": state[WORDS] for time, state in times.items()}
    matrices = (at or {"words": net.word_vectors}) | {"around": net.context_vectors}
    lines = {}
    for name, vectors in matrices.items():
        values = spectrum(vectors)
        lines[name] = (list(range(1, len(values) + 1)), values)
    caption = (
        "Singular values of the matrix of word vectors by epoch, and of that of the vectors around "
        "at the end."
    )
    axes = ("number of the singular value", "singular value")
    return Lines("Spectrum of the embedding", caption, *axes, lines, (0.0,))


def drift(times: Times) -> list[Lines]:
    """Principal angles of the leading directions at each time with those at the end, degrees.

    The directions are left singular vectors, patterns over the words: a rotation of all word
    vectors, which changes no product of two, leaves them as they are.
    """
    if len(times) < 2:
        return []
    k = min(LEADING, *next(iter(times.values()))[WORDS].shape)
    leading = [_leading(state[WORDS], k) for state in times.values()]
    angles = torch.stack([principal_angles(part, leading[-1]) for part in leading])
    at = [epoch_of(time) for time in times]
    names = [*("smallest", "2nd", "3rd", "4th")[: k - 1], "largest"]
    lines = {name: (at, column.tolist()) for name, column in zip(names, angles.T, strict=True)}
    caption = (
        f"Principal angles between the spaces of the {k} leading left singular vectors of the word "
        "vectors, patterns over the words, at each look and at the end; at 90 degrees two spaces "
        "have nothing in common."
    )
    axes = ("epoch", "angle with the end, degrees")
    return [Lines("Drift of the embedding", caption, *axes, lines, (0.0,))]


def _leading(vectors: Tensor, k: int) -> Tensor:
    """Leading left singular vectors, ``(words, k)``."""
    left = svd(vectors.detach().double(), k=k).left
    assert left is not None
    return left


def principal_angles(a: Tensor, b: Tensor) -> Tensor:
    """Angles between the spaces of two orthonormal bases, ``(n, k)`` each, degrees, rising.

    Source: Bjorck & Golub, Math. Comp. 27, 1973; by sines below 45 degrees.
    """
    cosines = _lapack.svdvals(a.T @ b).clamp(max=1)
    sines = _lapack.svdvals(b - a @ (a.T @ b)).clamp(max=1).flip(0)
    return torch.rad2deg(torch.where(cosines > 0.5**0.5, sines.arcsin(), cosines.arccos()))
