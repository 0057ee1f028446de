"""Tables and verdicts of ``_sampling_checks.py``, and the sentences that follow from all tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from _sampling_checks import LANGEVIN, WELLS
from _sampling_machines import ANNEALED, KERNELS, LIFTED, SEEDS, TEMPERING
from _wide import Kept, table

BASE, GIVEN = "block Gibbs", "Suwa-Todo pairs, given h"
PAIRS, TRIPLES = "collapsed Suwa-Todo pairs", "collapsed Suwa-Todo triples"
Row: TypeAlias = tuple[str, str, object]  # what is concluded, our figures, whether it holds
LANGEVIN_REFERENCE = {(0.0, 0.1): (0.5556, 9.0), (1.0, 0.05): (0.5556, 9.0)}
CLAIMED = (GIVEN, "Suwa-Todo triples, given h", PAIRS, TRIPLES, "lifted on the sum")


def checks(kept: Kept) -> Iterator[str]:
    """All parts."""
    yield from kept_laws(kept)
    yield from theorem(kept)
    yield from annealing(kept)
    yield from langevin(kept)
    yield from sentences(kept)


def verdict(holds: object) -> str:
    return "holds" if holds else "does not hold"


def kept_laws(kept: Kept) -> Iterator[str]:
    """Errors of the law and circular flux, by kernel."""
    record, other = kept.records["kept laws"], kept.records["allocation"]
    yield "## Laws that are kept, balance that is broken"
    yield ""
    yield f"{', '.join(record['machines']).capitalize()} (our first draw): largest errors, least to"
    yield "largest circular flux. Reference: error of the law below 1e-15, rows sum to 1, circular"
    yield "flux above 1e-4 for Suwa-Todo blocks and lifting, below 1e-16 for block Gibbs."
    yield ""
    rows = []
    for name, found in record["kernels"].items():
        law, sums, flux = np.array(found).T
        balance = flux.max() < 1e-16 if name == BASE else flux.min() > 1e-4
        rows.append([
            name, f"{law.max():.1e}", f"{sums.max():.1e}", f"{flux.min():.1e} to {flux.max():.1e}",
            verdict(law.max() < 1e-15),
            verdict(balance) if name in (BASE, *CLAIMED) else "no reference",
        ])  # fmt: skip
    head = (
        "kernel",
        "error of the law",
        "of row sums",
        "circular flux",
        "law: verdict",
        "flux: verdict",
    )
    yield from table(head, rows)
    yield ""
    yield "Geometric allocation among 2 to 8 weights, 200 draws: error of the law"
    yield f"{other['law']:.1e} (reference: 1e-12), of the least rejection {other['rejection']:.1e}"
    fits = other["law"] < 1e-12 and other["rejection"] < 1e-10
    fits = fits and other["two"] == [[0.0, 1.0], [0.4286, 0.5714]]
    yield f"(1e-10); weights 0.3, 0.7 give the rows {other['two'][0]}, {other['two'][1]}"
    yield f"([0, 1], [.4286, .5714]). **Verdict**: {verdict(fits)}."
    yield ""


def theorem(kept: Kept) -> Iterator[str]:
    """Circular fluxes in continuous time."""
    r = kept.records["theorem"]
    yield "## Circular fluxes never slow a chain in continuous time"
    yield ""
    yield f"A reversible chain of 30 states (gap {r['gap']}), {r['fluxes']} random circular fluxes,"
    yield "each as large as rates from 0 on allow; asymptotic variances of 8 statistics (from"
    yield f"{r['variance']} on). The reference names neither chain nor size of fluxes, so that"
    yield "signs can be compared, sizes cannot."
    yield ""
    rows = [
        ["least difference of gaps", f"{r['least_gap']:+.2g}", "+1.3e-5",
         f"never negative: {verdict(r['least_gap'] > 0)}"],
        ["largest difference of variances", f"{r['largest_variance']:+.2g}", "-0.09",
         f"never positive: {verdict(r['largest_variance'] < 0)}"],
        ["the same, relative", f"{r['largest_relative']:+.2g}", "", ""],
        ["the same over all statistics", f"{r['every']:+.1g}", "",
         f"0 up to rounding: {verdict(abs(r['every']) < 1e-13 * r['size'])}"],
    ]  # fmt: skip
    yield from table(("", "ours", "reference", "verdict"), rows)
    yield ""
    yield "With an even number of states some statistic gains nothing: an antisymmetric matrix of"
    yield "odd size (29, without the constants) has an eigenvalue 0."
    yield ""


def annealing(kept: Kept) -> Iterator[str]:
    """Log Z beside the sums."""
    yield "## Annealed importance sampling"
    yield ""
    yield "1,000 runs; log Z, and how many standard errors it is from the sum over states."
    yield ""
    rows, inside = [], 0
    for (scale, steps), wanted in ANNEALED.items():
        r = kept.records[f"annealing|{scale:g}|{steps}"]
        off = (r["value"] - r["exact"]) / r["error"]
        inside += abs(off) < 3
        rows.append([f"weights {scale:g}", str(steps), f"{r['value']:.4f} ± {r['error']:.4f}",
                     f"{off:+.1f}", f"{r['exact']:.5f}", wanted])  # fmt: skip
    head = ("machine", "temperatures", "ours", "errors off", "exact", "reference")
    yield from table(head, rows)
    yield ""
    yield f"**Verdict**: {inside} of {len(rows)} within 3 errors. Exact of the reference: 12.89639,"
    yield "20.0917."
    yield ""


def langevin(kept: Kept) -> Iterator[str]:
    """Langevin pairs: variance and times."""
    yield "## Langevin pairs for continuous units"
    yield ""
    yield "`UnadjustedLangevin`, U = x^2 (curvature 2), 1,000 pairs, 2,000 steps: measured, in"
    yield "brackets by sums over all lags. Times in steps; a step costs the same in all rows."
    yield ""
    rows, off = [], []
    for gamma, step in LANGEVIN:
        r = kept.records[f"langevin|{gamma:g}|{step:g}"]
        cells = []
        for name, exact in zip(("variance", "x", "square", "both"), r["exact"], strict=True):
            value, error = r[name]
            off.append(abs(value - exact) / error)
            cells.append(f"{value:.4g} ± {error:.1g} ({exact:.4g})")
        wanted = LANGEVIN_REFERENCE.get((gamma, step))
        cells.append(f"{wanted[0]}, {wanted[1]:g}" if wanted else "")
        rows.append([f"{gamma:g}", f"{step:g}", *cells])
    head = ("gamma", "step", "variance", "time of x", "of x^2", "of x^2, mean of the pair",
            "reference: variance, time of x")  # fmt: skip
    yield from table(head, rows)
    yield ""
    exact = [kept.records[f"langevin|{g:g}|{s:g}"]["exact"] for g, s in LANGEVIN[:2]]
    same = all(np.allclose(row[:2], (0.5556, 9.0), atol=1e-4) for row in exact)
    yield f"**Verdict**: largest deviation {max(off):.1f} standard errors. That the gain cancels at"
    yield f"equal bias {verdict(same)} for x, to the last digit. For x^2 it is a loss: means over"
    yield f"both replicas need {exact[1][3] / exact[0][3]:.2f} times the steps."
    yield ""
    yield from wells(kept)


def wells(kept: Kept) -> Iterator[str]:
    """The same where no closed form is known."""
    yield "Two wells, U = 3 (x^2 - 1)^2, 1,000 pairs, 6,000 steps; no reference:"
    yield ""
    rows = []
    for gamma, step in WELLS:
        r = kept.records[f"wells|{gamma:g}|{step:g}"]
        (mean, error), exact = r["variance"], r["exact"]
        times = [f"{r[name][0]:.3g} ± {r[name][1]:.1g}" for name in ("x", "both")]
        rows.append([f"{gamma:g}", f"{step:g}", f"{mean - exact:+.4f} ± {error:.4f}", *times])
    head = ("gamma", "step", f"bias of the mean of x^2 ({exact:.4f})", "time of x",
            "of x^2, mean of the pair")  # fmt: skip
    yield from table(head, rows)
    yield ""


def sentences(kept: Kept) -> Iterator[str]:
    """What was concluded from the reference values, beside our tables."""
    yield "## Conclusions from the reference values, held against ours"
    yield ""
    parts = (_of_enumeration, _of_bias, _of_lifting, _of_tempering)
    rows = [(text, ours, verdict(fits)) for part in parts for text, ours, fits in part(kept)]
    yield from table(("conclusion", "ours", "verdict"), rows)
    yield ""


def _ratios(kept: Kept, upper: str, lower: str) -> list[float]:
    """Times of one kernel over those of another: three machines, then the median of trainings."""
    found = [kept.records[f"exact|{s:g}"]["times"] for s in SEEDS]
    drawn = [r["times"] for r in _drawn(kept)]
    last = float(np.median([t[upper][0] / t[lower][0] for t in drawn]))
    return [*(t[upper][0] / t[lower][0] for t in found), last]


def _drawn(kept: Kept) -> list[dict[str, Any]]:
    return [record for key, record in kept.records.items() if key.startswith("bars|")]


def _spread(found: list[float]) -> str:
    return f"{min(found):.2g} to {max(found):.2g}"


def _of_enumeration(kept: Kept) -> Iterator[Row]:
    given = _ratios(kept, BASE, GIVEN)
    gain = [100 * (1 - 1 / r) for r in given[2:]]
    text = "Suwa-Todo pairs given h gain 10 to 15 % where mixing is slow"
    yield text, f"{min(gain):.0f} to {max(gain):.0f} %", all(9.5 < s < 15.5 for s in gain)
    text = "and a factor of 1.5 to 3 where it is fast"
    yield text, _spread(given[:2]), all(1.45 < r < 3.05 for r in given[:2])
    flips = _ratios(kept, GIVEN, "Metropolised, given h")[:2]
    text = "and Metropolised flips are as good or better there"
    yield text, f"pairs take {_spread(flips)} times as long", min(flips) >= 1
    for other, low, high in (("Gibbs", 1.5, 3.0), ("Metropolis", 1.1, 2.0)):
        kernel = f"collapsed {other} scan"
        every = [_ratios(kept, kernel, name) for name in (PAIRS, TRIPLES)]
        fast, slow = ([r for e in every for r in e[part]] for part in (slice(2), slice(2, 4)))
        text = f"collapsed pairs and triples gain a factor of {low:g} to {high:g} over the {kernel}"
        fits = all(low - 0.05 <= r <= high + 0.1 for r in fast + slow)
        yield text, f"{_spread(fast)} where mixing is fast, {_spread(slow)} where slow", fits


def _of_bias(kept: Kept) -> Iterator[Row]:
    drawn = [r["bias"] for r in _drawn(kept)]
    for steps in (200, 1500):
        for kernel in (GIVEN, PAIRS):
            more = sum(b[f"{steps}|{kernel}|1"] > b[f"{steps}|{BASE}|1"] for b in drawn)
            text = f"CD-1 is more biased with {kernel}, {steps} steps"
            yield text, f"{more} of {len(drawn)} draws", more == len(drawn)
    late = [r["bias"] for key, r in kept.records.items() if key.startswith("late bias|")]
    text = "bias of CD-5 by the collapsed Gibbs scan, 200 steps: below 5e-6"
    yield text, f"{np.median(late):.1e}, {min(late):.1e} to {max(late):.1e}", max(late) < 5e-6
    kl = [r["kl"] for r in _drawn(kept)]
    text = "KL divergence after 1,500 steps: 0.157 nats"
    yield text, f"{np.median(kl):.3f}, {min(kl):.3f} to {max(kl):.3f}", min(kl) < 0.157 < max(kl)


def _of_lifting(kept: Kept) -> Iterator[Row]:
    for scale in SEEDS:
        t = kept.records[f"exact|{scale:g}"]["times"]
        (pairs, lit), (plain, flips) = t["lifted on the sum"], t["random flips, each step"]
        wanted = LIFTED.get(scale, (lit, flips))
        quoted = f", {wanted[0]:.2f} against {wanted[1]:.2f}" if scale in LIFTED else ""
        ours = f"{lit:.2f} against {flips:.2f}; pairs {pairs:.3g} against {plain:.3g}"
        fits = lit < flips and pairs > plain and np.allclose((lit, flips), wanted, atol=0.006)
        yield f"lifting speeds up its sum alone, weights {scale:g}{quoted}", ours, fits


def _of_tempering(kept: Kept) -> Iterator[Row]:
    for name, wanted in TEMPERING.items():
        runs = kept.records[f"tempering|{name}"]["runs"]
        plain, r = runs[BASE], runs["parallel tempering"]
        times = kept.records[f"leading|{name}"]["times"]
        off = abs(r["time"] - wanted[1]) / (r["error"] * 10**0.5)
        ours = f"{r['time']:.3g} ± {r['error']:.2g}, {off:.1f} errors of a single run off"
        yield f"parallel tempering, {name}: {wanted[1]:g} sweeps", ours, off < 3
        text = f"distance of the histogram, {name}: {wanted[2]} without it, {wanted[3]} with it"
        far = [abs(run["distance"] - at) / run["distance_error"] / 10**0.5
               for run, at in zip((plain, r), wanted[2:], strict=True)]  # fmt: skip
        both = f"{plain['distance']:.3f} and {r['distance']:.3f}"
        ours = f"{both}, {far[0]:.1f} and {far[1]:.1f} errors of a single run off"
        yield f"{text}, below 0.05", ours, max(far) < 3 and r["distance"] < 0.05
        best = min(KERNELS, key=lambda kernel, t=times: t[kernel])
        ours = (
            f"{times[BASE]:.4g} sweeps of block Gibbs, {times[best]:.3g} of {best}, {r['time']:.3g}"
        )
        text = f"it beats all kernels by an order of magnitude, {name}"
        yield text, f"{ours} of 8 replicas", times[best] > 10 * r["time"]
