"""What the benchmarks share: real networks, a process for each measurement, tables in the docs.

CPU seconds of one thread are compared, not wall time, so that a busy machine distorts least; the
load average stands beside every result. Peak memory is that of the process alone.
"""

from __future__ import annotations

import datetime
import gc
import hashlib
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
MEASUREMENTS = ROOT / "docs" / "measurements.md"
CACHE = ROOT / "build" / "benchmarks"  # ignored by git: references, made again when missing
WEIGHTS = {
    "alexnet": "imagenet-weights/alexnet_features.safetensors",
    "squeezenet": "imagenet-weights/squeezenet1_1.safetensors",
}
ZOO = {"alexnet": "alexnet-features", "squeezenet": "squeezenet"}
STAGES = {"alexnet": "features.relu5", "squeezenet": "output"}
TITLES = {"alexnet": "AlexNet, input to relu5", "squeezenet": "SqueezeNet 1.1, input to logits"}
PICTURES = "imagenet-samples/images"


def _commit() -> str:
    asked = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    return subprocess.run(asked, capture_output=True, text=True).stdout.strip()


COMMIT = _commit()  # at the start: others may commit while this runs


@dataclass(frozen=True)
class Case:
    """A trained network and one picture.

    Attributes:
        model: The zoo's network. x: ``(1, 3, 224, 224)``. to: the stage where its Jacobian ends.
        plain: The same map as ``model`` up to ``to``, a module that the peers differentiate.
    """

    model: Any
    x: Any
    to: str
    plain: Any
    key: str  # changes with weights and picture


def data_folder() -> Path:
    """``$NAKAMI_DATA``, else ``../shared/data``, from the root of the repository."""
    return (ROOT / os.environ.get("NAKAMI_DATA", "../shared/data")).resolve()


def missing(cases: list[str]) -> str:
    """What the data folder lacks, in words; empty where everything is there."""
    folder = data_folder()
    lacking = [p for p in (*(WEIGHTS[c] for c in cases), PICTURES) if not (folder / p).exists()]
    if not lacking:
        return ""
    return f"no {', '.join(lacking)} in {folder}; set NAKAMI_DATA to a folder that has them"


def build(name: str) -> Case:
    """Network with trained weights and the first picture, prepared as for ImageNet."""
    import torch

    from nakami import data, zoo

    torch.set_num_threads(1)
    model = zoo.build(ZOO[name])
    data.load_weights(model, data_folder() / WEIGHTS[name])
    x = data.read(data_folder() / PICTURES, n=1).inputs
    plain = model
    if name == "alexnet":
        parts = dict(model.features.named_children())
        plain = torch.nn.Sequential(*list(parts.values())[: list(parts).index("relu5") + 1])
    plain.requires_grad_(False)
    digest = hashlib.sha256((data_folder() / WEIGHTS[name]).read_bytes() + x.numpy().tobytes())
    return Case(model, x, STAGES[name], plain, digest.hexdigest()[:12])


def xrayed(name: str) -> tuple[Any, Any, list[str]]:
    """A network, two inputs and six stages through its depth.

    ``minilm`` has the size of MiniLM-L6 (6 layers, width 384, 12 heads, inner width 1536), drawn at
    random; its inputs are 32 states.
    """
    import torch
    from torch import nn

    from nakami import data

    if name == "squeezenet":
        inputs = data.read(data_folder() / PICTURES, n=2).inputs
        fires = [f"features.{i}" for i in (4, 6, 7, 9, 12)]
        return build(name).model, inputs, [*fires, "output"]
    torch.set_num_threads(1)
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(384, 12, 1536, 0.0, "gelu", batch_first=True)
    model = nn.TransformerEncoder(layer, 6, enable_nested_tensor=False).eval()
    return model, torch.randn(2, 32, 384), [f"layers.{i}" for i in range(6)]


