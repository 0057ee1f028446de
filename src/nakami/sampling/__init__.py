"""Markov chains for energy models: binary kernels, Langevin steps, tempering, diagnosis.

And the chain of a denoiser, which has no energy.
"""

from typing import TYPE_CHECKING

from ..results import lazy

if TYPE_CHECKING:
    from ._allocation import suwa_todo as suwa_todo
    from ._chains import Chains as Chains
    from ._collapsed import CollapsedGibbs as CollapsedGibbs
    from ._collapsed import CollapsedSuwaTodo as CollapsedSuwaTodo
    from ._collapsed import Lifted as Lifted
    from ._collapsed import RandomFlips as RandomFlips
    from ._conditional import ConditionalLikelihood as ConditionalLikelihood
    from ._conditional import Stochastic as Stochastic
    from ._conditional import conditional_likelihood as conditional_likelihood
    from ._denoising import DenoisingChain as DenoisingChain
    from ._diagnostics import AutocorrelationTime as AutocorrelationTime
    from ._diagnostics import autocorrelation_time as autocorrelation_time
    from ._diagnostics import effective_sample_size as effective_sample_size
    from ._diagnostics import split_rhat as split_rhat
    from ._enumeration import divergence_bias as divergence_bias
    from ._enumeration import exact_autocorrelation_time as exact_autocorrelation_time
    from ._enumeration import log_partition as log_partition
    from ._enumeration import pair_statistics as pair_statistics
    from ._enumeration import stationary as stationary
    from ._enumeration import transition_matrix as transition_matrix
    from ._importance import LogPartition as LogPartition
    from ._importance import annealed_importance_sampling as annealed_importance_sampling
    from ._importance import log_odds as log_odds
    from ._kernels import BlockGibbs as BlockGibbs
    from ._kernels import Kernel as Kernel
    from ._kernels import MetropolisedGibbs as MetropolisedGibbs
    from ._kernels import SuwaTodo as SuwaTodo
    from ._kernels import states as states
    from ._langevin import UnadjustedLangevin as UnadjustedLangevin
    from ._likelihood import Bounded as Bounded
    from ._likelihood import LogLikelihood as LogLikelihood
    from ._likelihood import likelihood_bound as likelihood_bound
    from ._likelihood import log_likelihood as log_likelihood
    from ._machine import Machine as Machine
    from ._machine import PairEnergy as PairEnergy
    from ._mixed_units import MixedUnits as MixedUnits
    from ._phases import FromData as FromData
    from ._phases import Persistent as Persistent
    from ._phases import Sampler as Sampler
    from ._phases import Tempered as Tempered
    from ._study import SamplingStudy as SamplingStudy
    from ._study import study as study
    from ._tempering import ParallelTempering as ParallelTempering
    from ._units import BinaryUnits as BinaryUnits
    from ._units import GaussianUnits as GaussianUnits
    from ._units import SoftmaxUnits as SoftmaxUnits
    from ._units import VisibleUnits as VisibleUnits

__getattr__, __dir__, __all__ = lazy(__name__)
