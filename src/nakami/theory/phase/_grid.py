"""Results whose fields are arrays of one shape."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from ...results import Shown


class Grid(Shown):
    """Base of results over a grid of parameters: one row for each entry, in C order."""

    def rows(self) -> list[dict[str, Any]]:
        """One flat dict for each entry of the arrays, as broadcast together."""
        names = [each.name for each in fields(self)]  # type: ignore[arg-type]
        arrays = np.broadcast_arrays(*(getattr(self, name) for name in names))
        columns = zip(*(array.ravel().tolist() for array in arrays), strict=True)
        return [{"index": i, **dict(zip(names, row, strict=True))} for i, row in enumerate(columns)]
