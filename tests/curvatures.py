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

    def own(self, mean):
        """The Fisher matrix in the loss's own reduction, the Gauss-Newton matrix."""
        n, c = self.z.shape
        if isinstance(self.loss, nn.MSELoss):
            return 2 * mean / c
        if isinstance(self.loss, nn.BCEWithLogitsLoss):
            return mean / c
        return mean * n if self.loss.reduction == "sum" else mean

    def empirical(self):
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
