"""Trainings by Spark in a program of its own, for training/test_spark.py."""

import json
import os
import signal
import sys
from pathlib import Path

import torch
from torch import nn

import shared_training
from nakami import data, recipes
from nakami.training import _training

SETTINGS = {"epochs": 6, "rate": 0.01, "batch": 16}


class Mortal(nn.Sequential):
    """Process 1 of several is killed at its 15th step, if a file says so."""

    steps = 0

    def forward(self, x):
        if self.training and os.environ.get("RANK") == "1":
            self.steps += 1
            if self.steps == 15 and Path("kill").exists():
                Path("kill").unlink()
                os.kill(os.getpid(), signal.SIGKILL)
        return super().forward(x)


def make():
    _training.SECONDS = 0.0  # a checkpoint after each epoch
    return Mortal(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2))


def normalised():
    return nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Linear(8, 2))


def outcome(make, folder, **options):
    """Name and text of what was raised; empty where nothing was."""
    options = {"data": "table.toml", "settings": SETTINGS, **options}
    try:
        recipes.train_on_spark(make, folder, **options)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def main(folder):
    from nakami.cli._spread import spark_session

    os.chdir(folder)
    torch.set_num_threads(1)
    found = {}
    with spark_session("local[2,4]", 2) as spark:  # four attempts at each task
        x, y = shared_training.data()
        rows = [(*row, "in" if k else "out") for row, k in zip(x.tolist(), y.tolist(), strict=True)]
        frame = spark.createDataFrame(rows, ["a", "b", "c", "kind"])
        frame.repartition(3).write.parquet("table")
        data.inspect("table").save("table.toml")
        found["local"] = outcome(make, "local", local=True)
        Path("kill").touch()
        found["killed"] = outcome(make, "barrier")
        found["epochs kept"] = [f.name for f in Path("barrier/pieces").glob("trained@*")]
        found["again"] = outcome(make, "barrier")
        found["refused"] = outcome(normalised, "refused", local=True)
    Path("found.json").write_text(json.dumps(found))


if __name__ == "__main__":
    import on_spark  # what is sent must not be of __main__

    on_spark.main(sys.argv[1])
