"""Settings of trainings."""

from .._record import Kind

ENTRY = Kind(renewed=("versions", "threads"))
