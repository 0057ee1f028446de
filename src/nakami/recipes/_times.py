"""Weights at several times of a phase of training, for pictures of how a network came to be."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence

from torch import Tensor

from nakami.training import Method, Training

START = "start"


def milestones(epochs: int) -> tuple[int, ...]:
    """Epochs before the last at which a training is looked at: 1, 2, 5, 10, 20, 50, ..."""
    found = (step * 10**power for power in range(len(str(epochs))) for step in (1, 2, 5))
    return tuple(epoch for epoch in found if epoch < epochs)


def run_looked_at(
    training: Training,
    phase: str,
    method: Method,
    data: Callable[[], Sequence[Tensor]],
    batch: int,
    times: Sequence[int],
    epochs: int,
) -> dict[str, Mapping[str, Tensor]]:
    """Run a phase; first weights, those after some epochs, and the last, as ``Network.times``.

    Args:
        training: Runs the phase.
        phase: Its name.
        method: What a step is.
        data: Gives what it is trained on.
        batch: Examples of one update.
        times: Epochs after which weights are kept, before the last.
        epochs: Of the phase.
    """
    net = method.module
    kept: dict[str, Mapping[str, Tensor]] = {START: copy.deepcopy(net.state_dict())}
    snapshots = {epoch: f"{phase}, epoch {epoch}" for epoch in times}
    training.run(phase, method, data, batch=batch, snapshots=snapshots)
    last, other = copy.deepcopy(net.state_dict()), copy.deepcopy(net)
    for epoch, snapshot in snapshots.items():
        if training.has(snapshot):  # a folder of an older nakami has none
            training.read(snapshot, other)
            kept[f"epoch {epoch}"] = copy.deepcopy(other.state_dict())
    kept[f"epoch {epochs}"] = last
    return kept


def epoch_of(time: str) -> int:
    """After how many epochs a time of ``Network.times`` is."""
    return 0 if time == START else int(time.removeprefix("epoch "))
