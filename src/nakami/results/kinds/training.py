"""Trainings: phases with their weights and losses."""

from .._record import Kind

ENTRY = Kind(unchecked=("versions", "threads"))
