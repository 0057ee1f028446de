"""Trainings: phases with their weights and losses."""

from .._record import Kind
from .._trained import training_report

ENTRY = Kind(unchecked=("versions", "threads", "files"), drawn=training_report)
