"""Time as depth in two trained recurrent nets: what survives 1, 5, 10 and 20 steps.

Nobody has published such a table, so there is nothing to compare with. Read by
`nakami.recurrent.spectra_over_time`, in float64, over 16 real sequences each, from the state 0:

* of how many directions of the first state, and of the first input, more than a tenth of a
  difference is left in the state after t steps, and how many grow;
* effective ranks, and the largest finite-time Lyapunov exponents `ln s / t`;
* beside the trained net the same net with its weights drawn anew, as torch draws them.

Nets: the encoder of g2p_en 2.1.0 (a GRU of 256 states; words of 19 letters and more, and their
end), textgenrnn 2.0.0 (two LSTMs, 512 numbers with the cells; sentences in `_recurrent_lstms.py`).

    python reproductions/recurrent_depth.py

Data: DATA.md. No text of a corpus is in it: the words are a list of our own.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nakami.recurrent import SpectraOverTime, spectra_over_time

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from _recurrent_drives import G2P  # noqa: E402
from _recurrent_lstms import text  # noqa: E402
from _shared import made_in  # noqa: E402
from _wide import Kept, digits, table  # noqa: E402

WORDS = """
compartmentalization conventionalization counterintelligence electrocardiographic
electroencephalogram incomprehensibility indistinguishability nonrepresentational
psychophysiological unconstitutionality microminiaturization crystallographically
immunohistochemistry magnetohydrodynamics otorhinolaryngology deinstitutionalization
"""
STEPS, SEQUENCES, INDICES = (1, 5, 10, 20), 16, (0, 4, 15)
OUT = HERE / "results" / "recurrent_depth"


def main() -> None:
    torch.set_num_threads(1)
    root = Path(os.environ.get("NAKAMI_DATA", HERE.parent / ".." / "shared" / "data"))
    if not root.is_dir():
        sys.exit(f"no data: {root} is needed; set NAKAMI_DATA to its folder.")
    settings = {"steps": list(STEPS), "sequences": SEQUENCES, "indices": list(INDICES)}
    kept = Kept(OUT.with_suffix(".json"), settings)
    nets = {"g2p encoder": words, "textgenrnn": sentences}
    for name in kept.missing([f"{net}, {how}" for net in nets for how in ("trained", "drawn")]):
        net, how = name.split(", ")
        began = time.process_time()
        layer, inputs = nets[net](root)
        if how == "drawn":
            torch.manual_seed(0)
            layer = type(layer)(layer.input_size, layer.hidden_size, layer.num_layers)
        found = read(spectra_over_time(layer, inputs, STEPS))
        kept.add(name, {**found, "cpu": digits(time.process_time() - began, 3)})
        print(name, flush=True)
    OUT.with_suffix(".md").write_text("\n".join(report(kept.records)), encoding="utf-8")


def words(root: Path) -> tuple[nn.RNNBase, Tensor]:
    """The encoder and its words, cut to the longest time."""
    net = G2P(root)
    spelt = [net.letters(word)[: STEPS[-1]] for word in WORDS.split()]
    return net.encoder, torch.stack([net.letter[ids] for ids in spelt])


def sentences(root: Path) -> tuple[nn.RNNBase, Tensor]:
    """The two LSTMs and the first characters of sentences."""
    drive = text(root)["textgenrnn"]
    some = [x[: STEPS[-1]] for x, _ in drive.episodes][:SEQUENCES]
    net: Any = drive.net
    return net, torch.stack(some)


def read(found: SpectraOverTime) -> dict[str, Any]:
    """Means and standard errors as numbers."""
    rates = {str(i + 1): _numbers(found.exponents(i)) for i in INDICES}
    rows = [{k: v if isinstance(v, str) else digits(v) for k, v in r.items()} for r in found.rows()]
    state = int(found.sizes[0, 0])
    return {
        "rows": rows,
        "exponents": rates,
        "state": state,
        "converged": bool(found.converged.all()),
    }


def _numbers(estimates: list[Any]) -> list[list[float]]:
    return [[digits(e.mean), digits(e.se, 2)] for e in estimates]


def report(records: dict[str, Any]) -> Iterator[str]:
    """One table for what is left, one for exponents."""
    yield "# Time as depth: what survives in two trained recurrent nets"
    yield ""
    yield f"Means ± s.e. over {SEQUENCES} sequences. Singular values of the state after t steps, by"
    yield "the state before the first one and by the first input. Left: how many lie above 0.1."
    yield "Grow: above 1."
    yield ""
    head = ["net", "by", "steps", "left", "grow", "largest", "effective rank"]
    rows = []
    for name, record in records.items():
        for row in record["rows"]:
            if row["source"] == "inputs":
                continue
            names = ("above_0.1", "above_1", "largest", "effective_rank")
            cells = [_pair(row[each], row[f"{each}_se"]) for each in names]
            by = (
                f"{row['source']}, of {record['state']}"
                if row["source"] == "state"
                else row["source"]
            )
            rows.append([name, by, f"{row['steps']:.0f}", *cells])
    yield from table(head, rows)
    yield ""
    yield "Finite-time Lyapunov exponents `ln s_i / t`, nats a step."
    yield ""
    rows = []
    for name, record in records.items():
        for index, each in record["exponents"].items():
            rows.append([name, index, *(_pair(*pair) for pair in each)])
    yield from table(["net", "i", *(f"{t} steps" if t > 1 else "1 step" for t in STEPS)], rows)
    yield ""
    yield made_in(sum(record["cpu"] for record in records.values()))
    yield ""


def _pair(mean: float, error: float) -> str:
    return f"{mean:.3g} ± {error:.2g}"


if __name__ == "__main__":
    main()
