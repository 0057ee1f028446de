"""Error against patterns without labels: an S-shape, and a jump (source 000, talk of M. Ohzeki).

Claim (report on a study meeting, section 2, figures 1 and 2; the paper behind it is M. Ohzeki, J.
Phys. Soc. Jpn. 84, 034003 (2015), arXiv 1501.04413): the generalisation error falls in an S-shape
as patterns without labels are added, beyond a point abruptly: "unsupervised learning raises the
potential, supervised learning reaches it".

Theirs: two figures whose axes carry no readable numbers; of the paper no equation could be read.
Ours: the margin-perceptron model (``nakami.theory.phase``), which has what the abstract names: a
perceptron, patterns without labels that keep a margin, a few labels, the replica method, message
passing. Its numbers are not the paper's.

* Theory: transitions, critical end points, errors, beside *reference* numbers, which another
  program computed in double precision: averages over the field on a uniform grid of 6001 points,
  state evolution by plain iteration, spinodals by a scan of beta(q).
* Students of small instances by rejection, N = 10 to 20, alpha = beta = 0.4.
* Message passing on drawn instances beside theory: N = 2000 (five draws; margins that differ: N =
  1500), and N = 1000 (two draws) for the points of the chart.

    python reproductions/source_000_phase_transition.py     all of it; goes on where it was stopped

Estimate before the run, one thread: 15 minutes, 0.4 GB. No data.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from nakami.theory import phase

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from _shared import charts, made_in  # noqa: E402
from _source_000_phase_reference import (  # noqa: E402
    BETAS,
    BETHE,
    CRITICAL,
    ERRORS_BY_ALPHA,
    ERRORS_BY_BETA,
    MISMATCH,
    ONE_MARGIN,
    OVERLAPS,
    TRANSITIONS,
    WEAK_RECOVERY,
)
from _source_000_phase_sampled import sampled  # noqa: E402
from _wide import Kept, digits, mean_error, table  # noqa: E402

NAME = "source_000_phase_transition"
N, DRAWS, OF_CHART, CHART_DRAWS = 2000, 5, 1000, 2
MARGINS, LABELS = (0.3, 0.4, 0.5, 0.6, 0.8), {0.1: 16, 0.5: 12}  # of the chart; largest beta
AT = {0.3: (2, 5, 8, 9, 10, 12, 15), 0.4: (2, 4, 5, 6, 7, 9), 0.5: (1, 2, 3, 3.5, 4.2, 5, 7),
      0.6: (1, 2, 2.5, 3, 4, 6), 0.8: (0.5, 1, 1.5, 2, 3, 5)}  # fmt: skip
FIXED, ALPHAS = (0.0, 3.0, 5.0), (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
BOTH = [(0.05, 5.0), (0.05, 3.5)]  # alpha, beta: pre-trained, then fine-tuned
SMALL, FEW = {10: 400, 15: 300, 20: 150}, 0.4  # draws by N; alpha = beta
SIZES, FINDERS = (500, 1000, 2000), 10  # without labels at beta = 5 and 6: how often it is found


def main() -> None:
    settings = {"N": N, "chart": OF_CHART, "margin": ONE_MARGIN}
    kept = Kept(HERE / "results" / f"{NAME}.json", settings)
    for n, draws in SMALL.items():
        for seed in range(draws):
            if kept.missing([f"sampled|{n}|{seed}"]):
                began = time.process_time()
                overlap, share = sampled(ONE_MARGIN, FEW, FEW, n, 40, seed)
                cpu = digits(time.process_time() - began, 3)
                record = {"R": digits(overlap), "phi": digits(share, 5), "cpu": cpu}
                kept.add(f"sampled|{n}|{seed}", record)
    for name, cell in cells():
        if kept.missing([name]):
            kept.add(name, measure(**cell))
            print(f"{name}: {kept.records[name]['cpu']:.1f} s CPU", flush=True)
    began = time.process_time()
    page = list(report(kept))
    cpu = sum(r["cpu"] for r in kept.records.values()) + time.process_time() - began
    page += ["", made_in(cpu), ""]
    (HERE / "results" / f"{NAME}.md").write_text("\n".join(page), encoding="utf-8")
    draw(kept, HERE / "results" / f"{NAME}.svg")


def cells() -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and settings of every instance, the tables' first."""
    for alpha, beta, start in [*OVERLAPS, *BETHE]:
        for seed in range(DRAWS):
            cell = {"alpha": alpha, "beta": beta, "start": start, "seed": seed}
            yield f"{alpha:g}|{beta:g}|{start}|{seed}", cell
    for alpha, beta in BOTH:
        for seed in range(DRAWS):
            yield f"both|{alpha:g}|{beta:g}|{seed}", {"alpha": alpha, "beta": beta, "seed": seed,
                                                      "start": "both"}  # fmt: skip
    for alpha, beta, student in MISMATCH:
        for seed in range(DRAWS):
            cell = {"alpha": alpha, "beta": beta, "seed": seed, "student": student, "n": 1500}
            yield f"margin|{alpha:g}|{beta:g}|{student:g}|{seed}", cell
    for beta in (5.0, 6.0):
        for n in SIZES:
            for seed in range(FINDERS):
                cell = {"alpha": 0.0, "beta": beta, "seed": seed, "n": n, "steps": 300}
                yield f"found|{beta:g}|{n}|{seed}", cell
    points = [(k, a, float(b)) for a in LABELS for k in MARGINS for b in AT[k]]
    points += [(ONE_MARGIN, a, b) for b in FIXED for a in ALPHAS]
    for kappa, alpha, beta in dict.fromkeys(points):
        for seed in range(CHART_DRAWS):
            cell = {"alpha": alpha, "beta": beta, "seed": seed, "kappa": kappa, "n": OF_CHART}
            yield f"chart|{kappa:g}|{alpha:g}|{beta:g}|{seed}", cell


