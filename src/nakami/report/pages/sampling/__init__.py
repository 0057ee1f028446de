"""The page of kernels on machines small enough to enumerate."""

from ...page._kinds import PageKind
from ._frame import frame
from ._sections import annealing_section, bias_section, times_section

ENTRY = PageKind(
    results=("nakami.sampling._study:SamplingStudy",),
    read=lambda found, about: found,
    frame=frame,
    sections=(times_section, bias_section, annealing_section),
)
