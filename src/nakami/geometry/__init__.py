"""Readings by the parameters: how fast a network may learn, and from which scale of weights."""

from typing import TYPE_CHECKING

from ..results import lazy

if TYPE_CHECKING:
    from ._outcomes import AdviceEnding as AdviceEnding
    from ._outcomes import AdviceNote as AdviceNote
    from ._outcomes import BatchAdvice as BatchAdvice
    from ._outcomes import ChoiceEnding as ChoiceEnding
    from ._outcomes import ControlEnding as ControlEnding
    from ._outcomes import CriticalEnding as CriticalEnding
    from ._outcomes import FirstLookEnding as FirstLookEnding
    from ._outcomes import LimitEnding as LimitEnding
    from ._outcomes import NoiseEnding as NoiseEnding
    from ._outcomes import ProposalEnding as ProposalEnding
    from ._outcomes import TheoryEnding as TheoryEnding
    from .control._lightning import LightningRateControl as LightningRateControl
    from .control._measures import Measures as Measures
    from .control._rate_control import RateControl as RateControl
    from .control._running_loss import RateRecord as RateRecord
    from .control._transformers import TrainerRateControl as TrainerRateControl
    from .rate._critical import CriticalSharpness as CriticalSharpness
    from .rate._critical import critical_sharpness as critical_sharpness
    from .rate._eigenvalues import Eigenvalues as Eigenvalues
    from .rate._first_look import FirstLook as FirstLook
    from .rate._learning_rate import learning_rate as learning_rate
    from .rate._names import OWN_LOSS as OWN_LOSS
    from .rate._names import check_names as check_names
    from .rate._noise import NoiseScale as NoiseScale
    from .rate._noise import noise_scale as noise_scale
    from .rate._rate_limit import rate_limit as rate_limit
    from .rate._report import LearningRateReport as LearningRateReport
    from .rate._report import WideTheory as WideTheory
    from .rate._report import learning_rate_report as learning_rate_report
    from .rate._result import LearningRate as LearningRate
    from .rate._result import RateLimit as RateLimit
    from .rate._result import Trial as Trial
    from .rate._search import LimitOptions as LimitOptions
    from .scales._initialisation import Initialisation as Initialisation
    from .scales._initialisation import Theory as Theory
    from .scales._initialisation import initialisation as initialisation
    from .scales._propagation import LayerReading as LayerReading
    from .scales._propagation import Passage as Passage
    from .scales._propagation import Propagation as Propagation
    from .scales._proposal import Plan as Plan
    from .scales._proposal import Proposal as Proposal
    from .setting._arguments import ParameterGroup as ParameterGroup
    from .setting._setting import Choice as Choice
    from .setting._setting import TrainingSetting as TrainingSetting
    from .setting._tune import tune as tune

__getattr__, __dir__, __all__ = lazy(__name__)
__all__ = [name for name in __all__ if name not in ("LightningRateControl", "TrainerRateControl")]
