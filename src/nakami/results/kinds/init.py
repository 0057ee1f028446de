"""Readings of initial weights."""

from .._record import Kind

ENTRY = Kind(renewed=("versions", "threads"))
