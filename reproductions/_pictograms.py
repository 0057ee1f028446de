"""Pictograms with their names, the network of photographs that reads them, and how it learns."""

from __future__ import annotations

import copy
import csv
import json
import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

from nakami import data, zoo
from nakami.data import Captioned
from nakami.training import Method
from nakami.training._wrapped import Wrapped
from nakami.zoo.captioner import Captioner

SIDE, CUT = 128, 11  # pixels; blocks of the trunk that are always held
WEIGHTS = "imagenet-weights/efficientnet_lite0.fp16.safetensors"


def pictograms(package: Path) -> Captioned:
    """The pictures on white with their names, read as any folder of pictures with captions."""
    image = data.pillow()
    with TemporaryDirectory() as name:
        folder = Path(name)
        rows = [("image", "caption")]
        for one in json.loads((package / "emoji.json").read_text(encoding="utf-8")):
            if one["has_img_google"] and one["category"] not in ("Flags", "Component"):
                drawn = image.open(package / "img" / "google" / "64" / one["image"])
                drawn = drawn.convert("RGBA")
                white = image.new("RGBA", drawn.size, "white")
                image.alpha_composite(white, drawn).convert("RGB").save(folder / one["image"])
                rows.append((one["image"], one["name"]))
        with (folder / "captions.txt").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)
        return data.read_captioned(folder, size=SIDE)


def trunk() -> tuple[nn.Sequential, nn.Sequential]:
    """Both parts of the network of photographs: what is held, and what may learn at the end."""
    beside = Path(__file__).parents[1] / ".." / "shared" / "data"
    net: Any = zoo.build("efficientnet-lite0")
    data.load_weights(net, Path(os.environ.get("NAKAMI_DATA", beside)) / WEIGHTS)
    low = nn.Sequential(_Centred(), net._conv_stem, net._bn0, net._relu0, net._blocks[:CUT])
    high = nn.Sequential(net._blocks[CUT:], net._conv_head, net._bn1, net._relu1, net._avg_pooling,
                         nn.Flatten())  # fmt: skip
    return low.eval().requires_grad_(False), high.eval().requires_grad_(False)


class _Centred(nn.Module):
    """Pixels in 0..1 to those that the network takes."""

    def forward(self, x: Tensor) -> Tensor:
        """``(255 x - 127) / 128``."""
        return (255 * x - 127) / 128


class Still(nn.Module):
    """A captioner whose trunk normalises by the statistics that it has, in training too."""

    def __init__(self, net: Captioner):
        super().__init__()
        self.net = net

    def train(self, mode: bool = True) -> Still:
        """Only the rest changes its mode."""
        super().train(mode)
        self.net.trunk.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        """As the captioner."""
        states: Tensor = self.net(x)
        return states


class Chosen(Wrapped):
    """A training that keeps the weights of the epoch with the lowest loss on other names."""

    def __init__(self, method: Method, loss: Callable[[], Tensor]):
        super().__init__(method)
        self.asked, self.best = loss, float("inf")
        self.weights = copy.deepcopy(method.module.state_dict())

    def epoch(self, index: int) -> None:
        """Look at what the epoch before has left."""
        super().epoch(index)
        self.look()

    @torch.no_grad()
    def look(self) -> None:
        """Keep the weights as they are if they are the best so far."""
        loss = float(self.asked())
        if loss < self.best:
            self.best, self.weights = loss, copy.deepcopy(self.module.state_dict())
