"""The page of an x-ray, of one network or of two."""

from ...page._kinds import PageKind
from ._arithmetic import arithmetic_section
from ._compared import compared_section
from ._counts import kept_section
from ._data import read
from ._frame import frame
from ._key_figures import to_compare_with
from ._noise import noise_section
from ._perturbation import perturbation_section
from ._pictures import pictures_section
from ._positions import positions_section
from ._spectra import own_section, spectra_section
from ._subspaces import subspaces_section
from ._units import units_section

__all__ = ["ENTRY", "to_compare_with"]

ENTRY = PageKind(
    results=("nakami.results:Xray", "nakami.results:Comparison"),
    read=read,
    frame=frame,
    sections=(
        spectra_section,
        kept_section,
        compared_section,
        pictures_section,
        positions_section,
        perturbation_section,
        noise_section,
        subspaces_section,
        units_section,
        arithmetic_section,
        own_section,
    ),
)
