"""Outputs by name: a U-Net-like and a detector-like network, against the same by a function."""

from collections import namedtuple
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

import nakami
from nakami.results import UsageError


class UNet(nn.Module):
    """Down, up and a skip; a mask, and a tuple of what helps to train it."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.down, self.up = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(3, 1, 3, padding=1)
        self.pool = nn.AvgPool2d(2)

    def forward(self, x):
        low = self.pool(torch.tanh(self.down(x)))
        wide = nn.functional.interpolate(low, scale_factor=2)
        mask = self.up(torch.cat([x, wide], 1))
        return {"mask": mask, "aux": (low, low.mean((2, 3))), "step": torch.tensor(3)}


class Detector(nn.Module):
    """A list of mappings, one for each picture."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.body, self.boxes = nn.Linear(5, 6), nn.Linear(6, 8)
        self.scores = nn.Linear(6, 2)

    def forward(self, x):
        h = torch.tanh(self.body(x))
        boxes = self.boxes(h).reshape(-1, 2, 4)
        labels = torch.ones(2, dtype=torch.long)
        return [{"labels": labels, "boxes": boxes[0], "scores": self.scores(h)[0]}]


@dataclass
class Found:
    logits: Tensor
    hidden: tuple


Pair = namedtuple("Pair", "mean scale")
SHAPES = {
    "logits": lambda y: Found(y, (y.exp(),)),
    "hidden.0": lambda y: Found(y.exp(), (y,)),
    "mean": lambda y: Pair(y, y.exp()),
    "1": lambda y: Pair(y.exp(), y),
    "-1": lambda y: (y.exp(), y),
    "a.b": lambda y: {"a": y.exp(), "a.b": y},
    "out.x": lambda y: SimpleNamespace(out=SimpleNamespace(x=y), n=3),
}


def dense(model, x, select):
    found = torch.autograd.functional.jacobian(lambda x: select(model(x)), x)
    return found.reshape(-1, x.numel())


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("mask", lambda o: o["mask"]),
        ("aux.0", lambda o: o["aux"][0]),
        ("aux.1", lambda o: o["aux"][1]),
    ],
)
def test_jacobians_and_x_rays_of_a_u_net_are_those_of_the_output_named(name, function):
    model, x = UNet().double(), torch.randn(2, 1, 4, 4).double()
    view = nakami.View(model, select=name)
    wanted = dense(model, x[:1], function)
    torch.testing.assert_close(nakami.jacobian(view, x[:1]).dense(), wanted)
    run = nakami.xray(view, x, ["output"])
    values = torch.linalg.svdvals(wanted).numpy()
    assert run.values("output")[0][: len(values)] == pytest.approx(values, abs=1e-9)
    assert run.settings["select"] == name
    assert nakami.stages(view, x[:1])[-1].shape == function(model(x[:1])).shape[1:]


def test_boxes_of_a_detector():
    model, x = Detector().double(), torch.randn(1, 5).double()
    wanted = dense(model, x, lambda out: out[0]["boxes"])
    found = nakami.jacobian(nakami.View(model, select="0.boxes"), x)
    torch.testing.assert_close(found.dense(), wanted)


@pytest.mark.parametrize("name", SHAPES)
def test_every_form_of_output_has_names(name):
    class Model(nn.Module):
        def forward(self, x):
            return SHAPES[name](x.sin())

    x = torch.randn(1, 3).double()
    found = nakami.jacobian(nakami.View(Model(), select=name), x).dense()
    torch.testing.assert_close(found, x.cos()[0].diag())


WRONG = {
    "unknown": (UNet(), "masks", r"got 'masks'; names there: mask, aux\.0, aux\.1\."),
    "container": (UNet(), "aux", r"got 'aux'; names there: mask, aux\.0"),
    "integers": (UNet(), "step", r"got 'step'; names there: mask"),
    "beyond": (UNet(), "aux.2", r"got 'aux\.2'; names there: mask"),
    "inside a tensor": (UNet(), "mask.0", r"got 'mask\.0'; names there: mask"),
    "one tensor": (nn.Conv2d(1, 1, 1), "0", r"got '0' of one tensor; leave it out\."),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_name_that_is_not_there_is_refused_with_those_that_are(case):
    model, name, text = WRONG[case]
    rule = "select must name a floating tensor of the model's output, "
    with pytest.raises(UsageError, match=rule + text):
        nakami.stages(nakami.View(model, select=name), torch.zeros(1, 1, 4, 4))


def test_what_is_no_name_is_refused_and_experiments_ask_for_the_same():
    with pytest.raises(UsageError, match="select must be a name or a function of the output, got "):
        nakami.View(UNet(), select="")
    model, x = UNet(), torch.randn(2, 1, 4, 4)
    run = nakami.xray(nakami.View(model, select="aux.1"), x, ["output"])
    text = r"select must be that of the x-ray, got None; pass nakami\.View\(model, select='aux"
    with pytest.raises(UsageError, match=text):
        nakami.dynamics.subspaces(model, x, run)
