"""Equal calls give equal bits, whatever was asked of the operator before."""

import pytest
import torch

import nakami
from operator_list import OPERATORS


def calls(op):
    """What can be asked of an operator, by name."""
    m, n = op.shape
    v, u = (torch.randn(k, 3, generator=torch.Generator().manual_seed(1)) for k in (n, m))
    found = {
        "block": lambda: op @ v,
        "column": lambda: op @ v[:, 0],
        "transposed block": lambda: op.T @ u,
        "transposed column": lambda: op.T @ u[:, 0],
        "dense": op.dense,
        "Gram matrix": lambda: op.gram() @ u,
        "singular values": lambda: nakami.svd(op, 2).values,
        "norm": lambda: torch.tensor(nakami.norm(op).value, dtype=torch.float64),
    }
    if hasattr(op, "at_current_weights"):
        found["current"] = lambda: op.at_current_weights() @ v
    if hasattr(op, "gradient"):
        point = torch.full((n,), 0.1)
        found |= {
            "gradient": op.gradient,
            "gradient elsewhere": lambda: op.loss_and_gradient(point)[1],
            "elsewhere": lambda: op.moved(point) @ v,
            "a block": lambda: op.layer("*") @ v,
            "last batch": lambda: op.by_batch()[-1] @ v,
            "trace": lambda: torch.tensor(nakami.trace(op).value, dtype=torch.float64),
            "eigenvectors": lambda: nakami.eigh(op, 2).vectors,
        }
    return found


@pytest.mark.parametrize("name", OPERATORS)
def test_bits_do_not_depend_on_the_order_of_calls(name):
    entry, found = OPERATORS[name], []
    for order in (1, -1):
        op = entry.build(entry.net().float(), torch.float32)
        found.append({what: act() for what, act in list(calls(op).items())[::order]})
    for what, value in found[0].items():
        assert torch.equal(value, found[1][what]), what


class Forgetful(nakami.operators.Jacobian):
    """Goes another way once it was asked for a product."""

    asked = False

    def _matmat(self, block):
        self.asked, before = True, self.asked
        return super()._matmat(block) * (1 + 1e-6 * before)


def test_the_comparison_can_fail():
    entry = OPERATORS["by the input"]
    orders = []
    for order in (1, -1):
        op = entry.build(entry.net().float(), torch.float32)
        op.__class__ = Forgetful
        orders.append({what: act() for what, act in list(calls(op).items())[::order]})
    assert not torch.equal(orders[0]["block"], orders[1]["block"])
