"""Checks and measurements of nakami on a CUDA card.

    make gpu                                    all that is missing
    make gpu ARGS="--minutes 9"                 stops in time; the same command goes on
    make gpu ARGS="--device cpu --small"        a dry run without a card, kept in build/gpu
    make gpu ARGS="--device emulated --small"   as a card does, it refuses to mix with the CPU
    make gpu ARGS="--only 'jacobian/*' --retry"

Results go to ``benchmarks/results/gpu.json`` and ``docs/measurements-gpu.md``.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path
from typing import Any

from . import page
from .runner import ROOT, Results, chosen, run, source_digest
from .units import Setting
from .worker import Stopped, Worker

NAMES = (
    *("checks_products", "checks_curvature", "checks_readings", "checks_training"),
    *("checks_others", "checks_layers", "checks_watching", "speed"),
)
MODULES = tuple(f"benchmarks.gpu.{name}" for name in NAMES)


def main(asked: list[str] | None = None) -> int:
    """Run; 0 where nothing failed, 1 where a unit did, 2 where nothing could be run."""
    began = time.monotonic()
    args = parsed(asked)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    setting = Setting(args.device, args.small)
    file, document = places(args.out, setting)
    known = ROOT / "benchmarks" / "results" / "gpu.json" if setting.on_card else None
    if args.anew:
        file.unlink(missing_ok=True)
    results = Results(file, source_digest(), None if args.anew else known)
    worker = Worker(MODULES, setting)
    try:
        hello = worker.start()
        if apart := results.belong_to(hello["facts"]):
            print(f"{file} is of another machine ({apart}); move it, or begin again: --anew")
            return 2
        if not (names := chosen([name for name, *_ in hello["units"]], args.only)):
            print(f"no unit is called {' or '.join(args.only)}; --list shows their names")
            return 2
        if args.list:
            print("\n".join(names))
            return 0
        left = work(args, hello["units"], results, worker, began)
    except Stopped as error:
        print(f"nothing can be run on {args.device}: {error}")
        return 2
    finally:
        worker.close()
    page.write(results, document)
    failed = [name for name, record in results.units.items() if record["state"] == "failed"]
    print(f"{len(results.units)} units kept in {file}, {len(failed)} failed; the page: {document}")
    if left:
        print(f"{len(left)} units are left; the same command goes on with {left[0]}")
    return 1 if failed else 0


def work(args: Any, units: list[Any], results: Results, worker: Worker, began: float) -> list[str]:
    """Run what is missing of what was chosen; what the time left over."""
    due = set(results.missing(chosen([name for name, *_ in units], args.only), args.retry))
    deadline = began + 60 * args.minutes
    rest = [unit for unit in units if unit[0] in due]
    return run(rest, results, worker, deadline, lambda text: print(text, flush=True), began)


def places(out: Path | None, setting: Setting) -> tuple[Path, Path]:
    """The file of results and the page. Only those of a card at full size go into the docs."""
    if out is None and setting.on_card and not setting.small:
        return ROOT / "benchmarks/results/gpu.json", ROOT / "docs/measurements-gpu.md"
    folder = out or ROOT / "build" / "gpu" / setting.device.replace(":", "-")
    return folder / "gpu.json", folder / "measurements-gpu.md"


def parsed(asked: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("make gpu", description=__doc__)
    parser.add_argument("--device", default="cuda", help="cuda (default), cuda:1, cpu or emulated")
    parser.add_argument("--small", action="store_true", help="small sizes, for a dry run")
    parser.add_argument("--minutes", type=float, default=24 * 60.0, help="stop after so many")
    parser.add_argument("--only", nargs="+", default=[], help="units by name, as 'jacobian/*'")
    parser.add_argument("--list", action="store_true", help="show the names of units, run none")
    parser.add_argument("--retry", action="store_true", help="also what failed or was skipped")
    parser.add_argument("--anew", action="store_true", help="forget what was kept")
    parser.add_argument("--out", type=Path, help="folder for results and page, in place of these")
    return parser.parse_args(asked)


if __name__ == "__main__":
    sys.exit(main())
