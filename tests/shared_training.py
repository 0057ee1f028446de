"""What the processes of one training do, for ``measured_by``."""

import os
import shutil
from pathlib import Path

import torch
from torch import nn

from nakami import training
from nakami.data import inspect, prepare
from nakami.optim import SDProp
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


def net_of_blocks(dropout):
    """Weights whose rows two processes cannot share evenly, some outside any list."""
    torch.manual_seed(0)
    blocks = [nn.Linear(3, 15), nn.Tanh(), nn.Dropout(dropout)]
    return nn.Sequential(nn.Sequential(*blocks), nn.LayerNorm(15), nn.Linear(15, 2))


def in_parts(folder, dropout=0.0, batch=8, make=torch.optim.AdamW, stop_at=None):
    """As ``trained``, with sharded weights; also how many numbers this process held."""
    model = net_of_blocks(dropout)
    learner = training.sharded(model)
    optimizer = make(learner.parameters(), 0.01)

    def after(done, total, left, what):
        if done == stop_at and training.ranks().rank == 0:
            shutil.copytree(folder, f"{folder}-stopped")

    run = Training(folder, {"seed": 3}, {"fit": EPOCHS}, progress=after)
    losses = run.run("fit", Supervised(learner, optimizer), data, batch=batch)
    run.read("fit", model)
    held = sum(getattr(p, "to_local", lambda p=p: p)().numel() for p in learner.parameters())
    kept = [v for state in optimizer.state.values() for v in state.values()]
    held += sum(getattr(v, "to_local", lambda v=v: v)().numel() for v in kept)
    return [p.detach().clone() for p in model.parameters()], losses, held


MAKERS = {
    "adamw": torch.optim.AdamW,
    "momentum": lambda weights, rate: torch.optim.SGD(weights, rate, 0.9),
    "sdprop": SDProp,
}


def parts(rank):
    launched(rank, torch.distributed.get_world_size())
    folder = Path(os.environ["SHARED_TRAINING"])
    found = {
        (name, batch): in_parts(folder / f"{name}-{rank}-{batch}", batch=batch, make=make)
        for name, make in MAKERS.items()
        for batch in (8, 2)
    }
    return found | {
        "diverged": parts_diverged(),
        "lbfgs": parts_by_lbfgs(),
        "stopped": parts_stopped(),
    }


def parts_stopped():
    """An unbroken one, and one that goes on from a copy of the first process's files."""
    _training.SECONDS = 0.0
    folder = Path(os.environ["SHARED_TRAINING"]) / "whole"
    with training.shared_folder(folder) as own:
        whole = in_parts(own, 0.5, stop_at=2)
    with training.shared_folder(folder.parent / "left") as own:
        in_parts(own, stop_at=2)
    torch.distributed.barrier()
    with training.shared_folder(folder.parent / "whole-stopped") as own:
        return whole, in_parts(own, 0.5)


def parts_by_lbfgs():
    learner = training.sharded(net_of_blocks(0.0))
    method = Supervised(learner, torch.optim.LBFGS(learner.parameters()))
    try:
        training.fit(method, data(), epochs=1, batch=53)
    except ValueError as error:
        return str(error)
    return "trained"


def parts_diverged():
    learner = training.sharded(net_of_blocks(0.0))
    method = Supervised(learner, torch.optim.SGD(learner.parameters(), 1e38))
    try:
        training.fit(method, data(), epochs=3)
    except ValueError as error:
        return str(error)
    return "trained"


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


def small():
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2))


def narrow():
    return nn.Linear(3, 1)


def mapped(rank=None, budget=1):
    """Weights and losses on data of a schema, by default kept on disk by whoever comes first."""
    if rank is not None:
        launched(rank, torch.distributed.get_world_size())
    folder = Path(os.environ["SHARED_TRAINING"])
    schema = inspect(folder / "rows.npz")
    train = prepare(schema, memory_budget=budget, folder=folder / "kept").examples("train")
    model = net(0.0)
    method = Supervised(model, torch.optim.AdamW(model.parameters(), 0.01))
    losses = training.fit(method, (train.inputs, train.labels), epochs=EPOCHS, batch=8)
    return [p.detach().clone() for p in model.parameters()], losses
