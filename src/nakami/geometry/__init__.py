"""Readings by the parameters: how fast a network may learn, and from which scale of weights."""

from importlib import import_module
from typing import Any

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

_HOSTED = {
    "LightningRateControl": ("_lightning", "lightning", "train"),
    "TrainerRateControl": ("_transformers", "transformers", "hf"),
}


def __getattr__(name: str) -> Any:
    """Callbacks import their host library, so they are made when they are asked for."""
    if name not in _HOSTED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, library, extra = _HOSTED[name]
    try:
        return getattr(import_module(f"{__name__}.{module}"), name)
    except ModuleNotFoundError as error:
        raise ImportError(
            f"{name} must find {library}, got {error}; pip install 'nakami[{extra}]' adds it."
        ) from error
