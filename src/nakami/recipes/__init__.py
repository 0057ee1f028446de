"""Subjects and how they are trained: what ties a model, data and a method together.

``prepare(name, folder)`` trains a subject or reads back what an earlier call left in the folder;
``measure(subject, out)`` takes the x-ray of each of its networks; ``preview(name)`` and
``check(name, ...)`` tell what can be asked of it, before any training. ``with_values`` and
``read_settings`` make settings of texts, ``DataFiles`` names data of the caller's, ``trained_as``
reads of a folder what was trained there. A new subject is a new file with an ``ENTRY``. The names
in ``SUBJECTS`` are known without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nakami.results import Entries, lazy

from ._subject import Network, Recipe, Subject

if TYPE_CHECKING:
    from ..results import Lines as Lines
    from ..results import Picture as Picture
    from ..results import Texts as Texts
    from ..results import Tree as Tree
    from ._examples import DataFiles as DataFiles
    from ._examples import classes as classes
    from ._examples import digits_from as digits_from
    from ._examples import prepared_of as prepared_of
    from ._facts import error_fact as error_fact
    from ._left import trained_as as trained_as
    from ._left import write_weights as write_weights
    from ._on_spark import train_on_spark as train_on_spark
    from ._own import own as own
    from ._own import recipe_of as recipe_of
    from ._settings import Bounds as Bounds
    from ._settings import as_toml as as_toml
    from ._settings import changed as changed
    from ._settings import read_settings as read_settings
    from ._settings import typed_setting as typed_setting
    from ._settings import with_values as with_values
    from ._sweep import sweep as sweep
    from ._verbs import check as check
    from ._verbs import expected_seconds as expected_seconds
    from ._verbs import measure as measure
    from ._verbs import prepare as prepare
    from ._verbs import preview as preview
    from ._verbs import trained as trained

SUBJECTS = Entries(__name__, Recipe, "recipe")
DEFAULT = "dbn-digits"

__getattr__, __dir__, __all__ = lazy(__name__)
__all__ += ["DEFAULT", "SUBJECTS", "Network", "Recipe", "Subject"]
