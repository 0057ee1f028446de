"""Subjects and training recipes: what ties a model, data and a method together.

``prepare(name, folder)`` trains a subject or reads back what an earlier call left in the folder;
``measure(subject, out)`` takes the x-ray of each of its networks; ``preview(name)`` and
``check(name, ...)`` tell what can be asked of it, before any training. Names resolve lazily, so
that ``SUBJECTS`` and ``DEFAULT`` are known without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nakami.results import lazy

if TYPE_CHECKING:
    from ._dbn_digits import DBNSettings as DBNSettings
    from ._phases import Phases as Phases
    from ._phases import phase_generator as phase_generator
    from ._prepare import check as check
    from ._prepare import measure as measure
    from ._prepare import prepare as prepare
    from ._prepare import preview as preview
    from ._prepare import trained as trained
    from ._subject import Network as Network
    from ._subject import Subject as Subject
    from ._supervised import error_fact as error_fact
    from ._supervised import train_classifier as train_classifier

SUBJECTS = ("dbn-digits",)
DEFAULT = "dbn-digits"

__getattr__, __dir__, __all__ = lazy(__name__)
