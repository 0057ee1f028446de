"""What one column of a Jacobian product costs, beside a plain forward pass of the same batch.

For each block of 1, 8, 16 and 32 columns: ``J @ V`` and ``J.T @ U`` per column over one no-grad
forward pass per example of a batch of that size. Forward pass and products take turns, so that the
ratio of medians is hardly touched by other work on the machine. Targets on AlexNet, in blocks: at
most 1.2 forward, 1.5 reverse.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import _side_by_side as side

BLOCKS = (1, 8, 16, 32)


def child(task: dict[str, Any]) -> dict[str, Any]:
    import torch

    import nakami

    case = side.build(task["case"])
    side.warm_up()
    op = nakami.jacobian(case.model, case.x, to=case.to)
    generator = torch.Generator().manual_seed(0)
    batch = case.x.expand(task["block"], *case.x.shape[1:]).contiguous()
    forward = torch.randn(op.shape[1], task["block"], generator=generator)
    reverse = torch.randn(op.shape[0], task["block"], generator=generator)
    work = {
        "pass": lambda: case.plain(batch),
        "forward": lambda: op @ forward,
        "reverse": lambda: op.T @ reverse,
    }
    seconds: dict[str, list[float]] = {name: [] for name in work}
    with torch.no_grad():
        for turn in range(task["repeats"] + 1):
            for name, job in work.items():
                spent = side.cpu_seconds(job)[0] / task["block"]
                if turn:  # the first turn warms up
                    seconds[name].append(spent)
    medians = {name: side.median(all_) for name, all_ in seconds.items()}
    return {
        "shape": op.shape,
        "route": op.route,
        **{f"{name}_s": round(value, 6) for name, value in medians.items()},
        "forward_ratio": round(medians["forward"] / medians["pass"], 3),
        "reverse_ratio": round(medians["reverse"] / medians["pass"], 3),
    }


def shown(rows: list[dict[str, Any]]) -> str:
    heads = [
        "network",
        "columns at a time",
        "plain pass, ms",
        "J v, ms",
        "J^T u, ms",
        "J v / pass",
        "J^T u / pass",
    ]
    body = [
        [
            side.TITLES[row["case"]],
            str(row["block"]),
            *(f"{1e3 * row[f'{name}_s']:.1f}" for name in ("pass", "forward", "reverse")),
            f"{row['forward_ratio']:.2f}",
            f"{row['reverse_ratio']:.2f}",
        ]
        for row in rows
    ]
    return side.table(heads, body)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", nargs="+", default=list(side.ZOO), choices=list(side.ZOO))
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--draft", action="store_true", help="print the table, keep nothing")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(child(json.loads(args.child))))
        return
    if lack := side.missing(args.cases):
        print(f"skipped: {lack}")
        return
    rows = [
        side.apart(__file__, case=case, block=block, repeats=args.repeats)
        for case in args.cases
        for block in BLOCKS
    ]
    print(shown(rows))
    if not args.draft:
        side.keep("jacobian_products", rows, shown(rows))


if __name__ == "__main__":
    main()
