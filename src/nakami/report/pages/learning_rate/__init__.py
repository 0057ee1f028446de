"""The page of a learning rate: limit and advice."""

from ...page._kinds import PageKind
from ._data import read
from ._frame import frame
from ._sections import noise_section, spectrum_section, theory_section, trials_section

ENTRY = PageKind(
    results=("nakami.geometry:LearningRateReport",),
    read=read,
    frame=frame,
    sections=(
        trials_section,
        spectrum_section,
        theory_section,
        lambda data: noise_section(data.found.limit.noise),
    ),
)
