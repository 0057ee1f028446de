"""Predictions without a network: NumPy and SciPy alone, never torch. Its modules load lazily."""

from typing import TYPE_CHECKING

from ..results import lazy

if TYPE_CHECKING:
    from . import meanfield as meanfield
    from . import phase as phase
    from . import plateau as plateau
    from ._critical_gain import critical_gain as critical_gain

__getattr__, __dir__, __all__ = lazy(__name__, "meanfield", "phase", "plateau")
