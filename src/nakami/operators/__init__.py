"""A network becomes a linear map: stages, and the Jacobian between them."""

from ._curvature import Fisher
from ._fisher import fisher
from ._frozen import FrozenNetwork
from ._jacobian import Jacobian, check_cut, jacobian, natural_start, stages
from ._stages import Stages

__all__ = [
    "Fisher",
    "FrozenNetwork",
    "Jacobian",
    "Stages",
    "check_cut",
    "fisher",
    "jacobian",
    "natural_start",
    "stages",
]
