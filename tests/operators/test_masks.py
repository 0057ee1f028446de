"""Masks beside or inside a network are held fixed, whatever their type."""

import pytest
import torch
from torch import nn

import nakami
from nakami.results import UsageError

MASK = torch.triu(torch.full((5, 5), -torch.inf), 1)


def dense(function, x):
    """The Jacobian by plain torch, ``(m, n)``."""
    rows = torch.autograd.functional.jacobian(lambda v: function(v).reshape(-1), x)
    return rows.reshape(-1, x.numel())


def layer():
    torch.manual_seed(0)
    return nn.TransformerEncoderLayer(4, 2, 6, dropout=0.0, batch_first=True).double().eval()


class Causal(nn.Module):
    def __init__(self, held):
        super().__init__()
        self.layer = layer()
        if held:
            self.register_buffer("mask", MASK)

    def forward(self, x, mask=None):
        return self.layer(x, src_mask=self.mask if mask is None else mask[0])


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = layer()
        self.embed, self.head = nn.Embedding(9, 4).double(), nn.Linear(4, 2).double()

    def tail(self, state, mask):
        return self.head(self.layer(state, src_key_padding_mask=mask == 0).mean(1))

    def forward(self, ids, mask):
        return self.tail(self.embed(ids), mask)


class Translator(nn.Module):
    def __init__(self, looks_back=False):
        super().__init__()
        torch.manual_seed(0)
        self.source, self.target = nn.Embedding(9, 4), nn.Embedding(9, 4)
        self.looks_back, self.out = looks_back, nn.Linear(4, 3)

    def tail(self, state, ids):
        return self.out(torch.tanh(state.mean(1, keepdim=True) * self.target(ids)))

    def forward(self, ids, decoder_ids):
        out = self.tail(self.source(ids), decoder_ids)
        return out * (ids[0, -1] > 2) if self.looks_back else out


def test_a_mask_of_minus_infinity_as_a_buffer():
    net, x = Causal(True), torch.randn(1, 5, 4, dtype=torch.float64)
    op = nakami.jacobian(net, x)
    torch.testing.assert_close(op.dense(), dense(net, x), rtol=1e-10, atol=1e-12)


def test_a_mask_of_minus_infinity_beside_the_input():
    net, x = Causal(False), torch.randn(1, 5, 4, dtype=torch.float64)
    op = nakami.jacobian(net, (x, MASK[None]))
    want = dense(lambda v: net(v, MASK.double()[None]), x)
    torch.testing.assert_close(op.dense(), want, rtol=1e-10, atol=1e-12)
    x, y = torch.randn(2, 5, 4, dtype=torch.float64), torch.randn(2, 5, 4, dtype=torch.float64)
    masks = MASK.double().expand(2, 5, 5)
    fisher = nakami.ggn(net, [((x, masks), y)], "mse")
    want = float((net(x, masks) - y).detach().square().mean())
    assert fisher.value == pytest.approx(want, rel=1e-12)


def test_infinite_numbers_elsewhere_are_refused():
    net, x = Causal(True), torch.randn(1, 5, 4, dtype=torch.float64)
    with pytest.raises(UsageError, match="x must be finite, got 20 NaN or infinite components"):
        nakami.jacobian(net, torch.full_like(x, -torch.inf))
    with pytest.raises(UsageError, match="x must be finite, got 25 NaN or infinite components"):
        nakami.jacobian(net, (x, torch.full((1, 5, 5), torch.inf)))
    net.mask[0, 1] = torch.nan
    with pytest.raises(UsageError, match="weight 'mask' holds NaN or infinite values"):
        nakami.jacobian(net, x)


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.int32])
def test_tokens_with_a_mask_of_integers(dtype):
    net, ids = Encoder(), torch.tensor([[1, 4, 2, 7]])
    for mask in (torch.ones(1, 4), torch.tensor([[1, 1, 1, 0]])):
        mask = mask.to(dtype)
        op = nakami.jacobian(net, {"ids": ids, "mask": mask})
        want = dense(lambda v, mask=mask: net.tail(v, mask), net.embed(ids).detach())
        torch.testing.assert_close(op.dense(), want, rtol=1e-10, atol=1e-12)


def test_an_encoder_and_a_decoder_fed_by_tokens():
    net, ids, out = Translator().double(), torch.tensor([[1, 4, 2]]), torch.tensor([[3, 3]])
    op = nakami.jacobian(net, (ids, out), start="source")
    want = dense(lambda v: net.tail(v, out), net.source(ids).detach())
    torch.testing.assert_close(op.dense(), want, rtol=1e-10, atol=1e-12)


class Padded(nn.Module):
    """A network that sees by the tokens where its texts end."""

    def __init__(self, reads_again=False):
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.again = nn.Embedding(9, 4), nn.Embedding(9, 3)
        self.gru, self.head = nn.GRU(4, 3, batch_first=True), nn.Linear(3, 2)
        self.reads_again = reads_again

    def tail(self, state, ids):
        seen = self.gru(state)[0].masked_fill((ids == 0)[..., None], -torch.inf).amax(1)
        return self.head(seen + self.again(ids).sum(1) if self.reads_again else seen)

    def forward(self, ids):
        return self.tail(self.embed(ids), ids)


@pytest.mark.parametrize(
    "ids", [[3, 5, 0, 0], [0, 0, 3, 5], [3, 3, 3, 0], [4, 0, 0, 0], [1, 2, 5, 1], [3, 0, 5, 0]]
)
def test_a_mask_that_the_network_makes_of_its_padding_is_held(ids):
    net, ids = Padded().double(), torch.tensor([ids])
    op = nakami.jacobian(net, ids)
    want = dense(lambda v: net.tail(v, ids), net.embed(ids).detach())
    torch.testing.assert_close(op.dense(), want, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    "ids", [[3, 5, 0, 0], [3, 3, 3, 0], [4, 0, 0, 0], [3, 3, 3, 3], [0, 3, 5, 0]]
)
def test_a_second_embedding_of_padded_tokens_is_noticed(ids):
    with pytest.raises(UsageError, match="start must be a cut, got 'embed': 'output' also"):
        nakami.jacobian(Padded(reads_again=True).double(), torch.tensor([ids]), start="embed")


def test_tokens_that_pass_the_start_are_still_noticed():
    net, ids = Translator(looks_back=True).double(), torch.tensor([[1, 4, 2]])
    with pytest.raises(UsageError, match="start must be a cut, got 'source'"):
        nakami.jacobian(net, (ids, torch.tensor([[3]])), start="source")
