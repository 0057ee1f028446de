"""A network becomes a linear map: stages, and the Jacobian between them."""

from ._arguments import check_order, unwrapped_optimizer
from ._jacobian import Jacobian, jacobian, stages
from ._layer_graph import LayerCall, LayerGraph, is_recurrent
from ._pattern_jacobian import PatternJacobian, pattern_of
from ._position_mean import PositionMean, PositionMeans
from .curvature._live import LiveLoss, Piece
from .curvature._losses import criterion
from .curvature._named import empirical_fisher, fisher, ggn, hessian
from .curvature._operator import CurvatureOperator
from .model._checks import sharded
from .model._deconvolution import Deconvolution
from .model._dependence import check_cut, natural_start
from .model._detached import DETACHED
from .model._example import Example, as_tensors, as_typed, leaves_of
from .model._functional_model import FunctionalModel
from .model._own_hook import OwnHook
from .model._random import random_states_kept
from .model._recurrent_cells import (
    CellWeights,
    advance,
    bend_of,
    cell_weights,
    ends_of,
    kind_of,
    settle,
)
from .model._stages import Stages
from .model._view import View, as_view
from .per_example._independence import separate_rows

__all__ = [
    "DETACHED",
    "CellWeights",
    "CurvatureOperator",
    "Deconvolution",
    "Example",
    "FunctionalModel",
    "Jacobian",
    "LayerCall",
    "LayerGraph",
    "LiveLoss",
    "OwnHook",
    "PatternJacobian",
    "Piece",
    "PositionMean",
    "PositionMeans",
    "Stages",
    "View",
    "advance",
    "as_tensors",
    "as_typed",
    "as_view",
    "bend_of",
    "cell_weights",
    "check_cut",
    "check_order",
    "criterion",
    "empirical_fisher",
    "ends_of",
    "fisher",
    "ggn",
    "hessian",
    "is_recurrent",
    "jacobian",
    "kind_of",
    "leaves_of",
    "natural_start",
    "pattern_of",
    "random_states_kept",
    "separate_rows",
    "settle",
    "sharded",
    "stages",
    "unwrapped_optimizer",
]
