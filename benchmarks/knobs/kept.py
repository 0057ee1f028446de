"""What the studies of development tasks share: a file of runs, a line each, and their command."""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from pathlib import Path
from typing import Any

import torch

from .tasks import PROTOCOL, missing

DEVELOPMENT = [n for n, t in PROTOCOL["task"].items() if t["role"] == "development"]


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text()) if path.exists() else {}


def write(path: Path, runs: dict[str, Any]) -> None:
    """The file, whole or not at all."""
    lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in runs.items())
    part = path.with_suffix(".part")
    part.write_text(f"{{\n{lines}\n}}\n")
    part.replace(path)


def asked(about: str) -> list[str]:
    """The tasks to run, all ready; none where a report alone is asked for."""
    parser = argparse.ArgumentParser(description=about.split("\n")[0])
    parser.add_argument("--tasks", nargs="+", choices=DEVELOPMENT, default=DEVELOPMENT)
    parser.add_argument("--report", action="store_true", help="print what is there, run nothing")
    said = parser.parse_args()
    if said.report:
        return []
    if lacking := [words for name in said.tasks if (words := missing(name))]:
        sys.exit("; ".join(dict.fromkeys(lacking)))
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    return list(said.tasks)
