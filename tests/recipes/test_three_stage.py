"""What is special to the recipe ``three-stage``: the best units of its networks, of one class."""

import torch
from torch import nn
from torch.testing import assert_close

from nakami.data import Examples
from nakami.recipes.three_stage import facts


class Unit(nn.Module):
    """One of the values of an example."""

    def __init__(self, index):
        super().__init__()
        self.index = index

    def forward(self, x):
        return x.flatten(1)[:, self.index : self.index + 1]


def made(seed, told):
    """300 examples of three classes, with a value for each that tells it as surely as given."""
    g = torch.Generator().manual_seed(seed)
    labels = torch.arange(300) % 3
    x = torch.randn(300, 1, 1, 3, generator=g)
    x[..., :] += (torch.eye(3) * torch.tensor(told))[labels][:, None, None]
    names = ("cup", "hat", "cat")
    return Examples(x, labels, tuple(map(str, range(300))), "value", "made", {}, "row", names)


def test_all_networks_are_measured_on_the_class_that_the_last_tells_best_in_training():
    train, test = made(0, [4.0, 2.0, 3.0]), made(1, [4.0, 3.0, 2.0])
    found = facts([Unit(0), Unit(1), Unit(2)], (train, test))
    labels = [[fact["label"] for fact in each] for each in found]
    one = "right by the best unit for class cat"
    assert labels == [
        ["right by the best unit, mean of classes", one, labels[0][2]],
        ["right by the best unit, mean of classes", one],
        ["right by the best unit, mean of classes", one],
    ]
    assert labels[0][2] == "right by the best input value, mean of classes"
    told = found[2][1]
    assert "; the class that joint tells best in training" in told["spread_kind"]
    cat, values = test.labels == 2, test.inputs[:, 0, 0, 2]
    threshold = 1.5  # the best for a shift of 3, about; the recipe's is chosen on the examples
    by_hand = (
        (values > threshold)[cat].double().mean() + (values <= threshold)[~cat].double().mean()
    ) / 2
    assert_close(told["value"], 100 * float(by_hand), atol=5.0, rtol=0)
    assert found[0][1]["value"] < told["value"] - 20  # a unit of another class


def test_a_class_that_no_test_example_has_is_not_chosen():
    train, test = made(0, [2.0, 2.0, 4.0]), made(1, [2.0, 2.0, 4.0])
    there = test[test.labels != 2]
    (found,) = facts([Unit(2)], (train, there))
    assert found[1]["label"] != "right by the best unit for class cat"
    assert found[1]["value"] == found[1]["value"]
