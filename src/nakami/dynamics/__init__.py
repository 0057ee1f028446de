"""Readings by the input: the x-ray, also during training, the averaged Jacobian, experiments."""

from typing import TYPE_CHECKING

from ..results import lazy

if TYPE_CHECKING:
    from ._best_unit import BestUnits as BestUnits
    from ._best_unit import best_units as best_units
    from ._curves import straightness as straightness
    from ._evolution import feature_evolution as feature_evolution
    from ._experiment import EXPERIMENTS as EXPERIMENTS
    from ._experiment import experimented as experimented
    from ._forecast import expected_seconds as expected_seconds
    from ._lens import LensOptions as LensOptions
    from ._lens import lens as lens
    from ._lens_files import load_jacobian_lens as load_jacobian_lens
    from ._lens_files import save_jacobian_lens as save_jacobian_lens
    from ._lens_run import lens_run as lens_run
    from ._linear_probe import linear_probe as linear_probe
    from ._plan import SpectrumOptions as SpectrumOptions
    from ._plan import check as check
    from ._topography import OrientationTuning as OrientationTuning
    from ._topography import SheetContrast as SheetContrast
    from ._topography import orientation_tuning as orientation_tuning
    from ._topography import sheet_contrast as sheet_contrast
    from ._xray import xray as xray
    from .experiments.arithmetic import arithmetic as arithmetic
    from .experiments.noise import noise as noise
    from .experiments.perturbation import perturbation as perturbation
    from .experiments.subspaces import subspaces as subspaces
    from .experiments.units import units as units
    from .monitor._lightning import LightningXrayMonitor as LightningXrayMonitor
    from .monitor._monitor import XrayMonitor as XrayMonitor
    from .monitor._transformers import TrainerXrayMonitor as TrainerXrayMonitor

__getattr__, __dir__, __all__ = lazy(__name__)
__all__ = [name for name in __all__ if name not in ("LightningXrayMonitor", "TrainerXrayMonitor")]
