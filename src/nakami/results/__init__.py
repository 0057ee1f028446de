"""Frozen results, runs on disk, and the wording of errors. Knows NumPy, never torch."""

from ._compare import Comparison, PairedChange, compare, paired_change
from ._entries import Entries
from ._errors import (
    NakamiWarning,
    NotConvergedWarning,
    RunError,
    UsageError,
    UsageTypeError,
    check_callable,
    unknown,
    wrong,
    wrong_type,
)
from ._spectrum import Spectrum, StageInfo
from ._store import RunFolder, disk, load, versions
from ._xray import Estimate, StageSummary, Xray, estimate

__all__ = [
    "Comparison",
    "Entries",
    "Estimate",
    "NakamiWarning",
    "NotConvergedWarning",
    "PairedChange",
    "RunError",
    "RunFolder",
    "Spectrum",
    "StageInfo",
    "StageSummary",
    "UsageError",
    "UsageTypeError",
    "Xray",
    "check_callable",
    "compare",
    "disk",
    "estimate",
    "load",
    "paired_change",
    "unknown",
    "versions",
    "wrong",
    "wrong_type",
]
