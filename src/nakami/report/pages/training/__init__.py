"""The page of a training: losses by epoch, facts of the networks, pictures."""

from ...page._kinds import PageKind
from ._frame import frame
from ._sections import facts_section, losses_section, pictures_section

ENTRY = PageKind(
    results=("nakami.results._trained:TrainingReport",),
    read=lambda found, about: found,
    frame=frame,
    sections=(losses_section, facts_section, pictures_section),
)
