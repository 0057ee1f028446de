"""The page of what losses of transport do."""

from ...page._kinds import PageKind
from ._frame import frame
from ._sections import between_section, blur_section, losses_section, pictures_section

ENTRY = PageKind(
    results=("nakami.transport._study:TransportStudy",),
    read=lambda found, about: found,
    frame=frame,
    sections=(losses_section, blur_section, between_section, pictures_section),
)
