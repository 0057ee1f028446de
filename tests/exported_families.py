"""Small networks of each family, with real inputs of two lengths where they go over time."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from nakami.data import Examples
from nakami.export import Source
from nakami.zoo.autoencoder import Autoencoder
from nakami.zoo.dbn import DBN
from nakami.zoo.rbm import RBM


class Recurrent(nn.Module):
    """The last state of a recurrent layer, read out."""

    def __init__(self, kind: type[nn.RNNBase]):
        super().__init__()
        self.layer, self.head = kind(3, 5, batch_first=True), nn.Linear(5, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(x)[0][:, -1])


class Encoder(nn.Module):
    """A transformer's encoder on tokens with a mask of those that count."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 8)
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(8, 4)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        states = self.layers(self.embed(tokens), src_key_padding_mask=mask == 0)
        return self.head((states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True))


class MaskedRows(nn.Module):
    """Attention in which the second position may look at nothing, which gives 0."""

    def forward(self, x: Tensor) -> Tensor:
        allowed = torch.tensor([[True, False, True], [False] * 3, [True] * 3])
        states = x.unflatten(1, (3, 4))[:, None]
        attention = nn.functional.scaled_dot_product_attention
        return attention(states, states, states, allowed)[:, 0].sum(-1)


class Unpooled(nn.Module):
    """Maxima put back where they came from."""

    def __init__(self) -> None:
        super().__init__()
        self.pool, self.unpool = nn.MaxPool2d(2, return_indices=True), nn.MaxUnpool2d(2)
        self.head = nn.Conv2d(1, 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.unpool(*self.pool(x)))


def convolutional() -> nn.Module:
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.LocalResponseNorm(3),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 4),
    )  # fmt: skip
    net(torch.randn(20, 1, 8, 8))  # running statistics that are not 0 and 1
    return net


def tokens() -> dict[str, Tensor]:
    ids = torch.randint(0, 11, (6, 10))
    lengths = torch.tensor([10, 7, 4, 9, 5, 6])
    return {"tokens": ids, "mask": (torch.arange(10) < lengths[:, None]).float()}


FAMILIES: dict[str, tuple[Callable[[], nn.Module], Callable[[], Tensor | dict[str, Tensor]]]] = {
    "mlp": (
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 9), nn.ReLU(), nn.Linear(9, 4)),
        lambda: torch.rand(6, 1, 8, 8),
    ),
    "cnn": (convolutional, lambda: torch.rand(6, 1, 8, 8)),
    "gru": (lambda: Recurrent(nn.GRU), lambda: torch.randn(6, 10, 3)),
    "lstm": (lambda: Recurrent(nn.LSTM), lambda: torch.randn(6, 10, 3)),
    "encoder": (Encoder, tokens),
    "unpooling": (Unpooled, lambda: torch.rand(6, 1, 8, 8)),
    "masked rows": (MaskedRows, lambda: torch.randn(6, 12)),
    "dbn": (lambda: DBN((64, 9, 7)).classifier(4), lambda: torch.rand(6, 64)),
    "autoencoder features": (lambda: Autoencoder(64, 9), lambda: torch.rand(6, 64)),
    "rbm features": (lambda: RBM(64, 9), lambda: torch.rand(6, 64)),
}


def source(name: str) -> Source:
    """A network of a family with six examples."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        make, inputs = FAMILIES[name]
        made, given = make().eval(), inputs()
    names = tuple(f"example {i}" for i in range(6))
    labels = torch.tensor([0, 1, 2, 3, 0, 1])
    return Source(name, made, Examples(given, labels, names, "as stored", "made for a test"))
