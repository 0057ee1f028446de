"""Optimizers in torch's own manner: each is a ``torch.optim.Optimizer``, used as torch's are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nakami.results import lazy

if TYPE_CHECKING:
    from ._adastand import Adastand as Adastand
    from ._hessian_free import HessianFree as HessianFree
    from ._kfac import EKFAC as EKFAC
    from ._kfac import KFAC as KFAC
    from ._natural_gradient import NaturalGradient as NaturalGradient
    from ._sdprop import SDProp as SDProp
    from ._unitwise import UnitwiseNaturalGradient as UnitwiseNaturalGradient
    from ._vsgd import VSGD as VSGD

__getattr__, __dir__, __all__ = lazy(__name__)
