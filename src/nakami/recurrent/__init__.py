"""Recurrent nets: gated units kept from exploding."""

from typing import TYPE_CHECKING

from ..results import lazy

if TYPE_CHECKING:
    from ._arrays import project_kernel as project_kernel
    from ._blocks import Block as Block
    from ._blocks import candidate_blocks as candidate_blocks
    from ._constraint import BlockRecord as BlockRecord
    from ._constraint import SpectralConstraint as SpectralConstraint
    from ._projection import project as project

__getattr__, __dir__, __all__ = lazy(__name__)
