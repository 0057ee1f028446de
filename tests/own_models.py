"""Models as people write them: in-place steps, scatter, routing, loops, complex numbers inside."""

import torch
from torch import nn
from torch.nn import functional


class InPlaceResidual(nn.Module):
    """``out += identity`` before a ReLU, as in most residual networks."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(5, 5), nn.Linear(5, 5)
        nn.init.constant_(self.a.bias, -0.3)

    def forward(self, x):
        out = self.a(x)
        out += x
        out = torch.relu(out)
        last = self.b(out)
        last += out
        return functional.relu(last, inplace=True)


class GraphConvolution(nn.Module):
    """Messages along edges, summed in place into the nodes."""

    def __init__(self):
        super().__init__()
        self.enter, self.leave = nn.Linear(3, 5), nn.Linear(5, 2)
        self.register_buffer("edges", torch.tensor([[0, 1, 2, 3, 0], [1, 2, 3, 0, 2]]))

    def passed(self, h):
        source, target = self.edges
        return torch.zeros_like(h).index_add_(1, target, h[:, source])

    def forward(self, x):
        return self.leave(self.passed(torch.relu(self.enter(self.passed(x)))))


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down, self.middle = nn.Conv2d(1, 3, 3, padding=1), nn.Conv2d(3, 4, 3, padding=1)
        self.up, self.out = nn.ConvTranspose2d(4, 3, 2, stride=2), nn.Conv2d(6, 1, 1)

    def forward(self, x):
        wide = torch.relu(self.down(x))
        deep = torch.relu(self.middle(functional.max_pool2d(wide, 2)))
        return self.out(torch.cat([self.up(deep), wide], dim=1))


class Experts(nn.Module):
    """A mixture of experts: each token goes to the two that score highest."""

    def __init__(self):
        super().__init__()
        self.gate = nn.Linear(4, 3)
        self.experts = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))

    def forward(self, x):
        tokens = x.reshape(-1, 4)
        weight, chosen = self.gate(tokens).softmax(-1).topk(2, -1)
        out = torch.zeros_like(tokens)
        for i, expert in enumerate(self.experts):
            token, slot = torch.where(chosen == i)
            out.index_add_(0, token, expert(tokens[token]).tanh() * weight[token, slot, None])
        return out.reshape(x.shape)


class FourierOperator(nn.Module):
    """Complex weights on the lowest frequencies."""

    def __init__(self):
        super().__init__()
        self.lift, self.out = nn.Conv1d(1, 3, 1), nn.Conv1d(3, 1, 1)
        self.weight = nn.Parameter(torch.randn(3, 3, 4, dtype=torch.complex128))

    def forward(self, x):
        h = self.lift(x)
        wave = torch.fft.rfft(h)
        low = torch.einsum("bim,iom->bom", wave[..., :4], self.weight)
        low = functional.pad(low, (0, wave.shape[-1] - 4))
        return self.out(functional.gelu(torch.fft.irfft(low, n=h.shape[-1]) + h))


class ConvLSTM(nn.Module):
    def __init__(self):
        super().__init__()
        self.gates = nn.Conv2d(3, 8, 3, padding=1)

    def forward(self, x):  # (1, time, 1, height, width)
        h = c = torch.zeros(1, 2, *x.shape[-2:], dtype=x.dtype)
        for frame in x.unbind(1):
            i, f, o, g = self.gates(torch.cat([frame, h], 1)).chunk(4, 1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
        return h


class FixedPoint(nn.Module):
    """A deep equilibrium by iteration until nothing moves."""

    def __init__(self):
        super().__init__()
        self.enter, self.step = nn.Linear(4, 5), nn.Linear(5, 5)
        self.step.weight.data *= 0.4

    def forward(self, x):
        u = self.enter(x)
        old, new = u, torch.tanh(u)
        while (new - old).abs().max() > 1e-10:
            old, new = new, torch.tanh(self.step(new) + u)
        return new


class Ordered(nn.Module):
    """Sums along an axis, order statistics."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 6)

    def forward(self, x):
        h = self.linear(x)
        rows = h.cumsum(-1), h.sort(-1)[0], h.median(-1, keepdim=True)[0], h.logcumsumexp(-1)
        return torch.cat(rows, -1)


class Solved(nn.Module):
    """Linear algebra inside."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 9)

    def forward(self, x):
        a = self.linear(x).reshape(-1, 3, 3)
        c = a @ a.mT + torch.eye(3, dtype=x.dtype)
        solved = torch.linalg.solve(c, a[..., 0])
        return torch.cat([solved, torch.linalg.eigvalsh(c), torch.logdet(c)[:, None]], 1)


class Ensemble(nn.Module):
    """Members run under ``torch.vmap``; their inner states are no stages."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 3, 5))

    def forward(self, x):
        return torch.vmap(lambda w: functional.linear(x, w).tanh())(self.weight).transpose(0, 1)


class Cube(torch.autograd.Function):
    """Has no forward derivative of its own."""

    @staticmethod
    def forward(x):
        return x**3

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(inputs[0])

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return 3 * x**2 * grad


class CustomFunction(nn.Module):
    def __init__(self):
        super().__init__()
        self.enter, self.leave = nn.Linear(5, 6), nn.Linear(6, 4)

    def forward(self, x):
        return self.leave(Cube.apply(self.enter(x)))


OWN = {
    "in-place residual": (InPlaceResidual, (5,)),
    "graph convolution": (GraphConvolution, (4, 3)),
    "U-Net": (UNet, (1, 6, 6)),
    "mixture of experts": (Experts, (5, 4)),
    "Fourier operator": (FourierOperator, (1, 12)),
    "ConvLSTM": (ConvLSTM, (3, 1, 4, 4)),
    "loop to a fixed point": (FixedPoint, (4,)),
    "sort, median, cumulative sums": (Ordered, (6,)),
    "linear algebra": (Solved, (4,)),
    "vmap inside": (Ensemble, (5,)),
    "custom function": (CustomFunction, (5,)),
    "circular padding": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular"), nn.ELU(), nn.Conv2d(3, 2, 2)
        ),
        (2, 4, 4),
    ),
    "DataParallel": (lambda: nn.DataParallel(nn.Sequential(nn.Linear(5, 4), nn.Tanh())), (5,)),
    "torch.compile": (
        lambda: torch.compile(nn.Sequential(nn.Linear(5, 4), nn.Tanh()), backend="eager"), (5,),
    ),
}  # fmt: skip
