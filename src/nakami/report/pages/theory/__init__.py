"""The page of a prediction of mean-field theory."""

from ...page._kinds import PageKind
from ._frame import frame
from ._sections import depth_section, eigenvalues_section, map_section

ENTRY = PageKind(
    results=("nakami.theory.meanfield:Prediction",),
    read=lambda found, about: found,
    frame=frame,
    sections=(depth_section, eigenvalues_section, map_section),
)
