"""The network of this example; nakami calls the factory, which takes nothing."""

from torch import nn


def make() -> nn.Module:
    """Three numbers and the one-hot of four machines go in, three states come out."""
    return nn.Sequential(
        nn.Linear(7, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 3)
    )
