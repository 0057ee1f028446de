"""One training in one process, two of torchrun, and two of Spark: losses, and seconds to the end.

    python benchmarks/spark_training.py

Needs Java and `nakami[spark,train]`. The table is made by Spark and written as Parquet; every way
trains on it. Each way is a process of its own, so that its seconds hold the start of Python,
torch and Spark.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from safetensors.torch import load_file

ROWS, EPOCHS = 2000, 20
NETWORK = """
from torch import nn


def make():
    return nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 3))
"""
TABLE = """
import math
from nakami import data
from nakami.cli._spread import spark_session

with spark_session(None, 2) as spark:
    rows = []
    for i in range(%d):
        a, b, c, d = math.sin(i), math.cos(1.7 * i), math.sin(0.3 * i * i), math.cos(i * i)
        rows.append((a, b, c, d, "low" if a * b < 0 else "mid" if d < 0 else "top"))
    frame = spark.createDataFrame(rows, ["a", "b", "c", "d", "state"])
    frame.repartition(4).write.parquet("sensors")
data.inspect("sensors").save("sensors.toml")
"""
BARRIER = """
import nets
from nakami import recipes
from nakami.cli._spread import spark_session

with spark_session(None, 2):
    recipes.train_on_spark(nets.make, "barrier", data="sensors.toml", settings={"epochs": %d})
"""
TRAIN = [
    "-m",
    "nakami",
    "train",
    "nets:make",
    "--data",
    "sensors.toml",
    "--set",
    f"epochs={EPOCHS}",
]
TRAIN += ["--no-page"]
WAYS = {
    "one process": [*TRAIN, "--out", "process"],
    "torchrun": ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *TRAIN,
                 "--out", "torchrun"],
    "Spark, local": [*TRAIN, "--jobs", "2", "--backend", "spark", "--out", "local"],
    "Spark, barrier": ["-c", BARRIER % EPOCHS],
}  # fmt: skip


def ran(arguments: list[str], folder: Path) -> float:
    """Wall seconds of Python with these arguments."""
    began = time.monotonic()
    paths = [str(folder), os.environ.get("PYTHONPATH", "")]
    about = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
    }
    subprocess.run([sys.executable, *arguments], cwd=folder, env=about, check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)  # fmt: skip
    return time.monotonic() - began


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "nets.py").write_text(NETWORK)
        ran(["-c", TABLE % ROWS], folder)
        rows = {}
        for way, arguments in WAYS.items():
            seconds = ran(arguments, folder)
            (piece,) = folder.glob(f"{way.split()[-1].strip(',')}/**/pieces/trained") or [None]
            losses = json.loads((piece / "result.json").read_text())["losses"]
            rows[way] = seconds, losses, load_file(piece / "arrays.safetensors")
        _, alone, weights = rows["one process"]
        print(f"{ROWS} rows, {EPOCHS} epochs; off: largest difference to one process")
        print("| | last loss | losses off, relative | weights off | seconds |")
        print("| --- | --- | --- | --- | --- |")
        for way, (seconds, losses, held) in rows.items():
            off = max(abs(a - b) / b for a, b in zip(losses, alone, strict=True))
            apart = max(float((held[key] - weights[key]).abs().max()) for key in weights)
            print(f"| {way} | {losses[-1]:.7f} | {off:.1e} | {apart:.1e} | {seconds:.0f} |")


if __name__ == "__main__":
    main()
