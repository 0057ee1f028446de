"""Readings by the parameters: how fast a network may learn, and from which scale of weights."""

from ._band import RateRecord
from ._initialisation import Initialisation, Theory, initialisation
from ._learning_rate import learning_rate
from ._noise import NoiseScale, noise_scale
from ._propagation import LayerReading, Passage, Propagation
from ._proposal import Plan, Proposal
from ._rate_control import RateControl
from ._result import LearningRate, Trial
from ._survey import Eigenvalues, Survey, WideTheory, check, survey

__all__ = [
    "Eigenvalues",
    "Initialisation",
    "LayerReading",
    "LearningRate",
    "NoiseScale",
    "Passage",
    "Plan",
    "Propagation",
    "Proposal",
    "RateControl",
    "RateRecord",
    "Survey",
    "Theory",
    "Trial",
    "WideTheory",
    "check",
    "initialisation",
    "learning_rate",
    "noise_scale",
    "survey",
]
