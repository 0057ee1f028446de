"""A spectrum cut to its leading values, with what is known of the others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ._remainder import Remainder
from ._spectrum import Spectrum


def leading_values(spectrum: Spectrum, k: int) -> Spectrum:
    """The first ``k`` values of a spectrum without vectors; others become an exact remainder."""
    nothing: dict[str, Any] = {
        "kept": np.zeros(0, dtype=np.int64),
        "right": np.zeros((0, spectrum.shape[1]), dtype=np.float32),
    }
    if len(spectrum.values) <= k:
        return replace(spectrum, **nothing)
    others = spectrum.values[k:]
    above = float((others > 1).sum())
    rest = Remainder(
        len(others), float((others**2).sum()), float((others**4).sum()), above=(above, above)
    )
    cut: dict[str, Any] = {
        name: getattr(spectrum, name)[:k] for name in ("values", "residuals", "reliable")
    }
    areas = None if spectrum.areas is None else spectrum.areas[:k]
    return replace(spectrum, **nothing, **cut, areas=areas, remainder=rest)
