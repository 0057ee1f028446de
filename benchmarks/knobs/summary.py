"""Tables of advice by the second protocol, from the cases that are there."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.lr.advice import table

from .methods import METHODS
from .score import logs
from .sweep import RESULTS, Case
from .tasks import HORIZONS, OPTIMIZERS, TASKS

Cases = dict[str, dict[str, Any]]
HEADS = [
    "method", "passed", "median", "mean of min(regret, 1)", "worst", "diverged runs",
    "validation, median", "share of the fall, median", "cost, gradients", "cost, CPU time",
]  # fmt: skip


POINTS = 13  # of a sweep by factors of 2.15: four decades
SETTINGS = {  # what a person would do, as method and optimizer
    "`nakami.tune`": ("nakami tune", "adamw"),
    "AdamW 0.001": ("defaults", "adamw"),
    "SGD 0.1, momentum 0.9": ("defaults", "momentum"),
    "Prodigy": ("Prodigy", "adamw"),
    "schedule-free AdamW": ("schedule-free", "adamw"),
}


def against_sweeps(cases: Cases, horizon: str, folder: Path = RESULTS) -> str:
    """What each setting ends at, over the best of two sweeps, and what it takes in all.

    Of each task the reference is the lower mean log loss of the sweeps of momentum and AdamW, each
    at its best rate. A diverged run counts as 1. Time: CPU of the advice and of one training.
    """
    keys = [f"{method}/{horizon}/{{}}/{each}" for method, each in SETTINGS.values()]
    there = [name for name in TASKS if all(key.format(name) in cases for key in keys)]
    if not there:
        return ""
    best = {
        each: np.array([_lowest(Case(name, each, folder), horizon) for name in there])
        for each in OPTIMIZERS
    }
    least = np.minimum(*best.values())
    rows = []
    for words, (method, each) in SETTINGS.items():
        found = [cases[f"{method}/{horizon}/{name}/{each}"] for name in there]
        over = [logs([run["final"] for run in case["runs"]]).mean() for case in found] - least
        taken = 1 + np.mean([case["cpu_share"] for case in found])
        rows.append([words, *_over(over), f"{taken:.2f}"])
    for each, lowest in best.items():
        rows.append([f"a sweep of {each}, {POINTS} rates", *_over(lowest - least), str(POINTS)])
    heads = ["setting", "within 0.1", "median", "mean of min(., 1)", "worst", "time, trainings"]
    return table(heads, rows)


def _lowest(case: Case, horizon: str) -> float:
    place = case.best(horizon)
    return np.inf if place is None else float(case.log_losses(horizon)[place].mean())


def _over(found: np.ndarray) -> list[str]:
    """Of log losses over the best."""
    return [
        f"{(found <= 0.1).sum()} of {len(found)}",
        f"{np.median(found):.3f}",
        f"{np.minimum(found, 1).mean():.3f}",
        f"{found.max():.2f}",
    ]


def number(regret: float | None) -> str:
    return "inf" if regret is None else f"{regret:.3f}"


def summed(found: list[dict[str, Any]]) -> list[str]:
    """The figures of some cases of one method."""
    regrets = np.array([_infinite(case["regret"]) for case in found])
    kept = np.array([_infinite(case["validation_regret"]) for case in found])
    falls = [-np.inf if case["share_of_fall"] is None else case["share_of_fall"] for case in found]
    runs = [run for case in found for run in case["runs"]]
    lost = sum(run["final"] is None and not run["refused"] for run in runs)
    refused = sum(run["refused"] for run in runs)
    return [
        f"{sum(case['passed'] for case in found)} of {len(found)}",
        f"{np.median(regrets):.3f}",
        f"{np.minimum(regrets, 1).mean():.3f}",
        f"{regrets.max():.3f}",
        f"{lost} of {len(runs)}" + (f", {refused} without a rate" if refused else ""),
        f"{np.median(kept):.3f}",
        f"{np.median(falls):.3f}",
        *(f"{np.mean([case[of] for case in found]):.1%}" for of in ("cost_share", "cpu_share")),
    ]


def _infinite(regret: float | None) -> float:
    return np.inf if regret is None else regret


def report(role: str, runs: list[dict[str, Any]], cases: Cases) -> str:
    """Per horizon the figures of each optimizer and of both, then the regrets of all cases."""
    told = [f"**{role.capitalize()} tasks**\n"]
    for each in runs if role == "held back" else ():
        end = "" if each["whole"] else " (not at its end)"
        told.append(f"Run: {', '.join(each['horizons'])}; {each['because']}{end}.\n")
    there = {key.split("/")[0] for key in cases}
    methods = [method for method in METHODS if method in there]
    for horizon in HORIZONS:
        for name, among in (*((each, (each,)) for each in OPTIMIZERS), ("both", OPTIMIZERS)):
            rows = [
                [method, *summed(mine)]
                for method in methods
                if (mine := list(_of(cases, method, horizon, among)))
            ]
            if rows:
                told.append(f"{horizon}, {name}\n\n{table(HEADS, rows)}")
        if rows := list(_lines(cases, methods, horizon)):
            told.append(f"{horizon}, regrets\n\n{table(['task, optimizer', *methods], rows)}")
        if swept := against_sweeps(cases, horizon):
            told.append(f"{horizon}, log loss over the lower of two sweeps\n\n{swept}")
    return "\n".join(told)


def _of(cases: Cases, method: str, horizon: str, among: Iterable[str]) -> Iterable[dict[str, Any]]:
    for name, each in itertools.product(TASKS, among):
        if found := cases.get(f"{method}/{horizon}/{name}/{each}"):
            yield found


def _lines(cases: Cases, methods: list[str], horizon: str) -> Iterable[list[str]]:
    for name, each in itertools.product(TASKS, OPTIMIZERS):
        found = [cases.get(f"{method}/{horizon}/{name}/{each}") for method in methods]
        if any(found):
            yield [f"{name}, {each}", *(shown(case) if case else "" for case in found)]


def shown(case: dict[str, Any]) -> str:
    rates = [run["rate"] for run in case["runs"] if run["rate"] is not None]
    at = f" at {np.exp(np.mean(np.log(rates))):.2g}" if rates else ""
    return number(case["regret"]) + at
