"""The page of x-rays taken during a training."""

from ...page._kinds import PageKind
from ._data import read
from ._frame import frame
from ._sections import budget_section, counts_section, film_section

ENTRY = PageKind(
    results=("nakami.results:XrayHistory",),
    read=read,
    frame=frame,
    sections=(film_section, counts_section, budget_section),
)
