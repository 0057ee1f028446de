"""Curvature matrices by hand: dense, float64, output by output, with the cases to try them on."""

import torch
from torch import nn
from torch.nn import functional


class Tokens(nn.Module):
    """Logits for each token: ``(n, classes, length)``."""

    def __init__(self):
        super().__init__()
        self.table, self.out = nn.Embedding(5, 4), nn.Linear(4, 3)

    def forward(self, x):
        return self.out(self.table(x).cumsum(1).tanh()).movedim(-1, 1)


def perceptron():
    """4 inputs, 5 units, 3 outputs; 43 parameters of float32."""
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))


def case(name):
    """Model, inputs, targets, loss."""
    gen = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    x = torch.randn(12, 6, generator=gen, dtype=torch.float64)
    plain = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))
    if name == "tokens":
        x = torch.randint(0, 5, (6, 4), generator=gen)
        y = torch.randint(0, 3, (6, 4), generator=gen)
        y[0, 0] = -100  # ignored
        return Tokens().double(), x, y, nn.CrossEntropyLoss()
    if name == "cnn":
        x = torch.randn(5, 1, 6, 6, generator=gen, dtype=torch.float64)
        net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32, 3))
        return net.double(), x, torch.randint(0, 3, (5,), generator=gen), nn.CrossEntropyLoss()
    if name == "squared":
        y = torch.randn(12, 3, generator=gen, dtype=torch.float64)
        return plain.double(), x, y, nn.MSELoss()
    if name == "bernoulli":
        y = torch.rand(12, 3, generator=gen, dtype=torch.float64)
        return plain.double(), x, y, nn.BCEWithLogitsLoss()
    y = torch.randint(0, 3, (12,), generator=gen)
    loss = nn.CrossEntropyLoss(reduction="sum") if name == "sum" else nn.CrossEntropyLoss()
    return plain.double(), x, y, loss


CASES = ("classes", "sum", "squared", "bernoulli", "tokens", "cnn")


class Dense:
    """The same matrices by torch.autograd.functional, output by output."""

    def __init__(self, model, x, y, loss):
        names = [n for n, _ in model.named_parameters()]
        shapes = [p.shape for p in model.parameters()]
        self.flat = torch.cat([p.detach().reshape(-1) for p in model.parameters()])

        def outputs(flat):
            parts = flat.split([s.numel() for s in shapes])
            pieces = {n: p.reshape(s) for n, p, s in zip(names, parts, shapes, strict=True)}
            return torch.func.functional_call(model, pieces, (x,))

        self.y, self.loss = y, loss
        z = outputs(self.flat)
        jac = torch.autograd.functional.jacobian(outputs, self.flat)
        if isinstance(loss, nn.CrossEntropyLoss):  # tokens and examples alike: (samples, classes)
            z, jac = z.movedim(1, -1), jac.movedim(1, -2)
            seen = (y != -100).reshape(-1)
            z, jac = z.reshape(-1, z.shape[-1])[seen], jac.reshape(-1, *jac.shape[-2:])[seen]
            self.y = y.reshape(-1)[seen]
        self.z, self.jac, self.outputs = z, jac, outputs

    def fisher(self):
        p = self.z.softmax(1)
        if isinstance(self.loss, nn.CrossEntropyLoss):
            middle = torch.diag_embed(p) - p[:, :, None] * p[:, None]
        elif isinstance(self.loss, nn.MSELoss):
            middle = torch.eye(self.z.shape[1]).double().expand(len(p), -1, -1)
        else:
            s = self.z.sigmoid()
            middle = torch.diag_embed(s * (1 - s))
        return torch.einsum("tap,tab,tbq->pq", self.jac, middle, self.jac) / len(self.z)

    def rows(self):
        """The root of a Fisher matrix for cross-entropy, ``(samples x classes, P)``."""
        p = self.z.softmax(1)
        down = p.sqrt()[:, :, None] * (torch.eye(p.shape[1]).double() - p[:, None])
        return torch.einsum("tca,tap->tcp", down, self.jac).flatten(0, 1) / len(p) ** 0.5

    def own(self, mean):
        """The Fisher matrix in the loss's own reduction, the Gauss-Newton matrix."""
        n, c = self.z.shape
        if isinstance(self.loss, nn.MSELoss):
            return 2 * mean / c
        if isinstance(self.loss, nn.BCEWithLogitsLoss):
            return mean / c
        return mean * n if self.loss.reduction == "sum" else mean

    def empirical_fisher(self):
        if isinstance(self.loss, nn.CrossEntropyLoss):
            slope = self.z.softmax(1) - functional.one_hot(self.y, self.z.shape[1])
        elif isinstance(self.loss, nn.MSELoss):
            slope = self.z - self.y
        else:
            slope = self.z.sigmoid() - self.y
        each = torch.einsum("tap,ta->tp", self.jac, slope)
        return each.T @ each / len(each)

    def hessian(self, y):
        return torch.autograd.functional.hessian(lambda f: self.loss(self.outputs(f), y), self.flat)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.enter, self.inner, self.leave = nn.Linear(6, 5), nn.Linear(5, 5), nn.Linear(5, 3)

    def forward(self, x):
        x = self.enter(x)
        x *= 0.5  # in place, on what a layer returned
        return self.leave(functional.relu_(x) + torch.tanh(self.inner(x)))


