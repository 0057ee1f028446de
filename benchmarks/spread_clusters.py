"""The same x-ray in one process and over Dask, Spark and Ray on this machine: equal bit for bit?

A backend that is not installed, or does not start, is reported with what it said.

    OMP_NUM_THREADS=1 python benchmarks/spread_clusters.py [dask] [spark] [ray]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from spread import contents

from nakami import data, zoo

PACKAGES = {"dask": ("distributed",), "spark": ("pyspark", "joblibspark"), "ray": ("ray",)}
LIMIT = 100  # seconds for each


def xray(root: Path, name: str, *backend: str) -> str:
    """Run the command; what went wrong, or nothing."""
    given = ["--model", "mlp", "--weights", str(root / "w.safetensors"), "--data"]
    read = [str(root / "x.npy"), "--inputs", "6", "--no-page", "--out", str(root / name)]
    command = [sys.executable, "-m", "nakami", "xray", *given, *read, *backend]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        return f"not done after {LIMIT} s"
    return done.stderr.strip()[-300:] if done.returncode else ""


def versions(name: str) -> str:
    """Of the packages of a backend."""
    try:
        return ", ".join(f"{package} {version(package)}" for package in PACKAGES[name])
    except PackageNotFoundError as error:
        return f"not installed ({error})"


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        torch.manual_seed(0)
        save_file(zoo.build("mlp").state_dict(), root / "w.safetensors")
        np.save(root / "x.npy", data.digits("test").inputs[:6].numpy())
        wrong = xray(root, "one")
        if wrong:
            sys.exit(wrong)
        runs = [next(p.parent for p in (root / "one").rglob("run.json"))]
        for name in sys.argv[1:] or PACKAGES:
            began = time.perf_counter()
            wrong = xray(root, name, "--backend", name, "--jobs", "2")
            if not wrong:
                runs.append(next(p.parent for p in (root / name).rglob("run.json")))
                equal = contents(runs[-1]) == contents(runs[0])
                wrong = "equal bit for bit" if equal else "NOT equal"
            print(f"{name} ({versions(name)}): {wrong}, {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