def measure(
    alpha: float, beta: float, seed: int, start: str = "uninformed", kappa: float = ONE_MARGIN,
    student: float | None = None, n: int = N, steps: int = 1000,
) -> dict[str, Any]:  # fmt: skip
    """Where message passing ends on one instance."""
    began = time.process_time()
    instance = phase.draw_instance(kappa, alpha, beta, n, seed)
    record: dict[str, Any] = {}
    if start == "both":
        found = phase.pretrain_then_finetune(instance, seed=seed)
        record["before"] = digits(found.pretrained.error_up_to_sign)
        record["before_converged"] = found.pretrained.converged
        last = found.finetuned
    else:
        last = phase.gamp(instance, start, student_kappa=student, max_steps=steps, seed=seed)
    record |= {"q": digits(last.q), "R": digits(last.overlap), "phi": digits(last.free_entropy, 5),
               "error": digits(last.error), "error_up_to_sign": digits(last.error_up_to_sign),
               "converged": last.converged, "steps": last.steps}  # fmt: skip
    return {**record, "cpu": digits(time.process_time() - began, 3)}


def report(kept: Kept) -> Iterator[str]:
    """Theory beside the reference, message passing beside theory."""
    yield "# Pre-training, fine-tuning and a jump (source 000)"
    yield ""
    yield "The margin-perceptron model. Reference: another program, see the script's docstring; not"
    yield "the paper, of which no number could be read. Errors are those of the posterior mean on"
    yield "Gaussian patterns."
    for part in (_transitions, _errors, _sampled, _overlaps, _both, _mismatch):
        yield ""
        yield from part(kept)
    yield ""
    yield "Theirs: figures without numbers that could be read; no equation, margin or range."


