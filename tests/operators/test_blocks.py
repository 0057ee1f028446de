"""Stages read by default where blocks repeat: their outputs, the last one always, no constants."""

from itertools import pairwise

import pytest
import torch
from torch import nn

import nakami


class Block(nn.Module):
    """A block of a transformer, before its norms or after them."""

    def __init__(self):
        super().__init__()
        self.norm, self.mix, self.up, self.down = (
            nn.LayerNorm(4), nn.Linear(4, 4), nn.Linear(4, 6), nn.Linear(6, 4),
        )  # fmt: skip

    def forward(self, h):
        h = h + self.mix(h.mean(1, keepdim=True))
        return h + self.down(torch.relu(self.up(self.norm(h))))


class Gpt(nn.Module):
    def __init__(self, depth, positions_first=False):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(9, 4), nn.Embedding(7, 4)
        self.h = nn.ModuleList(Block() for _ in range(depth))
        self.lnf, self.head = nn.LayerNorm(4), nn.Linear(4, 9, bias=False)
        self.first = positions_first

    def forward(self, tokens):
        places = torch.arange(tokens.shape[1])
        if self.first:
            p = self.wpe(places)
            h = self.wte(tokens) + p
        else:
            h = self.wte(tokens) + self.wpe(places)
        for block in self.h:
            h = block(h)
        return self.head(self.lnf(h))


class Patches(nn.Module):
    """A vision transformer in small: a table of positions through a linear layer is a constant."""

    def __init__(self):
        super().__init__()
        self.patch, self.table, self.place = nn.Conv2d(1, 4, 2, 2), nn.Linear(2, 4), nn.Linear(4, 4)
        self.blocks, self.head = nn.Sequential(*(Block() for _ in range(3))), nn.Linear(4, 3)
        self.where = nn.Parameter(torch.randn(9, 2))

    def forward(self, x):
        h = self.patch(x).flatten(2).transpose(1, 2) + self.place(
            torch.tanh(self.table(self.where))
        )
        return self.head(self.blocks(h).mean(1))


TOKENS = torch.tensor([[1, 5, 3, 8]])


def test_the_last_block_is_read_and_the_norm_behind_it_is_not():
    auto = nakami.stages(Gpt(4), TOKENS).auto
    assert auto == ("wte", "h.0", "h.1", "h.2", "h.3", "head")


@pytest.mark.parametrize("first", [False, True])
def test_many_blocks_are_evenly_spread_with_both_ends(first):
    auto = nakami.stages(Gpt(30, first), TOKENS).auto
    assert len(auto) == 12
    assert auto[0] == "wte"
    assert auto[-1] == "head"
    blocks = [int(name.removeprefix("h.")) for name in auto[1:-1]]
    assert (blocks[0], blocks[-1]) == (0, 29)
    assert {b - a for a, b in pairwise(blocks)} <= {3, 4}


def test_a_block_called_again_is_read_at_every_call():
    class Shared(Gpt):
        def forward(self, tokens):
            h = self.wte(tokens)
            for _ in range(3):
                h = self.h[0](h)
            return self.head(h)

    auto = nakami.stages(Shared(1), TOKENS).auto
    assert auto == ("wte", "h.0", "h.0:2", "h.0:3", "head")


def test_constants_are_no_stages():
    x = torch.randn(1, 1, 6, 6)
    stages = nakami.stages(Patches(), x)
    assert stages.auto == ("patch", "blocks.0", "blocks.1", "blocks.2", "head")
    run = nakami.xray(Patches(), x)
    assert all(row.largest.mean > 0 for row in run.summary())


def test_a_dead_layer_is_no_constant():
    """Its derivative is 0 here, and elsewhere is not: it is read."""
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    net[0].bias.data -= 100
    assert nakami.stages(net, torch.ones(1, 3)).auto == ("1", "2")


def test_a_network_without_gradients_has_its_stages():
    class Still(nn.Sequential):
        def forward(self, x):
            with torch.no_grad():
                return super().forward(x)

    assert nakami.stages(Still(nn.Linear(3, 4), nn.Linear(4, 2)), torch.ones(1, 3)).auto == (
        "0",
        "1",
    )


def test_blocks_of_torch_are_blocks():
    layer = nn.TransformerEncoderLayer(8, 2, 12, batch_first=True)
    net = nn.Sequential(nn.Linear(3, 8), nn.TransformerEncoder(layer, 3), nn.Linear(8, 2))
    with_names = tuple(f"1.layers.{i}" for i in range(3))
    assert nakami.stages(net, torch.randn(1, 5, 3)).auto == ("0", *with_names, "2")


def transformers_models():
    transformers = pytest.importorskip("transformers")
    small = {"num_hidden_layers": 3, "hidden_size": 8, "intermediate_size": 12}
    small |= {"num_attention_heads": 2, "vocab_size": 50}
    ends = {"bos_token_id": 0, "eos_token_id": 0}
    gpt = transformers.GPT2Config(n_layer=3, n_embd=8, n_head=2, vocab_size=50, **ends)
    llama = transformers.LlamaConfig(**small, **ends)
    vit = {k: v for k, v in small.items() if k != "vocab_size"}
    vit = transformers.ViTConfig(**vit, image_size=8, patch_size=4)
    return {
        "gpt2": (transformers.GPT2LMHeadModel, gpt, "transformer.h", "transformer.wte", "lm_head"),
        "llama": (
            transformers.LlamaForCausalLM, llama, "model.layers", "model.embed_tokens", "lm_head",
        ),
        "bert": (
            transformers.BertModel, transformers.BertConfig(**small), "encoder.layer", "embeddings",
            None,  # the pooler does not lead to the output read, the last hidden state
        ),
        "vit": (
            transformers.ViTForImageClassification, vit, None, "vit.embeddings", "classifier",
        ),
    }  # fmt: skip


@pytest.mark.parametrize("name", ["gpt2", "llama", "bert", "vit"])
def test_blocks_of_transformers(name):
    torch.manual_seed(0)
    kind, config, where, first, last = transformers_models()[name]
    model = kind(config).eval()
    x = torch.randn(1, 3, 8, 8) if name == "vit" else torch.tensor([[1, 5, 3, 8]])
    auto = nakami.stages(model, x).auto
    if where is None:  # which list holds the blocks differs between versions
        where = auto[1].rpartition(".")[0]
    head = () if last is None else (last,)
    assert auto == (first, f"{where}.0", f"{where}.1", f"{where}.2", *head)
