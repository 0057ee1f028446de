"""Readings by the parameters: how fast a network may learn, and from which scale of weights."""

from ._initialisation import Initialisation, Theory, initialisation
from ._learning_rate import learning_rate
from ._propagation import LayerReading, Passage, Propagation
from ._proposal import Plan, Proposal
from ._rate_control import RateControl, RateRecord
from ._result import LearningRate, Trial

__all__ = [
    "Initialisation",
    "LayerReading",
    "LearningRate",
    "Passage",
    "Plan",
    "Propagation",
    "Proposal",
    "RateControl",
    "RateRecord",
    "Theory",
    "Trial",
    "initialisation",
    "learning_rate",
]
