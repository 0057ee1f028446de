"""Networks whose rows see each other, or time along axis 0."""

import torch
from torch import nn


class Normalised(nn.Module):
    """By the statistics of the batch, also in evaluation mode; it refuses one example."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 5), nn.Linear(5, 3)
        self.norm = nn.BatchNorm1d(5, track_running_stats=False)

    def forward(self, x):
        return self.b(torch.tanh(self.norm(self.a(x))))


class Late(nn.Module):
    """The last two rows of a batch see each other, the others none."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 5), nn.Linear(5, 3)

    def forward(self, x):
        h = torch.tanh(self.a(x))
        if len(h) < 2:
            return self.b(h)
        pair = h[-2:].mean(0, keepdim=True).expand(2, -1)
        return self.b(torch.cat([h[:-2], h[-2:] + pair]))


class Pooled(nn.Module):
    """Every row gets the mean of the batch."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 5), nn.Linear(5, 3)

    def forward(self, x):
        h = torch.tanh(self.a(x))
        return self.b(h + h.mean(0))


class Running(nn.Module):
    """A row sees the rows before it."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 5), nn.Linear(5, 3)

    def forward(self, x):
        return self.b(torch.tanh(self.a(x).cumsum(0)))


class Sorted(nn.Module):
    """Rows are sorted inside and put back: the outputs are examples on their own."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 5), nn.Linear(5, 3)

    def forward(self, x):
        order = x[:, 0].argsort()
        return self.b(torch.tanh(self.a(x[order])))[order.argsort()]


class HalfSorted(Sorted):
    """Only the second layer sees the sorted rows."""

    def forward(self, x):
        order = x[:, 0].argsort()
        return self.b(torch.tanh(self.a(x))[order])[order.argsort()]


class TimeFirst(nn.Module):
    """An LSTM in torch's default order, a class for each step: ``(time, classes, batch)``."""

    def __init__(self):
        super().__init__()
        self.cell, self.out = nn.LSTM(4, 4), nn.Linear(4, 3)

    def forward(self, x):
        return self.out(self.cell(x)[0]).movedim(-1, 1)


class TimeFirstAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.block, self.out = nn.TransformerEncoderLayer(4, 2, 6, dropout=0.0), nn.Linear(4, 3)

    def forward(self, x):
        return self.out(self.block(x)).movedim(-1, 1)


class Graph(nn.Module):
    """Nodes along axis 0, edges beside them or held by the network."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 5), nn.Linear(5, 3)
        self.edges = torch.tensor([[0, 1, 2, 3, 4, 5, 6, 7], [1, 2, 3, 4, 5, 6, 7, 0]])

    def forward(self, x, edges=None):
        source, target = self.edges if edges is None else edges

        def spread(h):
            return h.index_add(0, target, h[source]) / 2

        return spread(self.b(torch.tanh(spread(self.a(x)))))
