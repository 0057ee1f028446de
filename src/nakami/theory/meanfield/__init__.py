"""Mean-field theory of wide random fully connected networks.

Order parameters by layer; from them the statistics of the Fisher matrix' eigenvalues and the
learning rates they allow; order, chaos and depth scales; ``predict`` is all of it for one network,
``describe`` reads a torch network.
The Fisher matrix is always: sum over outputs, mean over samples.
"""

from ._activations import Activation
from ._criticality import Criticality, EdgeOfChaos, criticality, edge_at, edge_of_chaos, propagate
from ._describe import Description, describe
from ._named import ACTIVATIONS, activation
from ._order import OrderParameters, StartValues, order_parameters, start_values
from ._pairwise import PairwiseKernel, pairwise
from ._prediction import Prediction, Rates, predict
from ._softmax import CrossEntropyStatistics, cross_entropy_bounds
from ._spectrum import (
    FisherStatistics,
    LearningRate,
    NormalisedOutput,
    batch_normalised,
    fisher_statistics,
    learning_rate,
    loss_factor,
    mean_subtracted,
)

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "Criticality",
    "CrossEntropyStatistics",
    "Description",
    "EdgeOfChaos",
    "FisherStatistics",
    "LearningRate",
    "NormalisedOutput",
    "OrderParameters",
    "PairwiseKernel",
    "Prediction",
    "Rates",
    "StartValues",
    "activation",
    "batch_normalised",
    "criticality",
    "cross_entropy_bounds",
    "describe",
    "edge_at",
    "edge_of_chaos",
    "fisher_statistics",
    "learning_rate",
    "loss_factor",
    "mean_subtracted",
    "order_parameters",
    "pairwise",
    "predict",
    "propagate",
    "start_values",
]