def _transitions(_: Kept) -> Iterator[str]:
    yield "## Transitions"
    yield ""
    yield "Patterns without labels over N: where the low-error state appears, where it has the"
    yield "higher free entropy, where the high-error state ends. Ours, the reference in brackets."
    yield ""
    rows = []
    for (kappa, alpha), wanted in TRANSITIONS.items():
        t = phase.transition(kappa, alpha)
        ours = (t.beta_appears, t.beta_t, t.beta_ends, t.q_before, t.q_after)
        pairs = [f"{a:.4f}" + (f" ({b:g})" if b == b else "")
                 for a, b in zip(ours, wanted, strict=True)]  # fmt: skip
        rows.append([f"{kappa:g}", f"{alpha:g}", *pairs])
    head = ("kappa", "alpha", "appears", "beta_t", "ends", "q before", "q after")
    yield from table(head, rows)
    yield ""
    yield "Critical end point, where the jump disappears, and weak recovery at alpha = 0:"
    yield ""
    rows = []
    for kappa in sorted({*CRITICAL, *WEAK_RECOVERY}):
        c, ends = phase.critical_point(kappa), CRITICAL.get(kappa)
        said = [f" ({x:g})" for x in ends] if ends else ["", ""]
        weak = WEAK_RECOVERY.get(kappa)
        rows.append([
            f"{kappa:g}",
            *([f"{x:.4f}{s}" for x, s in zip((c.alpha, c.beta), said, strict=True)]
              if c.exists else ["no jump", ""]),
            f"{float(phase.weak_recovery(kappa)):.5g}" + (f" ({weak:g})" if weak else ""),
        ])  # fmt: skip
    yield from table(("kappa", "alpha*", "beta*", "beta_c"), rows)
    yield ""
    yield f"The margin above which there is no jump: {phase.critical_margin():.6f} (0.645)."


def _errors(_: Kept) -> Iterator[str]:
    yield f"## Errors at kappa = {ONE_MARGIN:g}"
    yield ""
    yield "By beta, uninformed start / informed start where they differ; reference in brackets."
    yield ""
    rows = []
    for alpha, wanted in ERRORS_BY_BETA.items():
        low, high = (phase.state_evolution(ONE_MARGIN, alpha, BETAS, s).bayes_error.round(3)
                     for s in ("uninformed", "informed"))  # fmt: skip
        ours = [
            f"{a:.3f}" if a == b else f"{a:.3f}/{b:.3f}" for a, b in zip(low, high, strict=True)
        ]
        cells = [f"{a} ({b})" for a, b in zip(ours, wanted.split(), strict=True)]
        rows.append([f"{alpha:g}", *cells])
    yield from table(("alpha", *(f"beta {b:g}" for b in BETAS)), rows)
    yield ""
    rows = []
    for beta, by_alpha in ERRORS_BY_ALPHA.items():
        found = phase.state_evolution(ONE_MARGIN, list(by_alpha), beta).bayes_error
        pairs = zip(by_alpha.items(), found, strict=True)
        rows.append([f"{beta:g}", ", ".join(f"{a:g}: {e:.3f} ({w:g})" for (a, w), e in pairs)])
    yield from table(("beta", "error by alpha"), rows)


def _sampled(kept: Kept) -> Iterator[str]:
    yield f"## Small posteriors by rejection, kappa = {ONE_MARGIN:g}, alpha = beta = {FEW:g}"
    yield ""
    yield "Students drawn uniformly until 40 and more agree with all patterns: no replica, no"
    yield "message passing. Means ± standard error over instances; last a line in 1 / N."
    yield ""
    theory = phase.state_evolution(ONE_MARGIN, FEW, FEW)
    rows, means = [], []
    for n, draws in SMALL.items():
        found = [kept.records[f"sampled|{n}|{s}"] for s in range(draws)]
        pair = [mean_error([r[key] for r in found]) for key in ("R", "phi")]
        means.append(pair)
        rows.append([str(n), str(draws), *("{:.4f} ± {:.4f}".format(*p) for p in pair)])
    limits = []
    for values, errors in np.transpose(means, (1, 2, 0)):
        (_, limit), cov = np.polyfit(
            [1 / n for n in SMALL], values, 1, w=1 / errors, cov="unscaled"
        )
        limits.append(f"{limit:.4f} ± {cov[1, 1] ** 0.5:.4f}")
    rows.append(["to infinity", "", *limits])
    rows.append(["theory", "", f"{float(theory.q):.4f}", f"{float(theory.free_entropy):.4f}"])
    yield from table(("N", "draws", "R", "log share / N"), rows)