class Gated(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.out = nn.GRU(3, 4, batch_first=True), nn.Linear(4, 3)

    def forward(self, x):
        return self.out(self.cell(x)[0][:, -1])


class Attending(nn.Module):
    def __init__(self):
        super().__init__()
        self.enter = nn.Embedding(5, 4, padding_idx=0)
        self.block = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.1, batch_first=True)
        self.place = nn.Parameter(torch.linspace(-1, 1, 12).reshape(3, 4))
        self.out = nn.Linear(4, 3)

    def forward(self, x):
        return self.out(self.block(self.enter(x) + self.place).mean(1))


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.enter, self.shared, self.out = nn.Linear(6, 5), nn.Linear(5, 5), nn.Linear(5, 3)

    def forward(self, x):
        x = self.enter(x)
        return self.out(self.shared(torch.tanh(self.shared(x))))


class Functional(nn.Module):
    """A weight that is used by its module and in a function too."""

    def __init__(self):
        super().__init__()
        self.enter, self.out = nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x):
        return self.out(torch.tanh(self.enter(x)) @ self.enter.weight)


class SequenceFirst(nn.Module):
    """A layer whose first axis has the length of the batch, and is another."""

    def __init__(self):
        super().__init__()
        self.enter, self.out = nn.Linear(2, 4), nn.Linear(4, 3)

    def forward(self, x):
        return self.out(torch.tanh(self.enter(x.transpose(0, 1))).sum(0))


class Pixels(nn.Module):
    def __init__(self, conv, features, size):
        super().__init__()
        self.conv, self.norm = conv, nn.GroupNorm(2, features)
        self.out = nn.Linear(size, 3)

    def forward(self, x):
        return self.out(torch.relu(self.norm(self.conv(x))).flatten(1))


def conv_net():
    net = nn.Sequential(
        nn.Conv2d(2, 4, 3, stride=2, padding=1, groups=2),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        nn.Conv2d(4, 4, 2, dilation=2, padding="same", bias=False),
        nn.InstanceNorm2d(4, affine=True),
        nn.Conv2d(4, 2, 1),
        nn.Flatten(),
        nn.Linear(18, 3),
    )
    net[1].running_mean.uniform_(-0.5, 0.5)
    net[1].running_var.uniform_(0.5, 2)
    return net


def circular():
    return nn.Conv1d(2, 4, 3, 2, padding=2, dilation=2, padding_mode="circular")


def tied():
    net = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 3))
    net[2].weight = net[0].weight
    return net


def normed():
    return nn.Sequential(
        nn.Linear(6, 4), nn.LayerNorm(4), nn.Tanh(), nn.RMSNorm(4), nn.PReLU(), nn.Linear(4, 3)
    )


NETWORKS = {  # the model, the shape of an example, parameters whose gradients are formed
    "residual": (Residual, (6,), 0),
    "gru": (Gated, (3, 3), 0),
    "transformer": (Attending, (3,), 5),  # attention's weights go to a function; positions
    "tied": (tied, (6,), 1),
    "used twice": (Twice, (6,), 2),
    "used in a function": (Functional, (6,), 1),
    "sequence first": (SequenceFirst, (5, 2), 2),
    "convolutions": (conv_net, (2, 6, 6), 0),
    "normalisations": (normed, (6,), 1),
    "one axis": (lambda: Pixels(circular(), 4, 16), (2, 7), 0),
    "three axes": (lambda: Pixels(nn.Conv3d(1, 2, 2, padding=(1, 0, 0)), 2, 72), (1, 3, 4, 4), 0),
}  # fmt: skip


def network(name):
    torch.manual_seed(3)
    make, shape, formed = NETWORKS[name]
    model = make().double().eval()
    for module in model.modules():
        if "Norm" in type(module).__name__:
            nn.init.uniform_(module.weight, 0.5, 1.5)
    x = torch.randn(5, *shape, dtype=torch.float64)
    if name == "transformer":
        x = torch.randint(0, 5, (5, *shape))
    return model, x, torch.randint(0, 3, (5,)), formed
