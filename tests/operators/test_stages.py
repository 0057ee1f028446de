"""Stages: order, names, kinds, shapes, and which ones are read by default."""

import torch
from torch import nn

import nakami
from networks import Residual, build


def listing(net, x):
    return [(s.name, s.kind, s.shape) for s in nakami.stages(net, x)]


def test_a_network_written_with_functions():
    net, x = build("tutorial cnn")
    assert listing(net, x) == [
        ("input", "input", (1, 14, 14)),
        ("conv1", "conv2d", (3, 12, 12)),
        ("conv1.relu", "relu", (3, 12, 12)),
        ("pool", "maxpool2d", (3, 6, 6)),
        ("conv2", "conv2d", (4, 4, 4)),
        ("bn", "batchnorm2d", (4, 4, 4)),
        ("bn.relu", "relu", (4, 4, 4)),
        ("pool:2", "maxpool2d", (4, 2, 2)),
        ("drop", "dropout", (16,)),
        ("fc1", "linear", (7,)),
        ("fc1.tanh", "tanh", (7,)),
        ("fc2", "linear", (5,)),
        ("fc2.log_softmax", "log_softmax", (5,)),
        ("output", "tutorial", (5,)),
    ]
    assert nakami.stages(net, x).auto == ("conv1.relu", "bn.relu", "fc1.tanh", "fc2")


def test_containers_that_hold_one_weight_layer_lend_their_name():
    net = nn.Sequential()
    for i, width in enumerate((5, 4, 3)):
        net.add_module(f"hidden{i + 1}", nn.Sequential(nn.Linear(width + 1, width), nn.Sigmoid()))
    stages = nakami.stages(net, torch.ones(1, 6))
    assert stages.auto == ("hidden1", "hidden2", "hidden3")
    assert stages.names[1:4] == ("hidden1.0", "hidden1.1", "hidden1")


def test_a_container_of_several_layers_does_not():
    net = nn.Sequential(nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4), nn.ReLU()))
    assert nakami.stages(net, torch.ones(1, 6)).auto == ("0.1", "0.3")


def test_a_deep_network_is_read_at_twelve_places():
    net = nn.Sequential(*[nn.Linear(3, 3) for _ in range(40)])
    auto = nakami.stages(net, torch.ones(1, 3)).auto
    assert len(auto) == 12
    assert (auto[0], auto[-1]) == ("0", "39")


def test_no_weights_leaves_the_output():
    assert nakami.stages(nn.Tanh(), torch.ones(1, 3)).auto == ("output",)


def test_residual_branches_are_listed_in_order():
    names = nakami.stages(Residual().double(), torch.ones(1, 6).double()).names
    assert names == ("input", "enter", "inner", "inner.relu", "leave", "output")


def test_a_model_with_a_stage_called_output_keeps_it():
    net = nn.Sequential()
    net.add_module("output", nn.Linear(3, 2))
    assert nakami.stages(net, torch.ones(1, 3)).names == ("input", "output")


def test_slices_and_representation():
    stages = nakami.stages(nn.Sequential(nn.Linear(3, 2)), torch.ones(1, 3))
    assert [s.name for s in stages[:2]] == ["input", "0"]
    assert "linear" in repr(stages)
    assert stages[0].size == 3


def test_one_state_is_read_once():
    stages = nakami.stages(nn.Linear(3, 2), torch.ones(1, 3))
    assert stages.names == ("input", "linear", "output")
    assert stages.auto == ("output",)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        return x + self.b(torch.relu(self.a(x)))


def test_a_block_that_joins_counts_as_one_layer():
    net = nn.Sequential(nn.Linear(4, 4), Block(), Block(), nn.Linear(4, 2), nn.Unflatten(1, (2, 1)))
    stages = nakami.stages(net, torch.ones(1, 4))
    assert stages.auto == ("0", "1", "2", "3")
    run = nakami.xray(net, torch.ones(2, 4), layers=True)  # all of them cuts
    assert {s.source for s in run.spectra} == {"input", "0", "1", "2"}


def test_an_output_of_another_size_is_read_too():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
    assert nakami.stages(net, torch.ones(1, 1, 5, 5)).auto == ("1", "output")


class PostNorm(nn.Module):
    """The sum lies inside; the last step is a normalisation."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.norm = nn.Linear(4, 4), nn.Linear(4, 4), nn.LayerNorm(4)

    def forward(self, x):
        return self.norm(x + self.b(torch.relu(self.a(x))))


class Side(PostNorm):
    """Two branches side by side."""

    def forward(self, x):
        return self.norm(torch.cat([self.a(x)[:, :2], self.b(x)[:, :2]], 1))


def test_a_block_that_joins_before_its_last_step_counts_as_one_layer_too():
    net = nn.Sequential(nn.Linear(4, 4), PostNorm(), Side(), PostNorm(), nn.Linear(4, 2))
    stages = nakami.stages(net, torch.ones(1, 4))
    assert stages.auto == ("0", "1", "2", "3", "4")
    assert (
        len(nakami.xray(net, torch.rand(1, 4), layers=True).at("2", "1")) == 1
    )  # all of them cuts


def test_weight_layers_are_counted_to_each_stage():
    net = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 2))
    places = nakami.stages(net, torch.randn(1, 4))
    assert [places.layers(name) for name in places.names[:6]] == [1, 1, 1, 2, 2, 3]

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x):
            return self.layer(torch.tanh(self.layer(x)))

    places = nakami.stages(Twice(), torch.randn(1, 4))
    assert places.layers("layer") == 1
    assert places.layers(places.names[-1]) == 2
