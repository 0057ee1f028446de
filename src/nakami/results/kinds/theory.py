"""Predictions of theory."""

from .._record import Kind

ENTRY = Kind(renewed=("versions", "threads"))
