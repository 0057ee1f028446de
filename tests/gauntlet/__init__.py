"""Networks, data and losses of many kinds, with dense float64 references for all of them."""

from .batches import BATCHES
from .cases import Case, combinations, fits, named
from .losses import LOSSES
from .networks import NETWORKS, Flattened, network, plain
from .reference import Reference

__all__ = [
    "BATCHES",
    "LOSSES",
    "NETWORKS",
    "Case",
    "Flattened",
    "Reference",
    "combinations",
    "fits",
    "named",
    "network",
    "plain",
]
