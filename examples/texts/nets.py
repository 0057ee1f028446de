"""The network of this example; nakami calls the factory, which takes nothing."""

from torch import Tensor, nn


class Reader(nn.Module):
    """Vectors of words, a GRU over them, and a linear layer on the mean of its states."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(100, 16)  # nakami data check says how many words there are
        self.gru = nn.GRU(16, 24, batch_first=True)
        self.head = nn.Linear(24, 3)

    def forward(self, places: Tensor) -> Tensor:
        """Places of words (n, length), 0 behind the last one, go in; three topics come out."""
        states, _ = self.gru(self.words(places))  # (n, length, 24)
        there = (places != 0).float()[:, :, None]
        return self.head((states * there).sum(1) / there.sum(1).clamp_min(1))


def make() -> nn.Module:
    """The network with first weights."""
    return Reader()
