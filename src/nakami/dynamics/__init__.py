"""Readings by the input: the x-ray, the averaged Jacobian, and experiments at its inputs."""

from ._experiment import EXPERIMENTS, experimented
from ._forecast import expected_seconds
from ._lens import LensOptions, lens
from ._lens_files import load_jacobian_lens, save_jacobian_lens
from ._lens_run import lens_run
from ._plan import SpectrumOptions, check
from ._xray import xray
from .experiments.arithmetic import arithmetic
from .experiments.noise import noise
from .experiments.perturbation import perturbation
from .experiments.subspaces import subspaces
from .experiments.units import units

__all__ = [
    "EXPERIMENTS",
    "LensOptions",
    "SpectrumOptions",
    "arithmetic",
    "check",
    "expected_seconds",
    "experimented",
    "lens",
    "lens_run",
    "load_jacobian_lens",
    "noise",
    "perturbation",
    "save_jacobian_lens",
    "subspaces",
    "units",
    "xray",
]
