"""How the claim of source 000 is judged: a rule fixed before the run, and the table it fills.

A difference is paired by image; its mean over the images of one seed is one number, and over the
seeds these numbers carry Student's t interval (95 %, seeds - 1 degrees of freedom). A half of the
claim **holds** where that interval lies on the claimed side of 0, is **contradicted** where it lies
on the other, and is else **not decided by this run**. Intervals over the images within a seed stand
beside it: they say how far one network is known, not how far networks differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.special import stdtrit

SOURCES = {"input": "from the input", "own": "from the layer before"}


def interval(sample: Sequence[float]) -> dict[str, float]:
    """Mean and 95 % Student interval of independent numbers (one number: no interval)."""
    x = np.asarray(sample, dtype=float)
    n, mean = len(x), float(x.mean())
    half = float(stdtrit(n - 1, 0.975) * x.std(ddof=1) / n**0.5) if n > 1 else float("nan")
    return {"mean": mean, "low": mean - half, "high": mean + half, "n": n}


def verdict(over_seeds: dict[str, float], claimed: int) -> str:
    """``holds``, ``contradicted`` or ``not decided``, for a claimed sign +1 or -1."""
    low, high = sorted((claimed * over_seeds["low"], claimed * over_seeds["high"]))
    if over_seeds["n"] < 2:
        return "not decided"
    return "holds" if low > 0 else "contradicted" if high < 0 else "not decided"


def difference(pairs: list[tuple[list[float], list[float]]], claimed: int) -> dict[str, Any]:
    """Second minus first, paired by image, for each seed and over them."""
    each = [np.subtract(b, a) for a, b in pairs]
    over = interval([float(d.mean()) for d in each])
    return {
        "by_seed": [_round(interval(d.tolist())) for d in each],
        "over_seeds": _round(over),
        "before": round(float(np.mean([a for a, _ in pairs])), 2),
        "after": round(float(np.mean([b for _, b in pairs])), 2),
        "verdict": verdict(over, claimed),
    }


def judge(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Everything the table shows, from the figures of the single networks."""
    main = [r for r in records if r["reconstruction"] == "sample"]
    other = [r for r in records if r["reconstruction"] != "sample"]
    return {
        "depth": [row for source in SOURCES for row in _depth(main, source)],
        "tuning": [row for source in SOURCES for row in _tuning(main, source)],
        "levels": [_level(r) for r in records],
        "sensitivity": [row for source in SOURCES for row in _tuning(other, source)],
    }


def _depth(records: list[dict[str, Any]], source: str) -> list[dict[str, Any]]:
    before = [r for r in records if r["rate"] is None]
    stages = list(before[0][source])
    rows = []
    for upper, lower in pairwise(stages):
        pairs = [(r[source][upper]["count"], r[source][lower]["count"]) for r in before]
        rows.append({"source": source, "from": upper, "to": lower, **difference(pairs, -1)})
    return rows


def _tuning(records: list[dict[str, Any]], source: str) -> list[dict[str, Any]]:
    before = {r["seed"]: r for r in records if r["rate"] is None}
    kinds = sorted({(-r["rate"], r["epochs"]) for r in records if r["rate"] is not None})
    rows = []
    for rate, epochs in ((-r, e) for r, e in kinds):
        after = [r for r in records if (r["rate"], r["epochs"]) == (rate, epochs)]
        stages = list(after[0][source])
        for stage in stages[source == "own" :]:  # the first layer's own is that from the input
            row = {"source": source, "rate": rate, "epochs": epochs, "stage": stage}
            for quantity in ("count", "effective_rank"):
                pairs = [
                    (before[r["seed"]][source][stage][quantity], r[source][stage][quantity])
                    for r in after
                ]
                row[quantity] = difference(pairs, +1)
            rows.append(row)
    return rows


def _level(record: dict[str, Any]) -> dict[str, Any]:
    kept = {k: record[k] for k in ("seed", "reconstruction", "rate", "epochs")}
    error = record["error"]
    kept["test_error"] = [round(error["value"], 2), round(error["spread"], 2)]
    for source in SOURCES:
        kept[source] = {
            stage: {
                q: [round(float(np.mean(v[q])), 2), round(float(np.std(v[q], ddof=1)), 2)]
                for q in ("count", "effective_rank", "largest")
            }
            for stage, v in record[source].items()
        }
    return kept


