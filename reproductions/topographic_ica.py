"""Topographic ICA on patches of photographs: are filters oriented, and neighbours alike?

The claim of Hyvarinen, Hoyer & Inki (2001) and of Le et al. (2011, 2012): on patches of natural
pictures filters become oriented, and on a sheet whose neighbourhoods are pooled neighbours have
like orientation, place and energy. The papers show pictures of filters and no figures; here the
claim is measured.

Protocol, written before any of it was run. 1,000 photographs, grey, shorter side 128, the middle
cut out; a random tenth is held out. The recipe ``tica-patches`` at its own settings (10,000 patches
of 12 x 12, 72 components, 10 x 10 units, 300 steps of L-BFGS), seeds 0 to 2, once with its 3 x 3
pooling and once with none (``side = 1``), where neighbours are no more than any others; and both on
its own dead leaves. What is measured is what its page shows, on 2,000 held-out patches. Means over
the seeds with their standard error. Expected: 15 CPU minutes.

    python reproductions/topographic_ica.py       goes on where it was stopped

Data: ``$NAKAMI_DATA/imagenet-samples`` (see DATA.md). Trainings lie in
``nakami-out/topographic_ica``, as do the patches; filters alone are in the results.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from _imagenet import root  # noqa: E402
from _shared import kept, made_in  # noqa: E402
from _wide import table  # noqa: E402

from nakami import data  # noqa: E402
from nakami.recipes import SUBJECTS, prepare  # noqa: E402

OUT = Path("nakami-out") / "topographic_ica"
RECIPE, SEEDS, SIDES, PICTURES = "tica-patches", (0, 1, 2), (3, 1), 1000


def photographs() -> Path:
    """Grey photographs as one file, those to train on and those held out."""
    file = OUT / "photographs.npz"
    if not file.exists():
        folder = root("imagenet-samples") / "imagenet-samples" / "images"
        found = data.read(folder, PICTURES, size=128, mode="grey", normalise="unit").inputs
        order = torch.randperm(len(found), generator=torch.Generator().manual_seed(0))
        test, train = found[order[: len(found) // 10]], found[order[len(found) // 10 :]]
        OUT.mkdir(parents=True, exist_ok=True)
        np.savez(file, x_train=train.numpy(), x_test=test.numpy())
    return file


def measured(source: str, side: int, seed: int) -> dict[str, Any]:
    """One training and what is known of it."""
    name = f"{source}-side-{side}-seed-{seed}"
    file = OUT / f"{name}.json"
    if file.exists():
        return kept(file)
    began = time.process_time()
    settings = replace(SUBJECTS[RECIPE].settings, side=side)
    files = photographs() if source == "photographs" else None
    subject = prepare(RECIPE, OUT / name, data=files, n_inputs=1, seed=seed, settings=settings)
    (network,) = subject.networks
    record = {
        "source": source,
        "side": side,
        "seed": seed,
        "facts": network.facts,
        "cpu": time.process_time() - began,
    }
    file.write_text(json.dumps(record, indent=1))
    print(name, [round(f["value"], 4) for f in network.facts], f"{record['cpu']:.0f} s", flush=True)
    return record


def report(records: list[dict[str, Any]]) -> Iterator[str]:
    """The page."""
    yield "# Topographic ICA on photographs"
    yield ""
    yield "Made by `reproductions/topographic_ica.py`, which has the protocol. Means over three"
    yield "seeds ± their standard error; *shuffled*: the standard deviation of the same figure when"
    yield "units are shuffled on the sheet (mean over the seeds). Selectivity is 0 without any"
    yield "orientation and 1 for one alone. *Less distant* is the mean over neighbours less"
    yield "that over pairs three steps apart or more; 0 is expected without topography. Papers show"
    yield "filters and print no figures."
    yield ""
    rows = []
    for source in ("photographs", "dead leaves"):
        for side in SIDES:
            runs = [r for r in records if (r["source"], r["side"]) == (source, side)]
            for i, fact in enumerate(runs[0]["facts"]):
                values = [r["facts"][i]["value"] for r in runs]
                error = np.std(values, ddof=1) / len(values) ** 0.5
                shuffled = "shuffled" in fact["spread_kind"]
                spread = np.mean([r["facts"][i]["spread"] for r in runs])
                label = fact["label"].replace("neighbours less distant units", "less distant")
                given = f"{np.mean(values):.4f} ± {error:.4f}", f"{spread:.4f}" if shuffled else ""
                rows.append([source, f"{side} x {side}", label, *given, fact["unit"]])
    yield from table(["pictures", "pooled", "figure", "value", "shuffled", "unit"], rows)
    yield ""
    yield made_in(sum(r["cpu"] for r in records))


def main() -> None:
    """Train what is missing, then write the table."""
    runs = [
        (s, side, seed) for s in ("photographs", "dead leaves") for side in SIDES for seed in SEEDS
    ]
    records = [measured(*run) for run in runs]
    (HERE / "results" / "topographic_ica.json").write_text(json.dumps(records, indent=1) + "\n")
    (HERE / "results" / "topographic_ica.md").write_text("\n".join(report(records)) + "\n")


if __name__ == "__main__":
    main()
