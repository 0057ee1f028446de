"""Small models of diffusers, peft and torch_geometric beside dense matrices by autograd."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.testing import assert_close

import nakami
from gauntlet import Reference

pytestmark = pytest.mark.slow
IDS = torch.tensor([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3], [5, 8, 9, 7, 9]])


def near(found, wanted, of=1e-9):
    assert_close(found, wanted, rtol=0, atol=of * float(wanted.abs().max()))


def unet():
    diffusers = pytest.importorskip("diffusers", reason="diffusers is missing (extra test-all)")
    torch.manual_seed(0)
    model = diffusers.UNet2DModel(
        sample_size=8, in_channels=1, out_channels=1, layers_per_block=1, norm_num_groups=2,
        block_out_channels=(4, 4), attention_head_dim=2,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
    )  # fmt: skip
    return model.double().eval()


def test_a_denoiser_by_its_picture():
    model, x = unet(), torch.randn(1, 1, 8, 8, dtype=torch.float64)
    wanted = torch.autograd.functional.jacobian(lambda v: model(v, 3).sample, x).reshape(64, 64)
    op = nakami.jacobian(model, (x, torch.tensor([3])))
    near(op.dense(), wanted, 1e-5)  # the embedding of the time step is in float32
    values = torch.linalg.svdvals(wanted)
    near(nakami.svd(op, 4, tol=1e-9).values, values[:4], 1e-5)


def test_a_denoiser_by_some_of_its_parameters():
    model, y = unet(), torch.randn(3, 1, 8, 8, dtype=torch.float64)
    x, steps = torch.randn(3, 1, 8, 8, dtype=torch.float64), torch.tensor([3, 5, 7])
    for name, p in model.named_parameters():
        p.requires_grad_(name.startswith(("conv_out", "conv_norm_out")))
    reference = Reference(model, lambda m, x: m(*x).sample)
    wanted = reference.ggn((x, steps), y, nn.MSELoss())
    op = nakami.ggn(model, [((x, steps), y)], "mse")
    near(op.dense(), wanted, 1e-5)


def shifted(out, labels):
    return functional.cross_entropy(out.logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())


@pytest.mark.filterwarnings(  # of peft 0.21 under transformers 5.24
    "ignore:`is_gradient_checkpointing` is deprecated and will be removed in v6:FutureWarning"
)
def test_adapters():
    hosts = pytest.importorskip("transformers", reason="transformers is missing (extra hf)")
    peft = pytest.importorskip("peft", reason="peft is missing (extra test-all)")
    torch.manual_seed(0)
    base = hosts.GPT2LMHeadModel(
        hosts.GPT2Config(
            vocab_size=11, n_embd=4, n_layer=1, n_head=2, n_positions=8, bos_token_id=0,
            eos_token_id=0,
        )
    )  # fmt: skip
    lora = peft.LoraConfig(
        r=2, target_modules=["c_attn"], init_lora_weights=False, fan_in_fan_out=True
    )
    model = peft.get_peft_model(base, lora).double().eval()
    reference = Reference(model, lambda m, x: m(**x))
    x = {"input_ids": IDS}
    wanted = Reference(model, lambda m, x: m(**x).logits).ggn(
        x, IDS, lambda z, y: functional.cross_entropy(z[:, :-1].flatten(0, 1), y[:, 1:].flatten())
    )
    op = nakami.ggn(model, (x, IDS), shifted)
    assert op.shape[0] == len(reference.point) < 100
    near(op.dense(), wanted)
    near(nakami.hessian(model, (x, IDS), shifted).dense(), reference.hessian(x, IDS, shifted))


def graphs():
    host = pytest.importorskip("torch_geometric", reason="torch_geometric is missing (test-all)")
    from torch_geometric.data import Batch, Data
    from torch_geometric.nn import GCNConv, global_mean_pool

    class Net(nn.Module):
        def __init__(self, pooled):
            super().__init__()
            self.a, self.b, self.pooled = GCNConv(3, 4), GCNConv(4, 3), pooled

        def forward(self, batch):
            h = self.b(torch.tanh(self.a(batch.x, batch.edge_index)), batch.edge_index)
            return global_mean_pool(h, batch.batch) if self.pooled else h

    def graph(nodes, pooled):
        ring = torch.arange(nodes)
        edges = torch.stack([ring, ring.roll(-1)])
        y = torch.randint(0, 3, (1,) if pooled else (nodes,))
        return Data(x=torch.randn(nodes, 3).double(), edge_index=edges, y=y)

    torch.manual_seed(0)
    assert host.__version__
    return Net, lambda sizes, pooled: Batch.from_data_list([graph(n, pooled) for n in sizes])


@pytest.mark.parametrize("pooled", [False, True])
def test_graphs(pooled):
    Net, batch = graphs()
    model, one, two = Net(pooled).double(), batch((4, 5), pooled), batch((3, 6), pooled)
    reference, loss = Reference(model), nn.CrossEntropyLoss(reduction="sum")
    parts = [reference.ggn(b, b.y, loss) for b in (one, two)]
    wanted = sum(parts) / (len(one.y) + len(two.y))
    near(nakami.ggn(model, [one, two], "cross_entropy").dense(), wanted)
    near(nakami.fisher(model, [one, two], "cross_entropy").dense(), wanted)
    curved = reference.hessian(one, one.y, nn.CrossEntropyLoss())
    near(nakami.hessian(model, one, "cross_entropy").dense(), curved)


def test_a_graph_as_one_input():
    Net, batch = graphs()
    model, one = Net(False).double(), batch((4,), False)

    def outputs(x):
        moved = one.clone()
        moved.x = x
        return model(moved).reshape(-1)

    wanted = torch.autograd.functional.jacobian(outputs, one.x).reshape(12, 12)
    near(nakami.jacobian(model, one).dense(), wanted)
