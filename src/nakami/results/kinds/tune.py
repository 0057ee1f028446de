"""Settings of trainings; since version 2 the whole setting is a part."""

from .._record import Kind

ENTRY = Kind(version=3, renewed=("schema", "versions", "threads"), whole="setting")
