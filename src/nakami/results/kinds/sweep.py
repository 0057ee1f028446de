"""Sweeps: settings of a recipe tried one after the other, a piece for each trial."""

from .._record import Kind

ENTRY = Kind(unchecked=("versions",))
