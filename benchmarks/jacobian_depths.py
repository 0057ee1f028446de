"""What several stages cost in one sweep, and several pictures one after the other.

AlexNet from the input to its five ReLUs: one stacked Jacobian beside five separate ones; wanted is
the price of the deepest alone. Then four pictures, to relu5: nothing is shared between inputs in
nakami, so bare torch.func says what could be gained, one after the other and as one batch, whose
Jacobian is block diagonal. Blocks of 8 columns; the ways take turns.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any

import _side_by_side as side

CASE = "alexnet"
STAGES = tuple(f"features.relu{i}" for i in range(1, 6))
COLUMNS, PICTURES = 8, 4
Work = dict[str, Callable[[], Any]]  # the job of each way


def child(task: dict[str, Any]) -> dict[str, Any]:
    case = side.build(CASE)
    side.warm_up()
    build, multiply = {"depths": _depths, "inputs": _inputs}[task["what"]](case)
    seconds = {"build_s": _in_turn(build, task["repeats"])}
    for name, works in multiply().items():
        seconds[name] = _in_turn(works, task["repeats"])
    return seconds


def _in_turn(works: Work, repeats: int) -> dict[str, float]:
    """Median CPU seconds of each job; the first turn warms up."""
    spent: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(repeats + 1):
        for name, job in works.items():
            seconds = side.cpu_seconds(job)[0]
            if turn:
                spent[name].append(seconds)
    return {name: round(side.median(all_), 4) for name, all_ in spent.items()}


def _depths(case: side.Case) -> tuple[Work, Callable[[], dict[str, Work]]]:
    import torch

    import nakami

    def together() -> Any:
        return nakami.jacobian(case.model, case.x, to=STAGES)

    def apart() -> Any:
        return [nakami.jacobian(case.model, case.x, to=stage) for stage in STAGES]

    def deepest() -> Any:
        return nakami.jacobian(case.model, case.x, to=STAGES[-1])

    def products() -> dict[str, Work]:
        stacked, each = together(), apart()
        generator = torch.Generator().manual_seed(0)
        v = torch.randn(stacked.shape[1], COLUMNS, generator=generator)
        u = torch.randn(stacked.shape[0], COLUMNS, generator=generator)
        parts = list(stacked.by_stage(u).values())
        for name, alone in zip(STAGES, each, strict=True):  # the same numbers either way
            torch.testing.assert_close(
                stacked.by_stage(stacked @ v)[name], alone @ v, rtol=1e-3, atol=1e-3
            )
        return {
            "forward_s": {
                "together": lambda: stacked @ v,
                "apart": lambda: [op @ v for op in each],
                "deepest": lambda: each[-1] @ v,
            },
            "reverse_s": {
                "together": lambda: stacked.T @ u,
                "apart": lambda: [op.T @ p for op, p in zip(each, parts, strict=True)],
                "deepest": lambda: each[-1].T @ parts[-1],
            },
        }

    return {"together": together, "apart": apart, "deepest": deepest}, products


def _inputs(case: side.Case) -> tuple[Work, Callable[[], dict[str, Work]]]:
    import torch

    import nakami
    from nakami import data

    x = data.read(side.data_folder() / side.PICTURES, n=PICTURES).inputs

    def ours() -> Any:
        return [nakami.jacobian(case.model, one[None], to=case.to) for one in x]

    def bare(point: torch.Tensor) -> Any:
        push = torch.func.linearize(case.plain, point)[1]
        output, pull = torch.func.vjp(case.plain, point)
        return (
            torch.vmap(push),
            torch.vmap(lambda u: pull(u)[0]),
            torch.randn(COLUMNS, *point.shape),
            torch.randn(COLUMNS, *output.shape),
        )

    def one_by_one() -> Any:
        return [bare(one[None]) for one in x]

    def products() -> dict[str, Work]:
        each, bares, (push, pull, v, u) = ours(), one_by_one(), bare(x)
        flat = [torch.randn(op.shape[1], COLUMNS) for op in each]
        back = [torch.randn(op.shape[0], COLUMNS) for op in each]
        return {
            "forward_s": {
                "nakami": lambda: [op @ f for op, f in zip(each, flat, strict=True)],
                "bare": lambda: [push(v) for push, _, v, _ in bares],
                "batch": lambda: push(v),
            },
            "reverse_s": {
                "nakami": lambda: [op.T @ b for op, b in zip(each, back, strict=True)],
                "bare": lambda: [pull(u) for _, pull, _, u in bares],
                "batch": lambda: pull(u),
            },
        }

    return {"nakami": ours, "bare": one_by_one, "batch": lambda: bare(x)}, products


WAYS = {
    "depths": {
        "together": "one sweep through relu1 to relu5",
        "apart": "five Jacobians, one after the other",
        "deepest": "relu5 alone",
    },
    "inputs": {
        "nakami": "nakami, one after the other (nothing shared)",
        "bare": "torch.func, one after the other",
        "batch": "torch.func, one batch",
    },
}
TITLES = {
    "depths": "AlexNet, input to five stages, 8 columns.",
    "inputs": "Four pictures, input to relu5, 8 columns each.",
}
FIELDS = ("build_s", "forward_s", "reverse_s")


def shown(rows: list[dict[str, Any]]) -> str:
    return "\n".join(f"**{TITLES[row['what']]}**\n\n{_one(row)}" for row in rows)


def _one(row: dict[str, Any]) -> str:
    ways = WAYS[row["what"]]
    whole = "apart" if row["what"] == "depths" else "nakami"
    heads = ["way", "building, s", "J V, s", "J^T U, s"]
    heads += [f"{what} / {'five' if whole == 'apart' else 'nakami'}" for what in
              ("building", "J V", "J^T U")]  # fmt: skip
    body = [
        [title, *(f"{row[f][way]:.3f}" for f in FIELDS),
         *(f"{row[f][way] / row[f][whole]:.2f}" for f in FIELDS)]
        for way, title in ways.items()
    ]  # fmt: skip
    return side.table(heads, body)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--draft", action="store_true", help="print the table, keep nothing")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(child(json.loads(args.child))))
        return
    if lack := side.missing([CASE]):
        print(f"skipped: {lack}")
        return
    rows = [side.apart(__file__, what=what, repeats=args.repeats) for what in WAYS]
    print(shown(rows))
    if not args.draft:
        side.keep("jacobian_depths", rows, shown(rows))


if __name__ == "__main__":
    main()
