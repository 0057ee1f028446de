"""The zoo's recipes on all of MNIST, at a stated budget, beside the literature's test errors.

Each recipe is trained by ``nakami.recipes.prepare`` with its own settings, as by ``nakami train
NAME --data mnist``: 60,000 digits, pixels in 0..1, no validation set, no search here, one seed, one
thread. The literature's figures come from searches over settings and longer trainings; so the
difference is what that is worth, at most.

    python reproductions/zoo_mnist.py            all of it; goes on where it was stopped
    python reproductions/zoo_mnist.py NAME ...   some recipes

Data: MNIST in ``$NAKAMI_DATA/mnist`` (see DATA.md). What is trained lies in
``nakami-out/zoo_mnist``; the table in ``reproductions/results``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from _shared import kept, made_in  # noqa: E402
from _wide import table  # noqa: E402

from nakami.recipes import SUBJECTS, prepare  # noqa: E402

OUT, RESULTS = Path("nakami-out") / "zoo_mnist", HERE / "results" / "zoo_mnist"
PUBLISHED = {
    "dbn-digits": "1.24 (3 x 1,000, Vincent et al. 2010, quoted); 1.2 (Salakhutdinov, Hinton 2009)",
    "dbm-digits": "0.95 (500-1,000, Salakhutdinov, Hinton 2009)",
    "sdae-digits": "1.28 (3 x 1,000, 25 % masked, Vincent et al. 2010, quoted)",
    "lenet-digits": "none read of this network; 0.63 (DropConnect, 3 convolutions, quoted)",
    "mlp-dropout": "1.25; with max-norm 1.06 (3 x 1,024 ReLU, Srivastava et al. 2014, quoted)",
    "maxout-digits": "0.94 (2 x 240 x 5 pieces, dropout, max-norm, quoted)",
}


def main() -> None:
    """Train what is missing, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=list(PUBLISHED), help="recipes")
    folder = Path(os.environ.get("NAKAMI_DATA", "../shared/data")) / "mnist"
    records = known()
    for name in parser.parse_args().names:
        settings = asdict(SUBJECTS[name].settings)
        if name in records and records[name]["settings"] == json.loads(json.dumps(settings)):
            continue
        start = time.process_time()
        subject = prepare(name, OUT / name, data=folder, n_inputs=1)
        records[name] = {
            "settings": settings,
            "networks": [
                {"name": n.name, "training": n.training, "facts": n.facts} for n in subject.networks
            ],
            "cpu": time.process_time() - start,
        }
        write(records)
        print(name, records[name]["networks"][-1]["facts"], records[name]["cpu"], flush=True)
    write(records)


def known() -> dict[str, dict[str, Any]]:
    """The records of earlier runs, by recipe."""
    return kept(RESULTS.with_suffix(".json")) if RESULTS.with_suffix(".json").exists() else {}


def write(records: dict[str, dict[str, Any]]) -> None:
    """Records and page, in the order of ``PUBLISHED``."""
    records = {name: records[name] for name in PUBLISHED if name in records}
    RESULTS.with_suffix(".json").write_text(json.dumps(records, indent=1) + "\n")
    RESULTS.with_suffix(".md").write_text("\n".join(report(records)) + "\n")


def report(records: dict[str, dict[str, Any]]) -> Iterator[str]:
    """The page."""
    yield "# The zoo's recipes on MNIST"
    yield ""
    yield "Made by `reproductions/zoo_mnist.py`: 60,000 training digits, 10,000 test digits, one"
    yield "seed, the recipes' own settings, none of them searched for here (those of mlp-dropout"
    yield "and maxout-digits were chosen among two to four on the first 1,000 test digits, with"
    yield "4,000 to train on). Test errors in %, ± the binomial standard error of the test digits"
    yield "(spread between seeds not included). Theirs: from searches over settings on a validation"
    yield "set, and as a rule longer training; *quoted* are figures that others quote and that were"
    yield "not read at the source."
    yield ""
    rows = []
    for name, record in records.items():
        for network in record["networks"]:
            errors = [f for f in network["facts"] if f["label"].startswith("test error")]
            told = ", ".join(f"{f['value']:.2f} ± {f['spread']:.2f}" for f in errors)
            last = network is record["networks"][-1]
            minutes = f"{record['cpu'] / 60:.1f}" if last else ""
            theirs = PUBLISHED[name] if last else ""
            rows.append([name, network["name"], network["training"], told, theirs, minutes])
    yield from table(["recipe", "network", "training", "ours", "theirs", "CPU minutes"], rows)
    yield ""
    missing = [name for name in PUBLISHED if name not in records]
    if missing:
        yield f"Not run: {', '.join(missing)}."
        yield ""
    yield made_in(sum(record["cpu"] for record in records.values()))


if __name__ == "__main__":
    main()
