"""Windows of the background that a classifier takes for objects: it learns most from these."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nakami.data import Scenes
from nakami.nn import convolutional
from nakami.results import is_number, wrong

from ._windows import at_scale, check_looks, target

AT_ONCE = 50  # scenes


@torch.no_grad()
def false_alarms(
    windows: nn.Sequential,
    scenes: Scenes,
    scales: Sequence[float],
    side: int = 28,
    *,
    least: float = 0.5,
    generator: torch.Generator,
) -> Tensor:
    """Windows of background to which a classifier gives another class, ``(N, C, side, side)``.

    Args:
        windows: The classifier, in evaluation mode; its last class is the background.
        scenes: Each is looked at on one scale, at random, at every total stride of the classifier,
            where the classifier is.
        scales: To draw from.
        side: Pixels of a window's side.
        least: Probability of a class from which on it is an alarm.
        generator: Decides the scales.

    Source: the negatives found while training of Sermanet et al. 2014, section 5.
    """
    if not (is_number(least) and 0 <= least <= 1):
        raise wrong("least", "lie in 0..1", least, "pass 0.5")
    side = check_looks(scenes.pictures, scales, side)
    dense = convolutional(windows, (scenes.pictures.shape[1], side, side))
    where = next(windows.parameters(), scenes.pictures).device
    drawn = torch.randint(len(scales), (len(scenes),), generator=generator)
    margin, found = side // 2, list[Tensor]()
    for k, scale in enumerate(scales):
        rows = (drawn == k).nonzero().flatten()
        if not len(rows):
            continue
        scaled, factors = at_scale(scenes.pictures[rows].to(where), scale, margin)
        chances = torch.cat(
            [dense(part).softmax(1)[:, :-1].amax(1) for part in scaled.split(AT_ONCE)]
        )
        for row, i, j in (chances >= least).nonzero().tolist():
            y, x = i * dense.stride[0], j * dense.stride[1]
            boxes, labels = scenes.within(int(rows[row]))
            placed = boxes * torch.tensor(factors * 2) + margin - torch.tensor([x, y, x, y])
            if int(target(placed / side, labels, len(scenes.classes))[0]) == len(scenes.classes):
                found.append(scaled[row, :, y : y + side, x : x + side])
    none = scenes.pictures.new_zeros(0, scenes.pictures.shape[1], side, side)
    return torch.stack(found).to(none.device) if found else none
