"""A network becomes a linear map: stages, and the Jacobian between them."""

from ._jacobian import Jacobian, check_cut, jacobian, natural_start, stages
from ._layer_graph import LayerCall, LayerGraph, is_recurrent
from .curvature._factory import fisher
from .curvature._losses import criterion
from .curvature._operator import Fisher
from .model._functional_model import FunctionalModel
from .model._stages import Stages
from .model._view import View, as_view

__all__ = [
    "Fisher",
    "FunctionalModel",
    "Jacobian",
    "LayerCall",
    "LayerGraph",
    "Stages",
    "View",
    "as_view",
    "check_cut",
    "criterion",
    "fisher",
    "is_recurrent",
    "jacobian",
    "natural_start",
    "stages",
]
