"""Readings by the parameters: how fast a network may learn."""

from ._learning_rate import learning_rate
from ._result import LearningRate

__all__ = ["LearningRate", "learning_rate"]
