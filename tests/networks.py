"""Small float64 networks of the kinds the operators must take, with inputs."""

import torch
from torch import nn
from torch.nn import functional


class Tutorial(nn.Module):
    """The way most people write a small CNN: functions in forward, one pool used twice."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 3, 3)
        self.pool = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(3, 4, 3)
        self.bn = nn.BatchNorm2d(4)
        self.bn.num_batches_tracked += 1  # its statistics are meant
        self.drop = nn.Dropout(0.5)
        self.fc1 = nn.Linear(16, 7)
        self.fc2 = nn.Linear(7, 5)

    def forward(self, x):
        x = self.pool(functional.relu(self.conv1(x)))
        x = self.pool(functional.relu_(self.bn(self.conv2(x))))
        x = torch.tanh(self.fc1(self.drop(torch.flatten(x, 1))))
        return functional.log_softmax(self.fc2(x), dim=1)


class Residual(nn.Module):
    """A skip connection: the state inside the branch is no cut."""

    def __init__(self):
        super().__init__()
        self.enter, self.inner, self.leave = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 4)

    def forward(self, x):
        x = self.enter(x)
        return self.leave(x + torch.relu(self.inner(x)))


class Tied(nn.Module):
    """One weight used twice, once transposed."""

    def __init__(self):
        super().__init__()
        self.encode = nn.Linear(6, 4)

    def forward(self, x):
        h = torch.sigmoid(self.encode(x))
        return functional.linear(h, self.encode.weight.T)


class Pair(nn.Module):
    """Returns a tuple, as many published models do."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(5, 3), nn.Linear(5, 2)

    def forward(self, x):
        return self.a(x).tanh(), self.b(x).sin()


def _images(*shape):
    return torch.randn(1, *shape, generator=torch.Generator().manual_seed(7), dtype=torch.float64)


def _warm_statistics(net):
    """Running statistics other than 0 and 1, so that evaluation mode shows."""
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_(generator=torch.Generator().manual_seed(1))
            module.running_var.uniform_(0.5, 2.0, generator=torch.Generator().manual_seed(2))
    return net


def _sequential(*layers):
    return lambda: nn.Sequential(*[make() for make in layers])


POINTWISE = ("ReLU", "Sigmoid", "Tanh", "GELU", "SiLU", "ELU", "LeakyReLU", "Softplus", "Hardswish",
             "ReLU6", "Mish", "SELU", "Softsign")  # fmt: skip

CASES = {
    "tutorial cnn": (Tutorial, (1, 14, 14)),
    "residual": (Residual, (6,)),
    "tied weights": (Tied, (6,)),
    "mlp": (_sequential(lambda: nn.Linear(6, 9), nn.Sigmoid, lambda: nn.Linear(9, 4)), (6,)),
    "in-place relu": (
        lambda: nn.Sequential(nn.Linear(6, 9), nn.ReLU(inplace=True), nn.Linear(9, 4)), (6,),
    ),
    "dropout": (_sequential(lambda: nn.Linear(6, 9), nn.Dropout, lambda: nn.Linear(9, 4)), (6,)),
    "batch norm": (
        _sequential(lambda: nn.Conv2d(2, 3, 3), lambda: nn.BatchNorm2d(3), nn.ReLU), (2, 6, 6),
    ),
    "layer norm": (_sequential(lambda: nn.Linear(6, 8), lambda: nn.LayerNorm(8)), (6,)),
    "group norm": (
        _sequential(lambda: nn.Conv2d(2, 4, 3), lambda: nn.GroupNorm(2, 4)), (2, 5, 5),
    ),
    "local response norm": (
        _sequential(lambda: nn.Conv2d(2, 4, 3), lambda: nn.LocalResponseNorm(3)), (2, 5, 5),
    ),
    "strided grouped conv": (
        lambda: nn.Sequential(nn.Conv2d(4, 8, 3, stride=2, padding=1, groups=2), nn.Tanh()),
        (4, 7, 7),
    ),
    "transposed conv": (lambda: nn.Sequential(nn.ConvTranspose2d(2, 3, 3, stride=2)), (2, 4, 4)),
    "average and adaptive pool": (
        lambda: nn.Sequential(nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(2), nn.Flatten()), (2, 8, 8),
    ),
    "conv1d": (lambda: nn.Sequential(nn.Conv1d(2, 3, 3), nn.MaxPool1d(2)), (2, 9)),
    "conv3d": (lambda: nn.Sequential(nn.Conv3d(1, 2, 2), nn.ELU()), (1, 4, 4, 4)),
    "softmax": (lambda: nn.Sequential(nn.Linear(5, 4), nn.Softmax(dim=1)), (5,)),
    "no weights": (nn.Tanh, (4,)),
    **{
        f"pointwise {name}": (
            _sequential(lambda: nn.Linear(5, 6), getattr(nn, name), lambda: nn.Linear(6, 4)), (5,),
        )
        for name in POINTWISE
    },
}  # fmt: skip


def build(case):
    """The network of a case in float64 (training mode, as users leave it) and one input."""
    torch.manual_seed(0)
    factory, shape = CASES[case]
    return _warm_statistics(factory().double()), _images(*shape)
