"""Reading aids: what may be concluded from a section, and the mistake a good reader would make."""

from __future__ import annotations

from ...page._sections import Text
from ...words import _numbers as num
from ._completeness import counted
from ._page_data import Reading, outcome

Aids = tuple[list[Text], list[Text]]
SHRUNK = "That shrunk directions are useless. They shrink for small changes, at these points."
DOTTED = (
    "The last digits of a dotted value: it may be low. Give the solver more memory, or lower k."
)
WHICH = "That the same directions are kept for every {}. A count says nothing about which ones."
ALWAYS = (
    "That training always does this. One pair of networks, one seed; a second seed is the cheapest "
    "next step."
)
CAUSE = "That this change caused another one, such as in accuracy. Both followed the training."
LOOKS = (
    "That the network “looks at” these pixels. A direction says where a change would be felt, not "
    "what was used."
)
READS = (
    "That the network “reads” only there. A direction says where a change would be felt, not what "
    "was used."
)
SAME_PLACE = "That a position means the same in every sequence: other tokens stand there."
NEIGHBOURS = (
    "That neighbouring pictures differ in kind when their gains are close: within a cluster, "
    "vectors mix freely."
)
PRODUCT = "That the gains multiply: what a layer stretches most need not be what reaches it."
OWN_UNIT = "That two layers compare in absolute terms: each has the units of its own input."


def spectra_aids(reading: Reading) -> Aids:
    """Below the spectra."""
    may: list[Text] = [_arrives(reading)]
    steps = reading.trend(lambda s: float(s.count_above_one), reading.solid)
    exact = not any(reading.main.rows[s].count.lower_bound for s in reading.solid)
    if exact and steps and reading.n > 1 and all(outcome(c) == "falls" for c in steps):
        may.append(f"The fall with depth is larger than chance between {reading.noun}s explains.")
    unit = num.short(reading.main.run.input_unit, 30)
    border = (
        f"That s = 1 is a natural border. In another unit than “{unit}” every value here changes. "
        "Compare like with like."
    )
    doubt = len(reading.solid) < len(reading.stages)
    return may, [DOTTED if doubt else SHRUNK, border]


def _arrives(reading: Reading) -> str:
    if not reading.solid:
        return "Only that the solver was stopped early: give it more memory, or lower k."
    at = f"At these {reading.noun}s" if reading.n > 1 else f"At this one {reading.noun}"
    row = reading.main.rows[reading.solid[-1]]
    where, count = num.short(row.stage), counted(row).removeprefix("at least ")
    if row.largest.mean == 0:
        return f"{at}, no small change of the {reading.origin} is felt at {where}."
    if row.count.lower_bound:
        return f"{at}, {count} or more directions reach {where} no weaker than they left."
    if round(row.count.mean) == row.shape[1]:
        return f"{at}, a small change along any direction reaches {where} no weaker than it left."
    weaker = f"is weaker at {where} than at the {reading.origin}."
    if row.count.mean == 0:
        return f"{at}, a small change along any direction {weaker}"
    return f"{at}, a small change along all but about {count} directions {weaker}"


def kept_aids(reading: Reading) -> Aids:
    """Below the counts."""
    may: list[Text] = []
    rows = [reading.main.rows[s] for s in reading.solid]
    if any(r.count.lower_bound for r in rows):
        may.append("Where every computed value lies above 1, at least so many directions are kept.")
    elif reading.n > 1 and len(rows) > 1:
        wide = max(rows, key=lambda r: r.count.sd)
        calm = min(rows, key=lambda r: r.count.sd)
        if wide.count.sd > calm.count.sd:
            may.append(
                f"{num.short(wide.stage)} differs most between {reading.noun}s "
                f"(sd {num.number(wide.count.sd, 2)}), {num.short(calm.stage)} least "
                f"(sd {num.number(calm.count.sd, 2)})."
            )
    if not rows:
        may.append("Nothing before the spectra have converged.")
    elif not may:
        where = num.short(rows[-1].stage)
        may.append(f"How many directions are kept at {where}, at {reading.inputs()}.")
    if reading.n == 1:
        return may, [f"Anything about spread: one {reading.noun} was read."]
    may_not: list[Text] = [WHICH.format(reading.noun)]
    if reading.n <= 8:
        doubt = num.fixed(100 / (2 * (reading.n - 1)) ** 0.5, 0)
        may_not.append(
            f"Much about spread: the sd of {reading.inputs()} is itself uncertain by about "
            f"{doubt}{num.NBSP}%."
        )
    return may, may_not


def compared_aids(reading: Reading, quantity: str) -> Aids:
    """Below the comparison of ``quantity``."""
    assert reading.comparison is not None
    changes = [reading.comparison.change(s, quantity) for s in reading.solid]
    sure = [c for c in changes if outcome(c) != "not distinguishable"][:3]
    if reading.n == 1:
        may = f"How the two networks differ at this one {reading.noun}."
    elif not changes:
        may = "Nothing before the spectra have converged."
    elif not sure:
        may = f"At these {reading.noun}s no difference was seen that chance does not explain."
    else:
        where = num.listing([num.short(c.stage, 16) for c in sure])
        sizes = [num.fixed(abs(c.mean / c.se), 1) for c in sure if c.se > 0]
        errors = f" ({num.listing(sizes)} standard errors)" if len(sizes) == len(sure) else ""
        may = (
            f"In this pair of networks the change at {where} is larger than chance between "
            f"{reading.noun}s explains{errors}."
        )
    return [may], [ALWAYS, CAUSE]


def own_aids(reading: Reading) -> Aids:
    """Below the layers' own spectra."""
    at = f"at these {reading.noun}s" if reading.n > 1 else f"at this one {reading.noun}"
    return [f"Which layer can stretch a step and which shrinks it, taken alone, {at}."], [
        PRODUCT,
        OWN_UNIT,
    ]


def position_aids(reading: Reading) -> Aids:
    """Below the positions."""
    at = f"at these {reading.noun}s" if reading.n > 1 else f"at this one {reading.noun}"
    may = f"At which positions a small change of the embedding would be felt most, {at}."
    return [may], [READS, SAME_PLACE]


def picture_aids(reading: Reading, verdict: str) -> Aids:
    """Below the pictures."""
    at = f"At these {reading.noun}s leading directions are more"
    first = {
        "rises": f"{at} local than the last ones shown.",
        "falls": f"{at} spread than the last ones shown.",
    }.get(verdict, "Where a small change would be felt most, and where least.")
    return [first], [LOOKS, NEIGHBOURS]
