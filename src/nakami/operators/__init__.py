"""A network becomes a linear map: stages, and the Jacobian between them."""

from ._curvature import Fisher
from ._fisher import fisher
from ._frozen import FrozenNetwork
from ._jacobian import Jacobian, check_cut, jacobian, natural_start, stages
from ._layer_graph import LayerCall, LayerGraph, is_recurrent
from ._losses import criterion
from ._stages import Stages
from ._view import View, as_view

__all__ = [
    "Fisher",
    "FrozenNetwork",
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
