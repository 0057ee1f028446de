"""Networks that function transforms cannot take, each with a twin that they can."""

import copy

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint


class OldCube(torch.autograd.Function):
    """The old style: no ``setup_context``."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return 3 * x**2 * grad


class OnceCube(OldCube):
    """Its backward cannot be differentiated."""

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return 3 * x**2 * grad


class NumpyCube(OldCube):
    """Leaves torch both ways."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.from_numpy(x.detach().numpy() ** 3)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return torch.from_numpy(3 * x.detach().numpy() ** 2 * grad.detach().numpy())


class Recomputed(torch.autograd.Function):
    """Runs a module again in its backward, as memory savers do, and that one's own backward."""

    @staticmethod
    def forward(ctx, x, module):
        ctx.save_for_backward(x)
        ctx.module = module
        with torch.no_grad():
            return module(x)

    @staticmethod
    def backward(ctx, grad):
        x = ctx.saved_tensors[0].detach().requires_grad_()
        with torch.enable_grad():
            ctx.module(x).backward(grad)
        return x.grad, None


WAYS = {
    "plain": lambda inner, h: inner(h) ** 3,
    "old": lambda inner, h: OldCube.apply(inner(h)),
    "once": lambda inner, h: OnceCube.apply(inner(h)),
    "numpy": lambda inner, h: NumpyCube.apply(inner(h)),
    "kept": lambda inner, h: checkpoint(inner, h, use_reentrant=False) ** 3,
    "reentrant": lambda inner, h: checkpoint(inner, h, use_reentrant=True) ** 3,
    "recomputed": lambda inner, h: Recomputed.apply(h, inner) ** 3,
}


class Saving(nn.Module):
    """A block in the middle that is run one way or another; all ways have the same derivative.

    It knows training from evaluation, holds buffers and draws, so that a backward pass which runs
    it again where it should not gives another result, or leaves a trace.
    """

    def __init__(self, way):
        super().__init__()
        self.way, self.enter = way, nn.Linear(4, 6)
        self.inner = nn.Sequential(
            nn.BatchNorm1d(6), nn.Tanh(), nn.Dropout(0.5), nn.Linear(6, 5), nn.Softplus()
        )
        self.inner[0].num_batches_tracked += 1  # its statistics are meant
        self.leave, self.scale = nn.Linear(5, 3), nn.Parameter(torch.rand(5) + 0.5)

    def forward(self, x):
        return self.leave(self.scale * WAYS[self.way](self.inner, self.enter(x)))


class PackedLSTM(nn.Module):
    """Runs on a packed sequence, or on the sequence itself."""

    def __init__(self, packed=True):
        super().__init__()
        self.cell = nn.LSTM(2, 3, batch_first=True, num_layers=2, bidirectional=True)
        self.packed = packed

    def forward(self, x):
        if not self.packed:
            return self.cell(x)[0]
        rows = nn.utils.rnn.pack_padded_sequence(x, torch.tensor([x.shape[1]]), batch_first=True)
        return nn.utils.rnn.pad_packed_sequence(self.cell(rows)[0], batch_first=True)[0]


class SparseGraph(nn.Module):
    """Sums over neighbours by a sparse matrix, or a full one."""

    def __init__(self, sparse=True):
        super().__init__()
        self.linear = nn.Linear(4, 4)
        edges = (torch.rand(4, 4) > 0.5).double()
        self.register_buffer("edges", edges.to_sparse() if sparse else edges)

    def forward(self, x):
        return torch.sparse.mm(self.edges, self.linear(x).tanh().T).T


class Watched(nn.Module):
    """Backward hooks keep gradients, as for Grad-CAM."""

    def __init__(self, hooked=True):
        super().__init__()
        self.body, self.seen = nn.Sequential(nn.Linear(4, 5), nn.Tanh()), []
        if hooked:
            self.body.register_full_backward_hook(lambda *args: self.seen.append(args))
            self.body[0].register_full_backward_pre_hook(lambda *args: self.seen.append(args))

    def forward(self, x):
        return self.body(x)


PLAIN = {
    "old-style function": (lambda: Saving("old"), lambda: Saving("plain"), (4,)),
    "function differentiable once": (lambda: Saving("once"), lambda: Saving("plain"), (4,)),
    "NumPy function": (lambda: Saving("numpy"), lambda: Saving("plain"), (4,)),
    "checkpoint": (lambda: Saving("kept"), lambda: Saving("plain"), (4,)),
    "reentrant checkpoint": (lambda: Saving("reentrant"), lambda: Saving("plain"), (4,)),
    "backward that runs a module again": (
        lambda: Saving("recomputed"), lambda: Saving("plain"), (4,),
    ),
    "packed sequence": (PackedLSTM, lambda: PackedLSTM(packed=False), (3, 2)),
    "sparse matrix": (SparseGraph, lambda: SparseGraph(sparse=False), (4,)),
    "backward hooks": (Watched, lambda: Watched(hooked=False), (4,)),
}  # fmt: skip


def pair(name):
    """A network in training mode, its twin in evaluation mode, and an input, float64."""
    factory, twin, shape = PLAIN[name]
    torch.manual_seed(0)
    net = factory().double().train()
    torch.manual_seed(0)
    other = twin().double().eval()
    for module, like in zip(net.modules(), other.modules(), strict=True):
        if isinstance(module, nn.BatchNorm1d):
            nn.init.uniform_(module.running_mean, -1, 1)
            nn.init.uniform_(module.running_var, 0.5, 2)
            like.load_state_dict(copy.deepcopy(module.state_dict()))
    x = torch.randn(1, *shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    return net, other, x
