"""The page of an x-ray of recurrent layers."""

from ...page._kinds import PageKind
from ._data import read
from ._frame import frame
from ._over_time import over_time_section
from ._sections import eigenvalues_section, exponents_section, rest_section

ENTRY = PageKind(
    results=("nakami.results:RecurrentXray",),
    read=read,
    frame=frame,
    sections=(rest_section, eigenvalues_section, exponents_section, over_time_section),
)