def _overlaps(kept: Kept) -> Iterator[str]:
    yield f"## Message passing on instances, kappa = {ONE_MARGIN:g}, N = {N}"
    yield ""
    yield "Overlap q of theory and of the draws that converged, mean ± standard deviation; largest"
    yield "|R - q| (at alpha = 0 of |R|); Bethe's free entropy beside theory's."
    yield ""
    rows = []
    for alpha, beta, start in dict.fromkeys([*OVERLAPS, *BETHE]):
        found = [kept.records[f"{alpha:g}|{beta:g}|{start}|{s}"] for s in range(DRAWS)]
        good = [r for r in found if r["converged"]]
        theory = phase.state_evolution(ONE_MARGIN, alpha, beta, start)
        q, phi = ([r[key] for r in good] for key in ("q", "phi"))
        gap = max(abs(abs(r["R"]) - r["q"]) if alpha == 0 else abs(r["R"] - r["q"]) for r in good)
        spread = f" ± {np.std(q, ddof=1):.3f}" if len(q) > 1 else ""
        said = OVERLAPS.get((alpha, beta, start), ())
        rows.append([
            f"{alpha:g}", f"{beta:g}", start, f"{float(theory.q):.4f}",
            f"{np.mean(q):.3f}{spread}", ", ".join(f"{x:g}" for x in said) or "-",
            f"{len(good)} of {len(found)}", f"{gap:.3f}", f"{float(theory.free_entropy):.4f}",
            f"{np.mean(phi):.4f}" + (f" ± {mean_error(phi)[1]:.4f}" if len(phi) > 1 else ""),
        ])  # fmt: skip
    head = ("alpha", "beta", "start", "q theory", "q drawn", "reference, two draws", "converged",
            "|R - q|", "Phi theory", "Bethe (± standard error)")  # fmt: skip
    yield from table(head, rows)


def _both(kept: Kept) -> Iterator[str]:
    yield f"## Pre-training, then fine-tuning, kappa = {ONE_MARGIN:g}, N = {N}"
    yield ""
    yield "Error after the patterns without labels alone (up to the sign), and after the labels."
    yield ""
    rows = []
    for alpha, beta in BOTH:
        found = [kept.records[f"both|{alpha:g}|{beta:g}|{s}"] for s in range(DRAWS)]
        without, with_labels = (phase.state_evolution(ONE_MARGIN, a, beta).bayes_error
                                for a in (0.0, alpha))  # fmt: skip
        rows.append([
            f"{alpha:g}", f"{beta:g}", f"{float(without):.3f}",
            ", ".join(f"{r['before']:.3f}" for r in found), f"{float(with_labels):.3f}",
            ", ".join(f"{r['error']:.3f}" for r in found),
        ])  # fmt: skip
    head = ("alpha", "beta", "theory, no labels", "pre-trained", "theory", "fine-tuned")
    yield from table(head, rows)
    yield ""
    yield "Without labels an uninformed start may wander with R far below q and never settle. Draws"
    yield "of 10 that came to |R| > 0.8 within 300 steps:"
    yield ""
    rows = []
    for beta in (5.0, 6.0):
        counts = [[abs(kept.records[f"found|{beta:g}|{n}|{s}"]["R"]) > 0.8 for s in range(FINDERS)]
                  for n in SIZES]  # fmt: skip
        rows.append([f"{beta:g}", *(str(sum(c)) for c in counts)])
    yield from table(("beta", *(f"N = {n}" for n in SIZES)), rows)


def _mismatch(kept: Kept) -> Iterator[str]:
    yield f"## A student with another margin, teacher's {ONE_MARGIN:g}, N = 1500"
    yield ""
    rows = []
    for (alpha, beta, student), wanted in MISMATCH.items():
        found = [kept.records[f"margin|{alpha:g}|{beta:g}|{student:g}|{s}"] for s in range(DRAWS)]
        t = phase.mismatched_evolution(ONE_MARGIN, student, alpha, beta)
        ours = [f"{float(x):.4f} ({w:g})" for x, w in zip((t.overlap, t.q), wanted, strict=True)]
        drawn = ["{:.3f} ± {:.3f}".format(*mean_error([r[k] for r in found])) for k in ("R", "q")]
        rows.append([f"{alpha:g}", f"{beta:g}", f"{student:g}", *ours, *drawn])
    head = ("alpha", "beta", "student's margin", "R (reference)", "q (reference)",
            "R drawn ± standard error", "q drawn")  # fmt: skip
    yield from table(head, rows)


