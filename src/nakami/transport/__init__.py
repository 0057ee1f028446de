"""Entropic optimal transport and its information geometry: batched, in torch."""

from typing import TYPE_CHECKING

from ..results import lazy

if TYPE_CHECKING:
    from ._costs import Grid as Grid
    from ._costs import Matrix as Matrix
    from ._costs import Points as Points
    from ._coupling import Coupling as Coupling
    from ._divergences import blur as blur
    from ._divergences import entropic_cost as entropic_cost
    from ._divergences import lambda_divergence as lambda_divergence
    from ._divergences import sinkhorn_divergence as sinkhorn_divergence
    from ._losses import LambdaDivergenceLoss as LambdaDivergenceLoss
    from ._losses import SinkhornLoss as SinkhornLoss
    from ._sinkhorn import sinkhorn as sinkhorn
    from ._sinkhorn import unbalanced as unbalanced
    from ._study import TransportStudy as TransportStudy
    from ._study import study as study
    from .barycenters._barycenter import barycenter as barycenter
    from .barycenters._result import Barycenter as Barycenter

__getattr__, __dir__, __all__ = lazy(__name__)
