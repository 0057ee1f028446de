"""Readings by the input: the x-ray."""

from ._plan import SpectrumOptions, check, expected_seconds
from ._xray import xray

__all__ = ["SpectrumOptions", "check", "expected_seconds", "xray"]