def draw(kept: Kept, path: Path) -> None:
    """Error by beta at two alphas for several margins, and by alpha; instances as points; SVG."""
    alt = charts()
    if alt is None:
        return
    colour = alt.Scale(scheme="viridis")
    panels = []
    for alpha, most in LABELS.items():
        rows = [
            row for k in MARGINS for row in _curve_rows(phase.curve(k, alpha, n=600), "beta", k)
        ]
        dots = [
            {"x": b, "error": r["error"], "settled": r["converged"], "key": f"{k:g}"}
            for k in MARGINS for b in AT[k]
            for r in _points(kept, k, alpha, float(b))
        ]  # fmt: skip
        title = f"{alpha:g} N patterns with labels"
        panels.append(_panel(alt, rows, dots, "unlabelled patterns over N, β", title, most,
                             alt.Color("key:N", title="margin κ", scale=colour)))  # fmt: skip
    rows = [row for b in FIXED
            for row in _curve_rows(phase.curve(ONE_MARGIN, beta=b, n=600), "alpha", b)]  # fmt: skip
    dots = [
        {"x": a, "error": r["error"], "settled": r["converged"], "key": f"{b:g}"}
        for b in FIXED for a in ALPHAS
        for r in _points(kept, ONE_MARGIN, a, b)
    ]  # fmt: skip
    last = _panel(alt, rows, dots, "labelled patterns over N, α", f"margin {ONE_MARGIN:g}", 2,
                  alt.Color("key:N", title="β", scale=alt.Scale(scheme="category10")))  # fmt: skip
    title = (
        f"Solid: stable, dashed: unstable. Points: message passing, N = {OF_CHART}; "
        "rings: not settled after 1000 steps"
    )
    chart = alt.hconcat(alt.hconcat(*panels), last).resolve_scale(color="independent")
    chart.properties(title=title).configure(aria=False).save(path)


def _points(kept: Kept, kappa: float, alpha: float, beta: float) -> list[dict[str, Any]]:
    """The draws of one place."""
    names = [f"chart|{kappa:g}|{alpha:g}|{beta:g}|{s}" for s in range(CHART_DRAWS)]
    return [kept.records[name] for name in names]


def _curve_rows(found: phase.Curve, x: str, key: float) -> Iterator[dict[str, Any]]:
    """Points of a curve in pieces that are stable or not; a piece's ends belong to both."""
    pieces = np.append(0, np.cumsum(np.diff(found.stable.astype(int)) != 0))
    for i, (at, error) in enumerate(zip(getattr(found, x), found.bayes_error, strict=True)):
        row = {"x": digits(float(at), 5), "error": digits(float(error), 5), "key": f"{key:g}"}
        for piece in {int(pieces[i]), int(pieces[min(i + 1, len(pieces) - 1)])}:
            stable = bool(piece % 2 == 0)
            yield {**row, "piece": f"{key:g}|{piece}", "order": i, "stable": stable}


def _panel(
    alt: Any, rows: list[dict[str, Any]], dots: list[dict[str, Any]], axis: str, title: str,
    most: float, colour: Any,
) -> Any:  # fmt: skip
    x = alt.X("x:Q", title=axis, scale=alt.Scale(domain=[0, most]))
    y = alt.Y("error:Q", title="generalisation error", scale=alt.Scale(domain=[0, 0.5]))
    inside = [row for row in rows if -1e-9 <= row["x"] <= most]
    kinds = alt.Scale(domain=[True, False], range=[[1, 0], [4, 3]])
    dash = alt.StrokeDash("stable:N", legend=None, scale=kinds)
    lines = alt.Chart(alt.Data(values=inside)).mark_line(strokeWidth=2, clip=True).encode(
        x=x, y=y, color=colour, strokeDash=dash, detail="piece:N", order="order:Q"
    )  # fmt: skip
    for settled in (True, False):
        there = alt.Data(values=[dot for dot in dots if dot["settled"] is settled])
        mark = alt.Chart(there).mark_point(filled=settled, size=28 if settled else 45, clip=True)
        lines += mark.encode(x=x, y=y, color=colour)
    return lines.properties(width=250, height=260, title=title)


if __name__ == "__main__":
    main()
