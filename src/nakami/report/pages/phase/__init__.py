"""The page of a margin's phase transition."""

from ...page._kinds import PageKind
from ._frame import frame
from ._sections import diagram_section, jump_section, labels_section

ENTRY = PageKind(
    results=("nakami.theory.phase:PhaseStudy",),
    read=lambda found, about: found,
    frame=frame,
    sections=(jump_section, labels_section, diagram_section),
)
