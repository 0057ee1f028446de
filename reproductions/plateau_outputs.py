"""The more outputs, the shorter the plateau of a two-layer network near its singular region.

Claim (Y. Yoshida, R. Karakida, M. Okada, S. Amari, J. Phys. A 52, 184002 (2019), abstract): with
several outputs the plateaus of singular regions become small or vanish, the more the farther the
outputs are from one-dimensional. S. Amari et al., Neural Comput. 30, 1 (2018): such regions and
their Milnor-like attractors.

Theirs: settings and numbers could not be read. Ours: ``nakami.theory.plateau``, K = M = 2, T = 1,
beside *reference* numbers, which another program computed in double precision.

* Length of the plateau: time with -d log(error) / dt below 0.005 before 1 % of the first error;
  both rates 0.2, ``J ~ 0.5 N(0, 1)`` drawn at N = 1000, ``w ~ 0.3 N(0, 1) / sqrt(O)``, until t =
  3000. 100 starts; the reference had 20, so its median is compared with the 95 % range of medians
  of 20 of ours.
* Escape from the overlap line: noise of 0.001 on all weights, rates 0.05, 21 starts, N = 10 and
  1000 (the reference does not say its N); the Hessian there; natural gradients (N = 10, 3000 fixed
  inputs, damping 0.001, 25 starts; the reference had 5); simulations beside the equations.

    python reproductions/plateau_outputs.py     all of it; goes on where it was stopped

Estimate before the run, one thread: 10 minutes, 0.5 GB. No data.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nakami.theory import plateau

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from _plateau_reference import (  # noqa: E402
    CURVATURES,
    DESCENTS,
    ESCAPES,
    ONE_UNIT,
    OUTPUTS,
    OVERLAPS,
    SHARES,
    SIZES,
    SMALL_START,
)
from _shared import charts, made_in  # noqa: E402
from _wide import Kept, digits, table  # noqa: E402

NAME = "plateau_outputs"
STARTS, BATCH, THEIRS = 100, 20, 20  # starts in all and together; of the reference
RATE, T_END, LIMIT = 0.2, 3000.0, 1000.0
ESCAPING, SEEDS, MOST_STEPS, INPUTS = 21, 25, 3000, 3000
Cell = tuple[Any, ...]


def main() -> None:
    settings = {"starts": STARTS, "rate": RATE, "t_end": T_END, "escaping": ESCAPING,
                "seeds": SEEDS, "steps": MOST_STEPS, "inputs": INPUTS}  # fmt: skip
    kept = Kept(HERE / "results" / f"{NAME}.json", settings)
    for kind, *cell in cells():
        name = "|".join(map(str, (kind, *cell)))
        if kept.missing([name]):
            began = time.process_time()
            record = MEASURES[kind](*cell)
            kept.add(name, {**record, "cpu": digits(time.process_time() - began, 3)})
            print(f"{name}: {kept.records[name]['cpu']:.1f} s CPU", flush=True)
    page = list(report(kept))
    page += ["", made_in(sum(r["cpu"] for r in kept.records.values())), ""]
    (HERE / "results" / f"{NAME}.md").write_text("\n".join(page), encoding="utf-8")
    draw(kept, HERE / "results" / f"{NAME}.svg")


def cells() -> Iterator[Cell]:
    """Kind and settings of every record."""
    for batch in range(STARTS // BATCH):
        yield from (("outputs", o, 0.5, batch) for o in OUTPUTS)
        yield from (("overlap", f, batch) for f in OVERLAPS)
    for first in (0.3, 0.1):
        yield from (("outputs", o, first, b) for b in range(STARTS // BATCH) for o in SMALL_START)
    yield from (("escape", *at, size) for size in (10, 1000) for at in ESCAPES)
    yield from (("line", f) for f in ONE_UNIT)
    yield from (("descent", f, how) for f in DESCENTS for how in ("inputs", "population"))
    yield from (("size", n) for n in SIZES)


def products(overlap: float) -> np.ndarray:
    return np.array([[1.0, overlap], [overlap, 1.0]])


def by_outputs(outputs: int, first: float, batch: int) -> dict[str, Any]:
    """Lengths with random teachers of unit readouts."""
    f = plateau.random_readouts(outputs, count=BATCH, seed=1000 + batch)
    return lengths(plateau.random_start(f, outputs=outputs, first=first, seed=batch))


def by_overlap(overlap: float, batch: int) -> dict[str, Any]:
    """Lengths with two outputs; at overlap 1 that is one output twice."""
    start = plateau.random_start(products(overlap), outputs=2, count=BATCH, seed=500 + batch)
    return lengths(start)


def lengths(start: plateau.OrderParameters) -> dict[str, Any]:
    run = plateau.trajectory(start, RATE, t_end=T_END, stop_at=0.01)
    found = plateau.plateau_length(run)
    return {"length": rounded(found.length), "hit": rounded(found.hit),
            "doubt": digits(float(max(found.length_doubt.max(), found.hit_doubt.max())), 2),
            "converged": int((found.converged & run.converged).sum())}  # fmt: skip


def escapes(z: float, overlap: float, size: int) -> dict[str, Any]:
    one = plateau.best_one_unit(products(overlap))
    found = plateau.escape(one, z, limit=LIMIT, count=ESCAPING, size=size, outputs=2)
    return {"time": rounded(found.time), "converged": int(found.converged.sum()),
            "doubt": digits(float(found.doubt.max()), 2)}  # fmt: skip


def on_the_line(overlap: float) -> dict[str, Any]:
    one = plateau.best_one_unit(products(overlap))
    found = plateau.line_hessian(one, SHARES)
    return {"error": digits(one.error, 6), "least": [digits(x, 6) for x in found.least],
            "gradient": digits(float(found.gradient.max()), 2)}  # fmt: skip


def descents(overlap: float, how: str) -> dict[str, Any]:
    v = np.ones((2, 1)) if overlap == 1 else np.linalg.cholesky(products(overlap))
    found: dict[str, Any] = {"gradient": [], "natural": []}
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)
        j = 0.5 * rng.standard_normal((2, 10))
        w = 0.3 * rng.standard_normal((2, v.shape[1])) / v.shape[1] ** 0.5
        inputs = rng.standard_normal((INPUTS, 10)) if how == "inputs" else None
        for rule, rate in (("gradient", 0.5), ("natural", 0.2)):
            run = plateau.descend(
                j, 10**0.5 * np.eye(2, 10), w, v, rule, rate=rate, max_steps=MOST_STEPS,
                inputs=inputs,
            )  # fmt: skip
            found[rule].append(run.hit if run.reached else float("inf"))
    return found


def by_size(n: int) -> dict[str, Any]:
    """Largest distance of simulated errors from the equations, t up to 40, rate 0.5, O = 3."""
    worst = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        v = rng.standard_normal((2, 3))
        v /= np.linalg.norm(v, axis=1, keepdims=True)
        w = 0.3 * rng.standard_normal((2, 3)) / 3**0.5
        at = 0.5 * rng.standard_normal((2, n)), n**0.5 * np.eye(2, n), w, v
        run = plateau.simulate(*at, 0.5, t_end=40, seed=seed)
        theory = plateau.trajectory(plateau.order_parameters(*at), 0.5, t_end=40, times=run.times)
        worst.append(digits(float(np.abs(run.error - theory.error).max())))
    return {"distance": worst}


MEASURES = {"outputs": by_outputs, "overlap": by_overlap, "escape": escapes, "line": on_the_line,
            "descent": descents, "size": by_size}  # fmt: skip


def rounded(values: np.ndarray) -> list[float]:
    return [digits(float(x), 5) for x in values]


def joined(kept: Kept, prefix: str, key: str) -> np.ndarray:
    """All starts of one setting."""
    found = [r[key] for name, r in kept.records.items() if name.startswith(prefix)]
    return np.concatenate(found)


def medians(values: np.ndarray) -> tuple[float, float, float]:
    """Median, and the 95 % range of medians of as many starts as the reference had."""
    rng = np.random.default_rng(0)
    drawn = np.sort(values[rng.integers(len(values), size=(4000, THEIRS))], axis=1)
    half = THEIRS // 2
    of_20 = np.sort((drawn[:, half - 1] + drawn[:, half]) / 2)
    return float(np.median(values)), float(of_20[100]), float(of_20[-101])


def verdict(theirs: float, low: float, high: float) -> str:
    if not np.isfinite(theirs) and theirs != np.inf:
        return ""
    return "within" if low <= theirs <= high else "outside"


def number(x: float) -> str:
    return f"none by {T_END:g}" if x == np.inf else "" if x != x else f"{x:.4g}"


def report(kept: Kept) -> Iterator[str]:
    """Every table, ours beside the reference."""
    yield "# Plateaus by number of outputs and by teacher overlap"
    yield ""
    yield "Reference: values of another program, computed independently in double precision. Of the"
    yield "literature no number could be read."
    yield ""
    yield from lengths_reported(kept)
    yield from escapes_reported(kept)
    yield from line_reported(kept)
    yield from descents_reported(kept)
    yield from sizes_reported(kept)


def lengths_reported(kept: Kept) -> Iterator[str]:
    yield "## Length of the plateau and time of the target"
    yield ""
    yield f"Medians of {STARTS} starts; in brackets the 95 % range of medians of {THEIRS} of them,"
    yield "in which the reference, a median of 20, should lie. `none`: starts without the target."
    yield ""
    head = ("", "plateau", "reference", "", "target at", "reference", "", "none")
    sweeps: list[tuple[str, str, Any]] = [
        *((f"O = {o}", f"outputs|{o}|0.5|", both) for o, both in OUTPUTS.items()),
        *((f"F12 = {f:g}", f"overlap|{f}|", both) for f, both in OVERLAPS.items()),
        *((f"O = {o}, J ~ 0.3 N(0, 1)", f"outputs|{o}|0.3|", (x, float("nan")))
          for o, x in SMALL_START.items()),
        *((f"O = {o}, J ~ 0.1 N(0, 1)", f"outputs|{o}|0.1|", (float("nan"), float("nan")))
          for o in SMALL_START),
    ]  # fmt: skip
    rows, found = [], []
    for label, prefix, theirs in sweeps:
        cells = [label]
        for key, reference in zip(("length", "hit"), theirs, strict=True):
            mid, low, high = medians(joined(kept, prefix, key))
            found.append(verdict(reference, low, high))
            span = f"{mid:.4g} ({low:.4g} to {high:.4g})"
            cells += [span, number(reference), found[-1]]
        late = int((~np.isfinite(joined(kept, prefix, "hit"))).sum())
        rows.append([*cells, str(late)])
    yield from table(head, rows)
    yield ""
    ours = [r for name, r in kept.records.items() if name.startswith(("outputs", "overlap"))]
    done = sum(r["converged"] for r in ours)
    yield f"{found.count('within')} of {found.count('within') + found.count('outside')} reference"
    yield "medians lie within. Two tolerances and half the times change a length or a time by at"
    yield f"most {max(r['doubt'] for r in ours):.2g}; {done} of {len(ours) * BATCH} runs converged."
    yield ""


def escapes_reported(kept: Kept) -> Iterator[str]:
    yield "## Escape from the overlap line"
    yield ""
    yield "Rate times time until half the error of the best one-unit student; median (least to"
    yield f"largest) of {ESCAPING} starts with noise 0.001. N decides how much noise of J is along"
    yield "the teachers; with two outputs that of the readouts, which does not depend on N, matters"
    yield "more. The reference is one start, N unknown; `within`: from least to largest, N = 10."
    yield ""
    rows = []
    for at, theirs in ESCAPES.items():
        cells, judged = [], ""
        for size in (10, 1000):
            x = np.array(kept.records[f"escape|{at[0]}|{at[1]}|{size}"]["time"])
            gone = np.isfinite(x)
            span = f"{np.median(x):.3g} ({x.min():.3g} to {x.max():.3g})"
            cells.append(span if gone.all() else f"never, {(~gone).sum()} of {ESCAPING}")
            judged = judged or ("within" if x.min() <= theirs <= x.max() else "outside")
        shown = "never" if theirs == np.inf else f"{theirs:g}"
        rows.append([f"{at[0]:g}", f"{at[1]:g}", *cells, shown, judged])
    yield from table(("z", "F12", "N = 10", "N = 1000", "reference", ""), rows)
    yield ""
    ours = [r for name, r in kept.records.items() if name.startswith("escape")]
    done = sum(r["converged"] for r in ours)
    yield f"`never`: not within {LIMIT:g}. {done} of {len(ours) * ESCAPING} runs converged."
    yield ""


def line_reported(kept: Kept) -> Iterator[str]:
    yield "## The line itself"
    yield ""
    yield "Error of the best one-unit student and least eigenvalue of the Hessian at w_1 = z w*."
    yield ""
    rows = []
    for f, error in ONE_UNIT.items():
        record = kept.records[f"line|{f}"]
        theirs = CURVATURES.get(f)
        apart = abs(record["error"] - error) <= 5.1e-5
        if theirs:
            apart &= max(abs(a - b) for a, b in zip(record["least"], theirs, strict=True)) < 6e-4
        ours = ", ".join(f"{0.0 if abs(x) < 1e-9 else x:.4f}" for x in record["least"])
        told = ", ".join(f"{x:g}" for x in theirs) if theirs else ""
        rows.append([f"{f:g}", f"{record['error']:.5f}", f"{error:g}", ours, told,
                     "equal" if apart else "different"])  # fmt: skip
    z = ", ".join(f"{x:g}" for x in SHARES)
    yield from table(("F12", "error", "reference", f"least at z = {z}", "reference", ""), rows)
    yield ""


def descents_reported(kept: Kept) -> Iterator[str]:
    yield "## Natural gradients"
    yield ""
    yield f"Steps to 1 % of the first loss, median (least to largest) of {SEEDS} starts, N = 10,"
    yield f"damping 0.001, rates 0.5 (gradients) and 0.2 (natural), at most {MOST_STEPS} steps. The"
    yield "reference has 5 starts, of unknown law."
    yield ""
    rows = []
    for f, theirs in DESCENTS.items():
        for how in ("inputs", "population"):
            record, cells = kept.records[f"descent|{f}|{how}"], []
            for rule, reference in zip(("gradient", "natural"), theirs, strict=True):
                x = np.array(record[rule])
                mid, low, high = (number_of_steps(v) for v in (np.median(x), x.min(), x.max()))
                judged = "within" if x.min() <= reference <= x.max() else "outside"
                cells += [f"{mid} ({low} to {high})", f"{reference}", judged]
            what = f"{INPUTS} inputs" if how == "inputs" else "population"
            rows.append([f"{f:g}", what, *cells])
    head = ("F12", "loss", "gradients", "reference", "", "natural", "reference", "")
    yield from table(head, rows)
    yield ""
    yield "Where natural gradients did not reach it the loss stays near that of the best one-unit"
    yield "student, 0.0116."
    yield ""


def number_of_steps(x: float) -> str:
    return f"{x:.0f}" if np.isfinite(x) else "not reached"


def sizes_reported(kept: Kept) -> Iterator[str]:
    yield "## Simulations beside the equations"
    yield ""
    yield "Largest distance of the error of three simulated networks, rate 0.5, O = 3, t up to 40."
    yield ""
    rows = []
    for n, theirs in SIZES.items():
        worst = max(kept.records[f"size|{n}"]["distance"])
        rows.append([str(n), f"{worst:.4f}", f"{theirs:g}", f"{worst * n**0.5:.2f}"])
    yield from table(("N", "distance", "reference", "distance times sqrt(N)"), rows)


def draw(kept: Kept, path: Path) -> None:
    """Lengths by number of outputs and by overlap, medians, quartiles and the reference; SVG."""
    alt = charts()
    if alt is None:
        return
    small = dict.fromkeys(SMALL_START, (None,))
    parts: Sequence[tuple[str, str, dict[Any, Any]]] = (
        ("J ~ 0.5 N(0, 1)", "outputs|{}|0.5|", OUTPUTS),
        ("J ~ 0.1 N(0, 1)", "outputs|{}|0.1|", small),
        ("J ~ 0.5 N(0, 1)", "overlap|{}|", OVERLAPS),
    )
    panels = []
    for title, names in (
        ("outputs O, random teachers", parts[:2]),
        ("teacher overlap F12", parts[2:]),
    ):
        rows = [
            {"x": str(at), "law": law, "reference": theirs[0],
             **dict(zip(("low", "mid", "high"), quartiles(kept, form.format(at)), strict=True))}
            for law, form, theirs_of in names for at, theirs in theirs_of.items()
        ]  # fmt: skip
        order = list(dict.fromkeys(row["x"] for row in rows))
        axis = alt.X("x:O", sort=order, title=title, axis=alt.Axis(labelAngle=0))
        scale = alt.Scale(type="symlog", constant=10, domain=[0, 2000])
        y = alt.Y("mid:Q", scale=scale, title="length of the plateau",
                  axis=alt.Axis(values=[0, 10, 30, 100, 300, 1000]))  # fmt: skip
        colour = alt.Color("law:N", title="first layer", sort=[parts[0][0], parts[1][0]])
        base = alt.Chart(alt.Data(values=rows)).encode(x=axis, color=colour)
        laws = [law for law, *_ in names]
        offset = alt.XOffset("law:N", sort=laws, scale=alt.Scale(domain=laws))
        bar = base.mark_rule(strokeWidth=2).encode(
            y=alt.Y("low:Q", scale=scale), y2="high:Q", xOffset=offset
        )
        point = base.mark_point(filled=True, size=60, opacity=1).encode(y=y, xOffset=offset)
        known = base.transform_filter("isValid(datum.reference)")
        other = known.mark_point(shape="diamond", size=70, filled=False, color="black").encode(
            y=alt.Y("reference:Q", scale=scale), xOffset=offset, color=alt.value("black")
        )
        panels.append(alt.layer(bar, point, other).properties(width=330, height=240))
    words = ["dots: medians of 100 starts, lines: quartiles, diamonds: reference (20 starts)"]
    title = alt.Title(words, fontSize=11, fontWeight="normal")
    both = alt.hconcat(*panels).resolve_scale(xOffset="independent").properties(title=title)
    both.configure(aria=False).save(path)


def quartiles(kept: Kept, prefix: str) -> list[float]:
    found = np.percentile(joined(kept, prefix, "length"), (25, 50, 75), method="nearest")
    return [float(x) for x in found]


if __name__ == "__main__":
    main()
