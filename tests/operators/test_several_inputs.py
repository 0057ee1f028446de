"""What is said of wrong inputs where a model takes several: which one, and how they are given."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

import nakami
from nakami.results import UsageError

LEFT, RIGHT, Y = torch.randn(6, 4), torch.randn(6, 5), torch.randn(6, 3)
GIVEN = r"its forward takes \(left, right\): give a tuple in this order, a dict by these names, or"


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.a, self.inner = nn.Linear(4, 3), nn.ModuleDict({"b": nn.Linear(5, 3)})

    def forward(self, left, right, scale=1.0):
        return scale * torch.tanh(self.a(left) + self.inner["b"](right))


WRONG = {
    "exchanged": ((RIGHT, LEFT), r"inputs 'left' of shape \(6, 5\), 'right' of shape \(6, 4\): "),
    "the layer": ((RIGHT, LEFT), r"multiplied .*, in its layer 'a', which got 'left'; " + GIVEN),
    "one of a dict": (
        {"left": LEFT, "right": LEFT}, r"in its layer 'inner\.b', which got 'right'; " + GIVEN,
    ),
    "another name": ({"left": LEFT, "rite": RIGHT}, r"argument 'rite'; " + GIVEN),
    "one alone": (LEFT, r"missing 1 required positional argument: 'right'; " + GIVEN),
    "one of a tuple": ((LEFT,), r"positional argument: 'right'; " + GIVEN),
    "other rows": (
        (LEFT, RIGHT[:5]), r"give all inputs a row for each example, these have 6 and 5 rows",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_the_wrong_one_of_two_inputs_is_named(name):
    x, message = WRONG[name]
    with pytest.raises(UsageError, match=message):
        nakami.ggn(Two(), (x, Y), "mse")


def test_the_sentence_of_one_input_has_the_layer():
    model = nn.Sequential(nn.Linear(4, 3), nn.Linear(5, 2))
    with pytest.raises(UsageError, match=r"shape \(6, 4\): .*, in its layer '1', which got shape"):
        nakami.ggn(model, (LEFT, Y), "mse")
    assert not model._forward_hooks
    assert not torch.nn.modules.module._global_forward_pre_hooks
    assert not torch.nn.modules.module._global_forward_hooks


def test_several_inputs_in_each_form_are_alike():
    values = [
        nakami.ggn(Two(), (x, Y), "mse").value
        for x in ((LEFT, RIGHT), [LEFT, RIGHT], {"right": RIGHT, "left": LEFT})
    ]
    view = nakami.View(Two(), target=-1)
    values.append(nakami.ggn(view, [(LEFT, RIGHT, Y)], "mse").value)
    assert values == pytest.approx([(Two()(LEFT, RIGHT) - Y).square().mean().item()] * 4)


def test_other_forms_have_a_way_out():
    with pytest.raises(TypeError, match=r"as a dict, vars\(x\), or make it a dataclass"):
        nakami.ggn(Two(), (SimpleNamespace(left=LEFT, right=RIGHT), Y), "mse")
    with pytest.raises(
        TypeError, match=r"lambda\(m, \*\*k\); pass a function of \(model, x\), where x"
    ):
        nakami.View(Two(), forward=lambda m, **k: m(**k))
    with pytest.raises(UsageError, match=r"got shape \(2, 5\) \(tensor 2 of 2\); pass x\[i:i\+1\]"):
        nakami.jacobian(Two(), (LEFT[:1], RIGHT[:2]))
