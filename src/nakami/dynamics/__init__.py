"""Readings by the input: the x-ray."""

from ._xray import xray

__all__ = ["xray"]
