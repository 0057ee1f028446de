"""The page of plateaus by the number of outputs."""

from ...page._kinds import PageKind
from ._frame import frame
from ._sections import length_section, line_section, time_section

ENTRY = PageKind(
    results=("nakami.theory.plateau:PlateauStudy",),
    read=lambda found, about: found,
    frame=frame,
    sections=(length_section, time_section, line_section),
)
