"""Tables of the study of groups: what rates of their own gain, and what short trials say of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from benchmarks.lr.advice import table

from .groups import CASES, HEADS, STEPS, TRIED, Found, Losses, Pair, middle
from .score import logs
from .sweep import Case, rate
from .tasks import RUN

LENGTHS = (20, 40, STEPS)
AFTER = ("200", "1500-cosine")


def log_losses(found: Found, name: str, of: str, horizon: str) -> dict[Pair, np.ndarray]:
    """Log final losses of the seeds, by places of body and head; of common rates the sweep's."""
    there = {(p, p): each for p, each in Case(name, of).log_losses(horizon).items()}
    for key in found["runs"]:
        *case, body, ratio, _ = key.split("|")
        if case == [name, of, horizon]:
            ends = [found["runs"].get(f"{key[:-1]}{seed}") for seed in RUN["seeds"]]
            if None not in ends:
                finals = [end["final"] for end in ends]  # type: ignore[index]
                there[int(body), int(body) + int(ratio)] = logs(finals)
    return there


def gained(found: Found, *case: str) -> list[str] | None:
    """Best common rate, best pair, gain by both seeds, and by a pair chosen on the other seed."""
    there = log_losses(found, *case)
    common = {key: of for key, of in there.items() if key[0] == key[1]}
    if len(common) == len(there):
        return None
    one, two = (min(each, key=lambda k: each[k].mean()) for each in (common, there))
    gain = float((there[one] - there[two]).mean())
    crossed = []
    for seed in RUN["seeds"]:
        mine, other = (min(each, key=lambda k: each[k][1 - seed]) for each in (common, there))
        crossed.append(float(there[mine][seed] - there[other][seed]))
    at = f"body {rate(two[0]):.2g}, head {rate(two[1]):.2g}"
    cells = [", ".join(case), f"{there[one].mean():.3f} at {rate(one[0]):.2g}"]
    return [*cells, f"{there[two].mean():.3f} at {at}", f"{gain:.3f}",
            ", ".join(f"{each:+.3f}" for each in crossed)]  # fmt: skip


def by_ratio(found: Found, *case: str) -> str:
    """The best log loss of each ratio, over the body's rates."""
    best = dict[int, float]()
    for (body, head), of in log_losses(found, *case).items():
        best[head - body] = min(best.get(head - body, np.inf), float(of.mean()))
    return ", ".join(f"{10 ** (r / 3):.2g}: {best[r]:.3f}" for r in sorted(best))


def paired(losses: Losses, base: Losses) -> tuple[float, float]:
    """Mean fall of the log loss over the last third of two trials, and its standard error.

    Of a trial that was not finite minus infinity.
    """
    last = max(2, len(base) // 3)
    each = logs(base[-last:]) - logs(losses[-last:])
    if not np.isfinite(each).all():
        return -np.inf, 0.0
    return float(each.mean()), float(each.std(ddof=1) / np.sqrt(last))


@dataclass(frozen=True)
class Verdict:
    """What trials of each length say of a change, and what it brings, by horizon where it was run.

    Both are falls of the log loss below that at the best common rate.
    """

    words: str
    said: tuple[tuple[float, float], ...]
    true: dict[str, float]

    @property
    def line(self) -> list[str]:
        """A line of the table."""
        cells = (f"{gain:+.3f} ({error:.3f})" for gain, error in self.said)
        trues = (f"{self.true[h]:+.3f}" if h in self.true else "" for h in AFTER)
        return [self.words, *cells, *trues]


def verdicts(found: Found, name: str, of: str, seed: int) -> list[Verdict]:
    """Of the changes that were tried from one seed."""
    made = list[Verdict]()
    for words, change in list(TRIED.items())[1:]:
        pair = [found["trials"].get(f"{name}|{of}|{each}|{seed}") for each in (words, "both")]
        if None not in pair:
            mine, base = (each["losses"] for each in pair)  # type: ignore[index]
            said = tuple(paired(mine[:n], base[:n]) for n in LENGTHS)
            trues = ((h, _true(found, (name, of, h), change, seed)) for h in AFTER)
            true = {h: fall for h, fall in trues if fall is not None}
            made.append(Verdict(f"{name}, {of}, {words}, seed {seed}", said, true))
    return made


def _true(found: Found, case: tuple[str, str, str], change: Pair, seed: int) -> float | None:
    if case not in CASES:
        return None
    there, at = log_losses(found, *case), middle(*case)
    place = at + change[0], at + change[1]
    return float(there[at, at][seed] - there[place][seed]) if place in there else None


def accepted(cases: list[list[Verdict]], of: str) -> str:
    """How the best change of each case does that its trial finds better by two errors."""
    words = [f"{of}, best change of a case that is better by more than two standard errors:"]
    for i, length in enumerate(LENGTHS):
        seen = [
            max(better, key=lambda each: each.said[i][0])
            for case in cases
            if (better := [each for each in case if each.said[i][0] > 2 * each.said[i][1]])
        ]
        line = f"{length} steps: {len(seen)} of {len(cases)}"
        for horizon in AFTER:
            if trues := [each.true[horizon] for each in seen if horizon in each.true]:
                lower = sum(true > 0 for true in trues)
                line += (
                    f"; at {horizon} {lower} of {len(trues)} lower, mean fall {np.mean(trues):+.3f}"
                )
        words.append(line)
    return "\n".join(words)


def report(found: Found) -> str:
    gains = [line for case in CASES if (line := gained(found, *case))]
    head = ["task, optimizer, horizon", "best common", "best pair", "gain"]
    head.append("chosen on the other seed")
    parts = [table(head, gains), "Best log loss by head over body:\n"]
    parts += [f"{', '.join(case)}: {by_ratio(found, *case)}\n" for case in CASES]
    optimizers = dict.fromkeys(of for _, of, _ in CASES)
    said = {
        of: [verdicts(found, name, of, seed) for name in HEADS for seed in RUN["seeds"]]
        for of in optimizers
    }
    lines = [each.line for cases in said.values() for case in cases for each in case]
    head = ["trial", *(f"{n} steps" for n in LENGTHS), *(f"at {h}" for h in AFTER)]
    parts += ["\nFall of the log loss below that at the common rate (standard error):\n"]
    spent = sum(run["cpu_s"] for run in found["runs"].values())
    return "\n".join(
        [
            *parts,
            table(head, lines),
            *(accepted(said[of], of) + "\n" for of in said),
            f"{spent:.0f} CPU s of trainings.",
        ]
    )
