"""Linear maps become numbers: one engine for every spectrum. Knows no network."""

from ._operator import LinearOperator, MatrixOperator, as_operator
from ._result import SVDResult
from ._svd import DEFAULT_BUDGET, choose, dense_bytes, svd

__all__ = [
    "DEFAULT_BUDGET",
    "LinearOperator",
    "MatrixOperator",
    "SVDResult",
    "as_operator",
    "choose",
    "dense_bytes",
    "svd",
]