def table(result: dict[str, Any]) -> str:
    """The result as a page of Markdown."""
    plan = result["plan"]
    about = (
        f"784-{'-'.join(map(str, plan['hidden']))}, {result['training_digits']:,} training digits, "
        f"pixels in 0..1; {len(plan['seeds'])} seeds; {plan['pretrain_epochs']} epochs of CD-1 for "
        f"each layer; all singular values at the first {plan['n_images']} test digits. Intervals "
        "are 95 %, Student's t over the seeds, of differences paired by image, with no correction "
        "for the number of rows. The report gives no numbers, rates, epochs, seeds or test errors, "
        "only the two statements: so each row stands beside a statement, not beside a number."
    )
    made = (
        "Report DWAL-TR-2015-004 (2015), section 3. Made by `reproductions/source_000_dbn.py` in "
        f"{result['minutes']:g} minutes of work with {result['threads']} thread(s), torch "
        f"{result['versions']['torch']}."
    )
    first, second = "fewer values above 1 with depth", "more values above 1 than before"
    lines = ["# Singular values above 1 in a deep belief network", "", made, "", about, ""]
    lines += ["## Outcome", "", *_outcome(result, first, second), ""]
    lines += [f"## After pre-training, {first}", "", *_depth_lines(result["depth"])]
    lines += [f"## After fine-tuning, {second}", "", *_tuning_lines(result["tuning"])]
    lines += ["## Each network", "", *_level_lines(result["levels"])]
    lines += ["## Sensitivity: mean reconstruction in CD-1, one seed", ""]
    lines += _tuning_lines(result["sensitivity"])
    return "\n".join(lines).rstrip() + "\n"


def _outcome(result: dict[str, Any], first: str, second: str) -> list[str]:
    lines = []
    for source, words in SOURCES.items():
        depth = [r["verdict"] for r in result["depth"] if r["source"] == source]
        tuned = [r["count"]["verdict"] for r in result["tuning"] if r["source"] == source]
        lines.append(f"* Jacobian {words}, {first}: {_tally(depth, 'steps between layers')}.")
        lines.append(f"* Jacobian {words}, {second}: {_tally(tuned, 'rows')}.")
    return lines


def _tally(verdicts: list[str], unit: str) -> str:
    n = len(verdicts)
    said = [f"{verdicts.count(v)} {v}" for v in ("holds", "not decided", "contradicted")]
    return f"{', '.join(said)}, of {n} {unit}"


def _depth_lines(rows: list[dict[str, Any]]) -> list[str]:
    lines = [
        "| Jacobian | layers | mean count | change | 95 % interval | seeds below 0 | claim |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for r in rows:
        cells = [SOURCES[r["source"]], f"{r['from']} to {r['to']}", *_cells(r, "high", -1)]
        lines.append(f"| {' | '.join([*cells, r['verdict']])} |")
    return [*lines, ""]


def _tuning_lines(rows: list[dict[str, Any]]) -> list[str]:
    columns = "Jacobian, rate; epochs, layer, count above 1, change, 95 % interval, seeds above 0, "
    columns += "claim, effective rank"
    names = [name.replace(";", ",") for name in columns.split(", ")]
    lines = [f"| {' | '.join(names)} |", f"|{' --- |' * len(names)}"]
    for r in rows:
        count, rank = r["count"], r["effective_rank"]
        head = [SOURCES[r["source"]], f"{r['rate']:g}, {r['epochs']}", r["stage"]]
        tail = [count["verdict"], f"{rank['before']:g} to {rank['after']:g} ({_span(rank)})"]
        lines.append(f"| {' | '.join([*head, *_cells(count, 'low', +1), *tail])} |")
    return [*lines, ""]


def _cells(r: dict[str, Any], bound: str, sign: int) -> list[str]:
    ends = [s[bound] for s in r["by_seed"]]
    n = sum(end is not None and sign * end > 0 for end in ends)
    change = f"{r['over_seeds']['mean']:+.2f}"
    return [f"{r['before']:g} to {r['after']:g}", change, _span(r), f"{n} of {len(ends)}"]


def _level_lines(rows: list[dict[str, Any]]) -> list[str]:
    lines = [
        "Counts from the input to hidden1 / 2 / 3: mean (standard deviation over images).",
        "Test error in % with its binomial standard error; without fine-tuning the output layer is",
        "random.",
        "",
        "| seed | CD-1 | fine-tuning | counts above 1 | test error |",
        "| --- | --- | --- | --- | --- |",
    ]
    for r in rows:
        how = "none" if r["rate"] is None else f"rate {r['rate']:g}, {r['epochs']} epochs"
        counts = " / ".join("{:.1f} ({:.1f})".format(*v["count"]) for v in r["input"].values())
        error = "{:.2f} ± {:.2f}".format(*r["test_error"])
        lines.append(f"| {r['seed']} | {r['reconstruction']} | {how} | {counts} | {error} |")
    return [*lines, ""]


def _span(row: dict[str, Any]) -> str:
    over = row["over_seeds"]
    return "one seed" if over["n"] < 2 else f"{over['low']:+.2f} to {over['high']:+.2f}"


def _round(numbers: dict[str, float]) -> dict[str, Any]:
    return {k: None if v != v else round(v, 3) if k != "n" else v for k, v in numbers.items()}