def warm_up() -> None:
    """Pay first-call imports of torch and nakami outside the clock.

    Of each kind of work that is timed one small piece: builds differ in when they import what.
    """
    import torch

    import nakami

    net = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU(), torch.nn.Flatten())
    x = torch.rand(2, 1, 12, 12)
    op = nakami.jacobian(net, x[:1])
    nakami.svd(op, 3)
    nakami.svd(op, 3, method="krylov")
    fisher = nakami.fisher(net, (x, torch.tensor([0, 1])), "cross_entropy")
    nakami.eigh(fisher, 1)
    nakami.trace(fisher)
    torch.optim.SGD(net.parameters(), lr=0.1).step()


def cpu_seconds(work: Callable[[], Any], threads: int = 1) -> tuple[float, Any]:
    """CPU time of this process spent in ``work``, and what it returned; wall time of threads."""
    gc.collect()  # else that of the imports falls into the clock, or does not, by chance
    clock = time.process_time if threads == 1 else time.perf_counter
    began = clock()
    out = work()
    return clock() - began, out


def memory() -> int:
    """Bytes resident now; starts a new count of the peak (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def peak_memory() -> int:
    """Largest number of bytes resident since ``memory()``."""
    return _status("VmHWM")


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(field)).split()[1])


def apart(script: str, source: Path | None = None, **task: Any) -> dict[str, Any]:
    """Run ``script --child task`` in a process of its own; the JSON line it prints.

    ``source`` is the folder of another build, to be imported in place of the installed one; a task
    may name its ``threads``.
    """
    threads = str(task.get("threads", 1))
    quiet = {f"{lib}_NUM_THREADS": threads for lib in ("OMP", "MKL", "OPENBLAS")}
    build = {"PYTHONPATH": str(source)} if source else {}
    load = os.getloadavg()[0]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", script, "--child", json.dumps(task)],
        env={**os.environ, **quiet, **build, "OMP_WAIT_POLICY": "PASSIVE"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    loads = [round(load, 1), round(os.getloadavg()[0], 1)]
    row = {**task, **json.loads(done.stdout.splitlines()[-1]), "load": loads}
    print(json.dumps(row), file=sys.stderr, flush=True)
    return row


def middle(rows: list[dict[str, Any]], field: str) -> dict[str, Any]:
    """The repeat of (upper) median time, building included, with all repeats of ``field`` noted."""
    ordered = sorted(rows, key=lambda row: row[field] + row.get("build_s", 0.0))
    return {**ordered[len(rows) // 2], f"all_{field}": [row[field] for row in rows]}


def median(values: list[float]) -> float:
    return statistics.median(values)


def circumstances(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """When, with what and on what machine: the first line of a file of results."""
    loads = [load for row in rows for load in row["load"]]
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    return {
        "date": today,
        "machine": f"{os.cpu_count()} cores ({platform.machine()}), one thread used",
        "load": [min(loads), max(loads)],
        "commit": COMMIT,
        "python": platform.python_version(),
        **{name: version(name) for name in ("nakami", "torch", "numpy", "scipy")},
    }


def keep(name: str, rows: list[dict[str, Any]], table: str) -> None:
    """Write JSON lines to ``results/<name>.json`` and the table between its marks in the docs."""
    around = circumstances(rows)
    RESULTS.mkdir(exist_ok=True)
    lines = "".join(json.dumps(row) + "\n" for row in (around, *rows))
    (RESULTS / f"{name}.json").write_text(lines)
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    before, rest = MEASUREMENTS.read_text().split(begin)
    after = rest.split(end)[1]
    MEASUREMENTS.write_text(f"{before}{begin}{heading(around)}\n\n{table}{end}{after}")


def heading(around: dict[str, Any]) -> str:
    """The circumstances as a sentence."""
    low, high = around["load"]
    return (
        f"Measured {around['date']} on {around['machine']}, load average {low} to {high}; Python "
        f"{around['python']}, torch {around['torch']}, NumPy {around['numpy']}, SciPy "
        f"{around['scipy']}, nakami {around['nakami']} at {around['commit']}."
    )


def table(heads: list[str], rows: list[list[str]]) -> str:
    """A Markdown table, first column to the left and the others to the right."""
    marks = ["---"] + ["---:"] * (len(heads) - 1)
    return "".join("| " + " | ".join(row) + " |\n" for row in (heads, marks, *rows))
