"""Readings by the parameters: how fast a network may learn."""

from ._learning_rate import learning_rate
from ._result import LearningRate, Trial

__all__ = ["LearningRate", "Trial", "learning_rate"]
