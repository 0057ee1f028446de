"""Readings by the input: the x-ray."""

from ._plan import check
from ._xray import xray

__all__ = ["check", "xray"]
