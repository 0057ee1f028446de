"""Readings by the input: the x-ray."""

from ._plan import SpectrumOptions, check
from ._xray import xray

__all__ = ["SpectrumOptions", "check", "xray"]
