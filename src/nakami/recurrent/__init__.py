"""Recurrent nets: gated units kept from exploding, and what their states do over time."""

from typing import TYPE_CHECKING

from ..results import lazy

if TYPE_CHECKING:
    from ..results import FixedPointEnding as FixedPointEnding
    from ..results import FixedPoints as FixedPoints
    from ..results import Growth as Growth
    from ..results import LyapunovEnding as LyapunovEnding
    from ..results import LyapunovSpectrum as LyapunovSpectrum
    from ..results import Margin as Margin
    from ..results import RecurrentXray as RecurrentXray
    from ..results import SpectraOverTime as SpectraOverTime
    from ..results import TimeScales as TimeScales
    from ._arrays import project_kernel as project_kernel
    from ._blocks import Block as Block
    from ._blocks import candidate_blocks as candidate_blocks
    from ._calls import recurrent_modules as recurrent_modules
    from ._constraint import BlockRecord as BlockRecord
    from ._constraint import SpectralConstraint as SpectralConstraint
    from ._fixed_points import fixed_points as fixed_points
    from ._growth import growth as growth
    from ._lyapunov import lyapunov as lyapunov
    from ._margin import margins as margins
    from ._over_time import spectra_over_time as spectra_over_time
    from ._projection import project as project
    from ._state_map import StateMap as StateMap
    from ._time_scales import time_scales as time_scales
    from ._xray import xray as xray
    from .explosion._episodes import ExplosionReading as ExplosionReading
    from .explosion._lightning import LightningExplosionMonitor as LightningExplosionMonitor
    from .explosion._monitor import ExplosionMonitor as ExplosionMonitor
    from .explosion._transformers import TrainerExplosionMonitor as TrainerExplosionMonitor

__getattr__, __dir__, __all__ = lazy(__name__)
HOSTED = ("LightningExplosionMonitor", "TrainerExplosionMonitor")
__all__ = [name for name in __all__ if name not in HOSTED]
