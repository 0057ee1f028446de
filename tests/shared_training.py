"""What the processes of one training do, for ``measured_by``."""

import os
import shutil
from pathlib import Path

import torch
from torch import nn

from nakami import training
from nakami.training import Supervised, Training, _together, _training

EPOCHS = 4


def data():
    x = torch.randn(53, 3, generator=torch.Generator().manual_seed(1))
    return x, (x[:, 0] * x[:, 1] > 0).long()


def net(dropout):
    torch.manual_seed(0)
    layers = [nn.Linear(3, 16), nn.Tanh(), nn.Dropout(dropout), nn.Linear(16, 2)]
    return nn.Sequential(*layers)


def trained(folder, dropout=0.0, stop_at=None, batch=8):
    """Weights and losses of a training in this folder; a copy is kept after some epochs."""
    model = net(dropout)
    method = Supervised(model, torch.optim.AdamW(model.parameters(), 0.01))

    def after(done, total, left, what):
        if done == stop_at and training.ranks().rank == 0:
            shutil.copytree(folder, f"{folder}-stopped")

    run = Training(folder, {"seed": 3}, {"fit": EPOCHS}, progress=after)
    losses = run.run("fit", method, data, batch=batch)
    return [p.detach().clone() for p in model.parameters()], losses


def launched(rank, size):
    """As torchrun sets it; the group is there already."""
    os.environ |= {"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": str(size), "LOCAL_RANK": str(rank)}
    _together._current.set(_together.Ranks(rank, size, rank))


def plain(rank):
    launched(rank, torch.distributed.get_world_size())
    return trained(Path(os.environ["SHARED_TRAINING"]) / f"plain-{rank}")


def fewer_rows_than_processes(rank):
    launched(rank, torch.distributed.get_world_size())
    return trained(Path(os.environ["SHARED_TRAINING"]) / f"few-{rank}", batch=2)


def stopped(rank):
    """An unbroken one, and one that goes on from a copy of the first process's files."""
    launched(rank, torch.distributed.get_world_size())
    _training.SECONDS = 0.0
    folder = Path(os.environ["SHARED_TRAINING"]) / "whole"
    with training.shared_folder(folder) as own:
        whole = trained(own, 0.5, stop_at=2)
    torch.distributed.barrier()
    with training.shared_folder(folder.parent / "whole-stopped") as own:
        return whole, trained(own, 0.5)


def diverged(rank=None):
    if rank is not None:
        launched(rank, torch.distributed.get_world_size())
    model = net(0.0)
    method = Supervised(model, torch.optim.SGD(model.parameters(), 1e38))
    try:
        training.fit(method, data(), epochs=3)
    except ValueError as error:
        return str(error)
    return "trained"


def batch_norm(rank):
    launched(rank, torch.distributed.get_world_size())
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    method = Supervised(model, torch.optim.SGD(model.parameters(), 0.1))
    try:
        training.fit(method, data(), epochs=1)
    except ValueError as error:
        return str(error)
    return "trained"
