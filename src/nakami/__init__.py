"""nakami (中身, "what is inside"): open a PyTorch network, measure what is inside, steer training.

The public names are resolved on first use, so that importing the package does not import torch.
"""

from typing import TYPE_CHECKING, Any

from .results import drawn_by, lazy

if TYPE_CHECKING:
    from .dynamics import lens as lens
    from .dynamics import xray as xray
    from .geometry import RateControl as RateControl
    from .geometry import critical_sharpness as critical_sharpness
    from .geometry import initialisation as initialisation
    from .geometry import learning_rate as learning_rate
    from .geometry import rate_limit as rate_limit
    from .geometry import tune as tune
    from .operators import View as View
    from .operators import empirical_fisher as empirical_fisher
    from .operators import fisher as fisher
    from .operators import ggn as ggn
    from .operators import hessian as hessian
    from .operators import jacobian as jacobian
    from .operators import stages as stages
    from .results import compare as compare
    from .results import load as load
    from .results import progress as progress
    from .spectra import density as density
    from .spectra import eigh as eigh
    from .spectra import norm as norm
    from .spectra import svd as svd
    from .spectra import trace as trace

_get, __dir__, __all__ = lazy(
    __name__,
    *("data", "detection", "dynamics", "geometry", "nn", "operators", "recipes"),
    *("optim", "recurrent", "report", "results", "sampling", "spectra", "theory", "training"),
    *("transport", "zoo"),
)


def _plot(result: Any, name: str | None, theme: str) -> Any:
    from .report import plot

    return plot(result, name, theme)


drawn_by(_plot)


def __getattr__(name: str) -> Any:
    return _version() if name == "__version__" else _get(name)


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version  # takes longer than all else here

    try:
        return version("nakami")
    except PackageNotFoundError:  # run from a source tree that was not installed
        return "0+unknown"
