"""Reading aids: what may be concluded from a section, and the mistake a good reader would make."""

from __future__ import annotations

from ...words import _numbers as num
from ._completeness import counted
from ._page_data import Reading
from ._say import say

Aids = tuple[list[str], list[str]]
FEW = 8  # up to so many inputs their spread is uncertain itself


def spectra_aids(reading: Reading) -> Aids:
    """Below the spectra."""
    may = [_arrives(reading)]
    steps = reading.trend(lambda s: float(s.count_above_one), reading.solid)
    exact = not any(reading.main.rows[s].count.lower_bound for s in reading.solid)
    if exact and steps and reading.n > 1 and all(c.verdict == "falls" for c in steps):
        may.append(reading.say("spectra.may_fall"))
    doubt = len(reading.solid) < len(reading.stages)
    unit = num.short(reading.main.run.input_unit, 30)
    first = say("spectra.not_dotted" if doubt else "spectra.not_shrunk")
    return may, [first, say("spectra.not_border", unit=unit)]


def _arrives(reading: Reading) -> str:
    if not reading.solid:
        return say("spectra.may_none")
    row = reading.main.rows[reading.solid[-1]]
    if row.largest.mean == 0:
        case = "zero"
    elif row.count.lower_bound:
        case = "bound"
    elif round(row.count.mean) == row.shape[1]:
        case = "all"
    else:
        case = "some" if row.count.mean else "no"
    count = counted(row).removeprefix("at least ")
    return reading.say(f"spectra.may_{case}", stage=row.stage, count=count)


def kept_aids(reading: Reading) -> Aids:
    """Below the counts."""
    rows = [reading.main.rows[s] for s in reading.solid]
    if not rows:
        may = say("kept.may_none")
    elif any(r.count.lower_bound for r in rows):
        may = say("kept.may_bound")
    else:
        may = reading.say("kept.may_count", stage=rows[-1].stage)
        wide, calm = (end(rows, key=lambda r: r.count.sd) for end in (max, min))
        if reading.n > 1 and len(rows) > 1 and wide.count.sd > calm.count.sd:
            sds = {"wide_sd": wide.count.sd, "calm_sd": calm.count.sd}
            may = reading.say("kept.may_spread", wide=wide.stage, calm=calm.stage, **sds)
    if reading.n == 1:
        return [may], [reading.say("kept.not_one")]
    may_not = [reading.say("kept.not_same")]
    if reading.n <= FEW:
        doubt = 100 / (2 * (reading.n - 1)) ** 0.5
        may_not.append(reading.say("kept.not_spread", doubt=doubt))
    return [may], [*may_not]


def compared_aids(reading: Reading, quantity: str) -> Aids:
    """Below the comparison of ``quantity``."""
    assert reading.comparison is not None
    changes = [reading.comparison.change(s, quantity) for s in reading.solid]
    sure = [c for c in changes if c.verdict != "not distinguishable"][:3]
    errors = [num.fixed(abs(c.mean / c.se), 1) for c in sure if c.se > 0]
    stages = [num.short(c.stage, 16) for c in sure]
    if reading.n == 1:
        case = "one"
    elif not sure:
        case = "same" if changes else "none"
    else:
        case = "change_se" if len(errors) == len(sure) else "change"
    may = reading.say(f"compared.may_{case}", stages=stages, errors=errors)
    return [may], [say("compared.not_always"), say("compared.not_cause")]


def own_aids(reading: Reading) -> Aids:
    """Below the layers' own spectra."""
    return [reading.say("own.may")], [say("own.not_product"), say("own.not_unit")]


def position_aids(reading: Reading) -> Aids:
    """Below the positions."""
    may_not = [say("positions.not_reads"), say("positions.not_place")]
    return [reading.say("positions.may")], [*may_not]


def picture_aids(reading: Reading, verdict: str) -> Aids:
    """Below the pictures."""
    case = f"may_{verdict}" if verdict in ("rises", "falls") else "may"
    may_not = [say("pictures.not_looks"), say("pictures.not_neighbours")]
    return [reading.say(f"pictures.{case}")], [*may_not]
