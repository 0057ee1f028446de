"""Networks, batches and losses of many kinds, with dense float64 references for all of them."""

import torch
from torch import nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel


class Reference:
    """Dense matrices of ``loss(model(x), y)`` at all of ``x`` at once, by torch.autograd.

    ``call(model, x)`` gives what the loss takes.
    """

    def __init__(self, model, call=lambda model, x: model(x)):
        named = {n: p for n, p in model.named_parameters() if p.requires_grad}
        self.point = torch.cat([p.detach().reshape(-1) for p in named.values()])

        class Whole(nn.Module):
            def __init__(self):
                super().__init__()
                self.inner = model

            def forward(self, x):
                return call(self.inner, x)

        whole = Whole()

        def outputs(flat, x):
            parts = flat.split([p.numel() for p in named.values()])
            items = zip(named.items(), parts, strict=True)
            new = {f"inner.{n}": part.reshape(p.shape) for (n, p), part in items}
            with sdpa_kernel(SDPBackend.MATH):  # the others have no second derivative
                return torch.func.functional_call(whole, new, (x,))

        self.outputs = outputs

    def value(self, x, y, loss):
        return float(loss(self.outputs(self.point, x), y))

    def hessian(self, x, y, loss):
        return torch.autograd.functional.hessian(
            lambda flat: loss(self.outputs(flat, x), y), self.point
        )

    def ggn(self, x, y, loss):
        z = self.outputs(self.point, x).detach()
        jac = torch.autograd.functional.jacobian(
            lambda flat: self.outputs(flat, x).reshape(-1), self.point
        )
        middle = torch.autograd.functional.hessian(
            lambda flat: loss(flat.reshape(z.shape), y), z.reshape(-1)
        )
        return jac.T @ middle @ jac


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


class Flattened(nn.Module):
    """A class for each token, tokens of all examples along axis 0."""

    def __init__(self):
        super().__init__()
        self.table, self.cell = nn.Embedding(7, 4), nn.GRU(4, 4, batch_first=True)
        self.out = nn.Linear(4, 3)

    def forward(self, x):
        return self.out(self.cell(self.table(x))[0]).reshape(-1, 3)


def plain():
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))


def convolutional():
    return nn.Sequential(nn.Unflatten(1, (1, 2, 2)), nn.Conv2d(1, 3, 2), nn.Tanh(), nn.Flatten())


NETWORKS = {
    "plain": plain,
    "convolutional": convolutional,
    "normalised by the batch": Normalised,
    "the last rows mix": Late,
    "pooled": Pooled,
    "running sum": Running,
    "sorted": Sorted,
    "half sorted": HalfSorted,
    "LSTM, time first": TimeFirst,
    "attention, time first": TimeFirstAttention,
    "graph": Graph,
}


def network(name):
    """A network in float64 and eight rows of input."""
    torch.manual_seed(3)
    model = NETWORKS[name]().double()
    x = torch.randn(*((8, 2, 4) if "first" in name else (8, 4)), dtype=torch.float64)
    return model, x


def huber(z, y):
    return functional.huber_loss(z, y)


def huber_sum(z, y):
    return functional.huber_loss(z, y, reduction="sum")


def padded(z, y):
    """A mean over targets that are not -1."""
    return functional.cross_entropy(z, y, ignore_index=-1)


def contrastive(z, y):
    """Rows against rows."""
    flat = functional.normalize(z.flatten(1), dim=1)
    return functional.cross_entropy(flat @ flat.T / 0.5 + y, torch.arange(len(z)).roll(1))


def worst_half(z, y):
    """A mean over the half of the rows with the largest errors."""
    each = (z - y).square().flatten(1).mean(1)
    return each.topk(-(-len(z) // 2)).values.mean()


def spread(z, y):
    """Has a term of its own that is no mean over rows."""
    return (z - y).square().mean() + z.flatten(1).var(0).sum()


def numbers(z):
    return torch.randn(z.shape, generator=torch.Generator().manual_seed(1), dtype=z.dtype)


def classes(z, padding=0):
    shape = (len(z), *z.shape[2:])
    y = torch.randint(0, z.shape[1], shape, generator=torch.Generator().manual_seed(1))
    if padding:
        y[:5] = -1
    return y


LOSSES = {
    "cross-entropy": (nn.CrossEntropyLoss(), classes),
    "cross-entropy, padded, weighted, sum": (
        nn.CrossEntropyLoss(torch.tensor([1.0, 2, 3]).double(), ignore_index=-1, reduction="sum"),
        lambda z: classes(z, padding=5),
    ),
    "squared error": (nn.MSELoss(), numbers),
    "own mean": (huber, numbers),
    "own sum": (huber_sum, numbers),
    "own mean, padded": (padded, lambda z: classes(z, padding=5)),
    "module, sum": (nn.SmoothL1Loss(reduction="sum"), numbers),
    "contrastive": (contrastive, lambda z: torch.zeros(len(z), 1, dtype=z.dtype)),
    "worst half": (worst_half, numbers),
    "spread": (spread, numbers),
}
