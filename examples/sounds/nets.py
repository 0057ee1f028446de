"""The network of this example; nakami calls the factory, which takes nothing."""

from torch import Tensor, nn


class Listener(nn.Module):
    """A GRU over time, and a linear layer on what it has in mind at the end."""

    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(40, 32, batch_first=True)
        self.head = nn.Linear(32, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Log-mel power (n, 1, 40 bands, frames) goes in, three kinds come out."""
        states, _ = self.gru(x[:, 0].mT)  # (n, frames, 32)
        return self.head(states[:, -1])


def make() -> nn.Module:
    """The network with first weights."""
    return Listener()
