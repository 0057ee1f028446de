"""The cost of each experiment in multiples of the x-ray that it goes with.

    python benchmarks/experiment_cost.py

One input of SqueezeNet and of a transformer of MiniLM size, six stages, the 50 largest values, all
settings as they come; CPU seconds of one thread, once each. The table goes to
``docs/measurements.md``.
"""

from __future__ import annotations

import os
import time
from typing import Any

import _side_by_side as side


def measured(name: str) -> list[dict[str, Any]]:
    """Seconds of the x-ray of one network, and of every experiment."""
    import nakami
    from nakami.dynamics import EXPERIMENTS
    from nakami.results import UsageError

    model, inputs, stages = side.xrayed(name)
    side.warm_up()
    began = time.process_time()
    run = nakami.xray(model, inputs[:1], stages, 50)
    spectra = time.process_time() - began
    rows = [{"network": name, "what": "x-ray", "seconds": spectra, "multiple": 1.0}]
    for what in EXPERIMENTS.names:
        began = time.process_time()
        try:
            EXPERIMENTS[what].run(model, inputs[:1], run)
        except UsageError as error:
            print(f"{name}, {what}: {error}", flush=True)
            continue
        seconds = time.process_time() - began
        rows.append(
            {"network": name, "what": what, "seconds": seconds, "multiple": seconds / spectra}
        )
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    rows = [row for name in ("squeezenet", "minilm") for row in measured(name)]
    for row in rows:
        row["load"] = [round(load, 1) for load in os.getloadavg()[:2]]
        row["seconds"], row["multiple"] = round(row["seconds"], 2), round(row["multiple"], 2)
    heads = ["network", "", "CPU s", "multiple of the x-ray"]
    cells = [[r["network"], r["what"], f"{r['seconds']:.1f}", f"{r['multiple']:.2f}"] for r in rows]
    side.keep("experiment_cost", rows, side.table(heads, cells))


if __name__ == "__main__":
    main()
