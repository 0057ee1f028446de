"""Equal and nearly equal values, every case with 20 seeds: how many answers are wrong.

    python benchmarks/equal_values.py [--seeds 20]

Writes ``benchmarks/results/equal_values.json``, case by case; started again, it goes on with the
cases that are missing there. Delete the file to measure again.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from nakami.results import write_whole

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "equal_values.json"
sys.path.insert(0, str(ROOT / "tests"))

from multiplicities import CASES, Case, ask, reference  # noqa: E402 (a folder of the tests)


def measured(case: Case, seeds: int) -> dict[str, object]:
    """Counts over the seeds, the worst error over the stated one, the median cost."""
    a = case.make()
    true = reference(case, a)
    answers = [ask(case, a, true, seed) for seed in range(seeds)]
    done = [answer for answer in answers if answer.converged]
    return {
        "question": case.question,
        "dtype": str(case.dtype).removeprefix("torch."),
        "shape": list(a.shape),
        "k": case.k,
        "tol": case.tol,
        "seeds": seeds,
        "converged": len(done),
        "wrong": sum(answer.wrong for answer in answers),
        "worst": round(max((answer.excess for answer in done), default=0.0), 2),
        "largest_error": float(f"{max((x.error for x in done), default=0.0):.2g}"),
        "products": sorted(answer.n_products for answer in answers)[seeds // 2],
    }


def main() -> None:
    """Measure what is missing and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    seeds = parser.parse_args().seeds
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for case in CASES:
        if found.get(case.name, {}).get("seeds") == seeds:
            continue
        found[case.name] = measured(case, seeds)
        print(case.name, found[case.name], flush=True)
        write_whole(RESULTS, json.dumps(found, indent=1) + "\n", "results")
    rows = [found[case.name] for case in CASES]
    runs, done = seeds * len(rows), sum(row["converged"] for row in rows)
    print(
        f"{len(rows)} cases, {runs} runs: {done} converged, {sum(r['wrong'] for r in rows)} wrong"
    )


if __name__ == "__main__":
    main()
