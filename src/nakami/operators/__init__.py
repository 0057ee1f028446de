"""A network becomes a linear map: stages, and the Jacobian between them."""

from ._frozen import FrozenNetwork
from ._jacobian import Jacobian, jacobian, stages
from ._stages import Stages

__all__ = ["FrozenNetwork", "Jacobian", "Stages", "jacobian", "stages"]
