"""Linear maps become numbers: one engine for every spectrum. Knows no network."""

from ._autocast import autocast_put_back, without_autocast
from ._autocast import enabled as autocast_enabled
from ._check import (
    DEFAULT_BUDGET,
    budget_beside,
    check_at_least,
    check_budget,
    check_choice,
    check_seed,
    check_vector,
    is_number,
)
from ._dense import dense_bytes
from ._density import DensityResult, density
from ._eigh import eigh
from ._norm import NormResult, norm
from ._operator import Gram, LinearOperator, MatrixOperator, as_operator, check_entries
from ._preconditioned import Preconditioned
from ._probes import Probes
from ._remainder import EXPECTED_PROBING, remainder
from ._remainder import STEPS as PROBING_STEPS
from ._result import EighResult, SVDResult
from ._ritz import RitzPair, ritz
from ._svd import choose, svd
from ._trace import TraceResult, trace

__all__ = [
    "DEFAULT_BUDGET",
    "EXPECTED_PROBING",
    "PROBING_STEPS",
    "DensityResult",
    "EighResult",
    "Gram",
    "LinearOperator",
    "MatrixOperator",
    "NormResult",
    "Preconditioned",
    "Probes",
    "RitzPair",
    "SVDResult",
    "TraceResult",
    "as_operator",
    "autocast_enabled",
    "autocast_put_back",
    "budget_beside",
    "check_at_least",
    "check_budget",
    "check_choice",
    "check_entries",
    "check_seed",
    "check_vector",
    "choose",
    "dense_bytes",
    "density",
    "eigh",
    "is_number",
    "norm",
    "remainder",
    "ritz",
    "svd",
    "trace",
    "without_autocast",
]
