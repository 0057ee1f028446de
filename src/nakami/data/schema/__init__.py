"""From the caller's own files to tensors, by a schema that a person can read and change."""

from ._inspect import inspect
from ._preparation import Preparation, read_preparation
from ._prepare import Prepared, prepare, survey
from ._report import Report
from ._schema import Column, Schema, Split, read_schema
from ._source import WrongRow

__all__ = [
    "Column",
    "Preparation",
    "Prepared",
    "Report",
    "Schema",
    "Split",
    "WrongRow",
    "inspect",
    "prepare",
    "read_preparation",
    "read_schema",
    "survey",
]
