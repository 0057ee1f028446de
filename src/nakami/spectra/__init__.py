"""Linear maps become numbers: one engine for every spectrum. Knows no network."""

from ._eigh import eigh
from ._operator import LinearOperator, MatrixOperator, as_operator
from ._result import EighResult, SVDResult
from ._svd import DEFAULT_BUDGET, choose, dense_bytes, svd

__all__ = [
    "DEFAULT_BUDGET",
    "EighResult",
    "LinearOperator",
    "MatrixOperator",
    "SVDResult",
    "as_operator",
    "choose",
    "dense_bytes",
    "eigh",
    "svd",
]
