"""Readings by the input: the x-ray."""

from ._forecast import expected_seconds
from ._plan import SpectrumOptions, check
from ._xray import xray

__all__ = ["SpectrumOptions", "check", "expected_seconds", "xray"]
