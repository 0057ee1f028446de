"""Machines and data on one device, a generator on another: numbers are drawn where it is."""

import pytest
import torch
from torch.overrides import TorchFunctionMode

from nakami.training import Gaussian, Masking, SaltAndPepper
from nakami.training._batches import Batches
from nakami.zoo.autoencoder import Autoencoder
from nakami.zoo.dbn import DBN
from nakami.zoo.gaussian_rbm import GaussianRBM
from nakami.zoo.rbm import RBM, contrastive_divergence


class AsOnACard(TorchFunctionMode):
    """Refuses a generator of another device, as CUDA does; ``meta`` alone lets it pass."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        generator = (kwargs or {}).get("generator")
        if generator is not None and isinstance(args[0], torch.Tensor):
            assert args[0].device == generator.device
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    "draw",
    [
        Gaussian(),
        Masking(),
        SaltAndPepper(),
        lambda x, gen: contrastive_divergence(RBM(9, 5).to(x), x, 2, gen)[0],
        lambda x, gen: contrastive_divergence(GaussianRBM(9, 5).to(x), x, 2, gen)[0],
        lambda x, gen: Autoencoder(9, 5).to(x).draw(x, gen),
        lambda x, gen: Autoencoder(9, 5, output="linear").to(x).draw(x, gen),
        lambda x, gen: DBN((9, 6, 5)).to(x).sample(4, steps=2, generator=gen),
        lambda x, gen: DBN((9, 6, 5)).to(x).bound(x, generator=gen),
    ],
)
def test_numbers_are_drawn_where_the_generator_is(draw):
    with AsOnACard():
        assert draw(torch.empty(4, 9, device="meta"), torch.Generator()).device.type == "meta"


def test_data_on_the_cpu_are_shuffled_alike_by_a_generator():
    data, order = torch.arange(50), torch.randperm(50, generator=torch.Generator().manual_seed(3))
    groups = Batches([data], 8, torch.Generator().manual_seed(3))
    assert torch.equal(torch.cat([part for group in groups for (part,) in group]), order)
