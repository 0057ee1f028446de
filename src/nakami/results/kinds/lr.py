"""Readings of learning rates; since version 2 advice and limit apart, as their parts are."""

from .._record import Kind

ENTRY = Kind(version=2, renewed=("schema", "versions", "threads"))
