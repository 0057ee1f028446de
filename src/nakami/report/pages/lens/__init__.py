"""The page of a run of averaged Jacobians (Jacobian lenses)."""

from ...page._kinds import PageKind
from ._data import read
from ._frame import frame
from ._sections import depth_section, error_section, values_section, words_section

ENTRY = PageKind(
    results=("nakami.results:LensRun",),
    read=read,
    frame=frame,
    sections=(values_section, depth_section, words_section, error_section),
)
