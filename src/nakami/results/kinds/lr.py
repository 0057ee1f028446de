"""Readings of learning rates."""

from .._record import Kind

ENTRY = Kind(renewed=("versions", "threads"))
