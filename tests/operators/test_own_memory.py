"""Products lie in memory of their own: writing to one changes no operand and no later product."""

import pytest
import torch
from torch import nn

import nakami


class Dead(nn.Linear):
    """Its parameters have no part in the output where inputs are negative."""

    def __init__(self):
        super().__init__(3, 2)

    def forward(self, x):
        return super().forward(x) if x.sum() > 0 else x[:, :2] * 1.0


@pytest.mark.parametrize("columns", [1, 3])
@pytest.mark.parametrize("make", [nn.Identity, nn.Flatten])
def test_a_product_with_an_identity_is_not_the_vector_itself(make, columns):
    op, v = nakami.jacobian(make(), torch.rand(1, 2, 3)), torch.randn(6, columns)
    before = v.clone()
    for found in (op @ v, op.T @ v, op @ v[:, 0]):
        found.zero_()
    assert torch.equal(v, before)


@pytest.mark.parametrize("columns", [1, 3])
def test_columns_of_zeros_do_not_share_memory(columns):
    op = nakami.jacobian(nn.Threshold(9.0, 1.0), torch.rand(1, 4))
    for a in (op, op.T):
        found = a @ torch.randn(4, columns)
        found[:, 0] += 1
        assert float(found.sum()) == 4


@pytest.mark.parametrize("columns", [1, 3])
@pytest.mark.parametrize("kind", ["hessian", "ggn", "fisher", "empirical_fisher"])
def test_a_first_batch_without_gradient_adds_nothing(kind, columns):
    torch.manual_seed(0)
    model, x, y = Dead().double(), torch.rand(4, 3).double(), torch.randint(0, 2, (4,))
    v = torch.randn(8, columns).double()
    wanted = getattr(nakami, kind)(model, [(x, y)], "cross_entropy") @ v / 2
    op = getattr(nakami, kind)(model, [(-x, y), (x, y)], "cross_entropy")
    for _ in range(2):
        torch.testing.assert_close(op @ v, wanted)
