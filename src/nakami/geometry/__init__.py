"""Readings by the parameters: how fast a network may learn, and from which scale of weights."""

from importlib import import_module
from typing import Any

from ._outcomes import (
    AdviceEnding,
    AdviceNote,
    BatchAdvice,
    ControlEnding,
    LimitEnding,
    NoiseEnding,
    ProposalEnding,
    TheoryEnding,
)
from .control._measures import Measures
from .control._rate_control import RateControl
from .control._running_loss import RateRecord
from .rate._learning_rate import LimitOptions, learning_rate
from .rate._noise import NoiseScale, noise_scale
from .rate._report import (
    Eigenvalues,
    LearningRateReport,
    WideTheory,
    check_request,
    learning_rate_report,
)
from .rate._result import LearningRate, Trial
from .scales._initialisation import Initialisation, Theory, initialisation
from .scales._propagation import LayerReading, Passage, Propagation
from .scales._proposal import Plan, Proposal

__all__ = [
    "AdviceEnding",
    "AdviceNote",
    "BatchAdvice",
    "ControlEnding",
    "Eigenvalues",
    "Initialisation",
    "LayerReading",
    "LearningRate",
    "LearningRateReport",
    "LimitEnding",
    "LimitOptions",
    "Measures",
    "NoiseEnding",
    "NoiseScale",
    "Passage",
    "Plan",
    "Propagation",
    "Proposal",
    "ProposalEnding",
    "RateControl",
    "RateRecord",
    "Theory",
    "TheoryEnding",
    "Trial",
    "WideTheory",
    "check_request",
    "initialisation",
    "learning_rate",
    "learning_rate_report",
    "noise_scale",
]

_HOSTED = {
    "LightningRateControl": ("control._lightning", "lightning", "train"),
    "TrainerRateControl": ("control._transformers", "transformers", "hf"),
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
