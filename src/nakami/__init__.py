"""nakami (中身, "what is inside"): open a PyTorch network, measure what is inside, steer training.

The public names are resolved on first use, so that importing the package does not import torch.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

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

_WHERE = {
    "RateControl": "geometry",
    "View": "operators",
    "compare": "results",
    "density": "spectra",
    "eigh": "spectra",
    "empirical_fisher": "operators",
    "fisher": "operators",
    "ggn": "operators",
    "hessian": "operators",
    "initialisation": "geometry",
    "jacobian": "operators",
    "learning_rate": "geometry",
    "load": "results",
    "norm": "spectra",
    "stages": "operators",
    "svd": "spectra",
    "trace": "spectra",
    "xray": "dynamics",
}
_ROOMS = (
    "data",
    "dynamics",
    "geometry",
    "operators",
    "recipes",
    "report",
    "results",
    "spectra",
    "theory",
    "zoo",
)

__all__ = [
    "RateControl",
    "View",
    "compare",
    "density",
    "eigh",
    "empirical_fisher",
    "fisher",
    "ggn",
    "hessian",
    "initialisation",
    "jacobian",
    "learning_rate",
    "load",
    "norm",
    "stages",
    "svd",
    "trace",
    "xray",
]

try:
    __version__ = version("nakami")
except PackageNotFoundError:  # run from a source tree that was not installed
    __version__ = "0+unknown"


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
    if name in _ROOMS:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_WHERE, *_ROOMS})
