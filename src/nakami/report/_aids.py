"""Reading aids: what may be concluded from a section, and the mistake a good reader would make."""

from __future__ import annotations

from . import _numbers as num
from ._reading import Reading
from ._sections import Text

Aids = tuple[list[Text], list[Text]]


def spectra_aids(reading: Reading) -> Aids:
    """Below the spectra."""
    may: list[Text] = []
    at = f"At these {reading.noun}s" if reading.n > 1 else f"At this one {reading.noun}"
    if reading.solid:
        row = reading.main.rows[reading.solid[-1]]
        where, count = num.short(row.stage), num.plain(row.count.mean)
        if row.largest.mean == 0:
            may.append(f"{at}, no small change of the input is felt at {where}.")
        elif row.count.lower_bound:
            may.append(f"{at}, at least {count} directions reach {where} no weaker than they left.")
        elif row.count.mean == 0:
            may.append(f"{at}, a small change along any direction is weaker at {where} than at the input.")
        else:
            may.append(f"{at}, a small change along all but about {count} directions is weaker at {where} than at the input.")
    else:
        may.append("Only that the solver was stopped early. Allow more products, or a larger tolerance.")
    steps = reading.trend(lambda s: float(s.count_above_one), reading.solid)
    exact = not any(reading.main.rows[s].count.lower_bound for s in reading.solid)
    if exact and len(steps) > 0 and reading.n > 1 and all(c.verdict == "falls" for c in steps):
        may.append(f"The fall with depth is larger than chance between {reading.noun}s explains.")
    may_not: list[Text] = [
        "That erased directions are useless. They are erased for small changes, at these points.",
        f"That s = 1 is a natural border. In another unit than “{num.short(reading.main.run.input_unit, 30)}” "
        "every value here changes. Compare like with like.",
    ]
    if len(reading.solid) < len(reading.stages):
        may_not[0] = "The last digits of a dotted value: it may be low. Allow the solver more products."
    return may, may_not


def kept_aids(reading: Reading) -> Aids:
    """Below the counts."""
    may: list[Text] = []
    rows = [reading.main.rows[s] for s in reading.solid]
    if reading.n > 1 and len(rows) > 1 and not any(r.count.lower_bound for r in rows):
        wide = max(rows, key=lambda r: r.count.sd)
        calm = min(rows, key=lambda r: r.count.sd)
        if wide.count.sd > calm.count.sd:
            may.append(
                f"{num.short(wide.stage)} differs most between {reading.noun}s (sd {num.plain(wide.count.sd, 2)}), "
                f"{num.short(calm.stage)} least (sd {num.plain(calm.count.sd, 2)})."
            )
    if any(r.count.lower_bound for r in rows):
        may.append("Where all computed values lie above 1, at least that many directions are kept.")
    if not may and rows:
        may.append(f"How many directions are kept at {num.short(rows[-1].stage)}, at {reading.inputs()}.")
    may_not: list[Text] = [
        f"That the same directions are kept for every {reading.noun}. A count says nothing about which ones."
    ]
    if reading.n == 1:
        may_not = ["Anything about spread: one input was read."]
    elif reading.n <= 8:
        doubt = num.fixed(100 / (2 * (reading.n - 1)) ** 0.5, 0)
        may_not.append(f"Much about spread: the sd of {reading.inputs()} is itself uncertain by about {doubt} %.")
    return may, may_not


def compared_aids(reading: Reading) -> Aids:
    """Below the comparison."""
    assert reading.comparison is not None
    bound = any(n.rows[s].count.lower_bound for n in reading.networks for s in reading.stages)
    quantity = "largest" if bound else "count"
    changes = [reading.comparison.change(s, quantity) for s in reading.solid]
    sure = [c for c in changes if c.verdict != "not distinguishable"]
    may: list[Text] = []
    if sure and reading.n > 1:
        where = num.listing([num.short(c.stage, 16) for c in sure[:3]])
        errors = [c.mean / c.se if c.se else float("inf") for c in sure[:3]]
        told = num.listing([num.fixed(abs(e), 1) if e != float("inf") else "∞" for e in errors])
        may.append(f"In this pair of networks the change at {where} is larger than chance between "
                   f"{reading.noun}s explains ({told} standard errors).")  # fmt: skip
    elif changes and reading.n > 1:
        may.append(f"At these {reading.noun}s no difference larger than 2 standard errors was seen.")
    else:
        may.append("How the two networks differ at this one input." if reading.n == 1 else "Nothing yet.")
    may_not: list[Text] = [
        "That training always does this. One pair of networks, one seed; a second seed is the cheapest next step.",
        "That this change caused another one, such as in accuracy. Both followed the training.",
    ]
    return may, may_not


def own_aids(reading: Reading) -> Aids:
    """Below the layers' own spectra."""
    return (
        ["Which layer stretches and which erases, taken alone."],
        [
            "That the gains multiply. A layer's strong directions need not be those its predecessor feeds it.",
            "That two layers compare in absolute terms: each has the units of its own input.",
        ],
    )


def picture_aids(reading: Reading, verdict: str) -> Aids:
    """Below the pictures."""
    first = {
        "rises": f"At these {reading.noun}s leading directions are more local than the last ones shown.",
        "falls": f"At these {reading.noun}s leading directions are more spread than the last ones shown.",
    }.get(verdict, "Where a small change would be felt most, and where least.")
    return (
        [first],
        [
            "That the network “looks at” these pixels. A direction says where a change would be felt, not what was used.",
            "That neighbouring pictures differ in kind when their gains are close: within a cluster, vectors mix freely.",
        ],
    )
