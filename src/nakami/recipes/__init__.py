"""Subjects and training recipes: what ties a model, data and a method together.

``prepare(name, folder)`` trains a subject or reads back what an earlier call left in the folder;
``measure(subject, out)`` takes the x-ray of each of its networks; ``preview(name)`` and
``check(name, ...)`` tell what can be asked of it, before any training. Names resolve lazily, so
that ``SUBJECTS`` and ``DEFAULT`` are known without torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._dbn_digits import DBNSettings
    from ._phases import Phases, phase_generator
    from ._prepare import check, measure, prepare, preview, trained
    from ._subject import Network, Subject
    from ._supervised import error_fact, train_classifier

SUBJECTS = ("dbn-digits",)
DEFAULT = "dbn-digits"

_HOMES = {
    "DBNSettings": "_dbn_digits",
    "Network": "_subject",
    "Phases": "_phases",
    "Subject": "_subject",
    "check": "_prepare",
    "error_fact": "_supervised",
    "measure": "_prepare",
    "phase_generator": "_phases",
    "prepare": "_prepare",
    "preview": "_prepare",
    "train_classifier": "_supervised",
    "trained": "_prepare",
}

__all__ = [
    "DEFAULT",
    "SUBJECTS",
    "DBNSettings",
    "Network",
    "Phases",
    "Subject",
    "check",
    "error_fact",
    "measure",
    "phase_generator",
    "prepare",
    "preview",
    "train_classifier",
    "trained",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
