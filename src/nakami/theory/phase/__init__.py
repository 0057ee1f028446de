"""Pre-training and fine-tuning of a perceptron: the margin-perceptron model.

A student learns a linear rule from ``beta N`` patterns without labels, which only keep a margin
``kappa`` from the border, and ``alpha N`` with labels. In the limit of large N a few averages say
how well; between few and many patterns without labels the error may jump.
"""

from ._channel import Channel, labelled, unlabelled
from ._curve import Curve, curve
from ._diagram import CriticalPoint, PhaseDiagram, critical_margin, critical_point, phase_diagram
from ._evolution import StateEvolution, state_evolution
from ._fixed_points import PhaseFixedPoints, fixed_points
from ._gamp import GampResult, PretrainFinetune, gamp, pretrain_then_finetune
from ._generalisation import bayes_error, gibbs_error, margin_error
from ._information import Information, information
from ._instance import Instance, draw_instance
from ._mismatch import MismatchedEvolution, mismatched_evolution
from ._point import free_entropy
from ._study import Instances, PhaseStudy, study
from ._transition import Transition, transition, weak_recovery

__all__ = [
    "Channel",
    "CriticalPoint",
    "Curve",
    "GampResult",
    "Information",
    "Instance",
    "Instances",
    "MismatchedEvolution",
    "PhaseDiagram",
    "PhaseFixedPoints",
    "PhaseStudy",
    "PretrainFinetune",
    "StateEvolution",
    "Transition",
    "bayes_error",
    "critical_margin",
    "critical_point",
    "curve",
    "draw_instance",
    "fixed_points",
    "free_entropy",
    "gamp",
    "gibbs_error",
    "information",
    "labelled",
    "margin_error",
    "mismatched_evolution",
    "phase_diagram",
    "pretrain_then_finetune",
    "state_evolution",
    "study",
    "transition",
    "unlabelled",
    "weak_recovery",
]
