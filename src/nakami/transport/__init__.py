"""Entropic optimal transport and its information geometry: batched, in torch."""

from typing import TYPE_CHECKING

from ..results import lazy

if TYPE_CHECKING:
    from ._costs import Grid as Grid
    from ._costs import Matrix as Matrix
    from ._costs import Points as Points
    from ._coupling import Coupling as Coupling
    from ._sinkhorn import sinkhorn as sinkhorn

__getattr__, __dir__, __all__ = lazy(__name__)
