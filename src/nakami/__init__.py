"""nakami (中身, "what is inside"): open a PyTorch network, measure what is inside, steer training.

The public names are resolved on first use, so that importing the package does not import torch.
"""

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from .results import lazy

if TYPE_CHECKING:
    from .dynamics import xray as xray
    from .geometry import RateControl as RateControl
    from .geometry import initialisation as initialisation
    from .geometry import learning_rate as learning_rate
    from .operators import View as View
    from .operators import empirical_fisher as empirical_fisher
    from .operators import fisher as fisher
    from .operators import ggn as ggn
    from .operators import hessian as hessian
    from .operators import jacobian as jacobian
    from .operators import stages as stages
    from .results import compare as compare
    from .results import load as load
    from .spectra import density as density
    from .spectra import eigh as eigh
    from .spectra import norm as norm
    from .spectra import svd as svd
    from .spectra import trace as trace

try:
    __version__ = version("nakami")
except PackageNotFoundError:  # run from a source tree that was not installed
    __version__ = "0+unknown"

__getattr__, __dir__, __all__ = lazy(
    __name__,
    *("data", "dynamics", "geometry", "operators", "recipes"),
    *("report", "results", "spectra", "theory", "training", "zoo"),
)
