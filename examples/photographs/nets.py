"""The network of this example; nakami calls the factory, which takes nothing."""

from torch import nn


def make() -> nn.Module:
    """A picture of 3 x 32 x 32 goes in, three kinds come out."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),  # 16 x 16
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),  # 8 x 8
        nn.Conv2d(32, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),  # 4 x 4
        nn.Flatten(),
        nn.Linear(32 * 4 * 4, 3),
    )
