"""Do steps along kept directions disturb the output, along erased ones not? (source 000).

Claim (Y. Mototake's talk, reported in source 000): a small step of the input along a direction that
the network keeps (a large singular value) disturbs the output; along one that it throws away it
does not.

Theirs: "so it was", on a deep belief network and AlexNet, without a number. Ours: 16 of the
ImageNet sample pictures, the x-rays of ``source_002_figure4.py`` (500 values), steps of 0.1 % to
100 % of the picture's norm, each way, along two vectors at the top, in the middle and at the end of
the computed values and along four random directions. AlexNet's trunk is read after its last
convolution; SqueezeNet 1.1 and EfficientNet-lite0 at their logits, where decisions are counted.
Chosen before the first run: at each length the claim holds in a picture where steps along the top
change the output more than steps along the last vectors, and more than random ones.

The last of 500 values is not an erased direction. Most of all directions are: of 150,528 numbers at
most 1,000 are seen by 1,000 logits, so that a random direction is nearly all erased.

    python reproductions/source_000_perturbation.py              all; goes on where it was stopped
    python reproductions/source_000_perturbation.py --images 1   fewer pictures

CPU seconds of one picture, one thread, with its x-ray at hand: see ``GUESS``. Data as there. Runs
lie in ``nakami-out``; no picture is kept here.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from _imagenet import network, progress
from _shared import charts, kept, made_in
from source_002_figure4 import IMAGES, STAGES, trained

from nakami import dynamics
from nakami.results import Perturbation, plain, wilson

HERE = Path(__file__).parent
OUT = HERE / "results" / "source_000_perturbation"
GROUPS = ("top", "middle", "bottom", "random")
GUESS = {"alexnet-features": 9, "squeezenet": 17, "efficientnet-lite0": 27}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--images", type=int, default=IMAGES)
    n = arguments.parse_args().images
    print(f"about {n * sum(GUESS.values()) / 60:.0f} minutes beside the x-rays", flush=True)
    OUT.mkdir(parents=True, exist_ok=True)
    cpu = time.process_time()
    for name in STAGES:
        run, read = trained(name, n), network(name, n)
        found = dynamics.perturbation(
            read.model, read.examples.inputs, run, progress=progress(name)
        )
        (OUT / f"{name}.json").write_text(json.dumps(summed(found)) + "\n", encoding="utf-8")
    text = "\n".join([*report(), made_in(time.process_time() - cpu), ""])
    (HERE / "results" / "source_000_perturbation.md").write_text(text, encoding="utf-8")
    draw(HERE / "results" / "source_000_perturbation.svg")


def summed(found: Perturbation) -> dict[str, Any]:
    """For each group: by picture and length the change at the last stage, mean over directions."""
    last = found.arrays["change"][:, -1]
    own = {g: [i for i, of in enumerate(found.groups) if of == g] for g in GROUPS}
    body: dict[str, Any] = {"lengths": found.lengths, "decides": found.decides}
    for group, index in own.items():
        body[group] = {
            "change": [[float(f"{v:.4g}") for v in row] for row in last[:, index].mean(1)],
            "decided": found.arrays["decided"][:, index].mean(1),
            "radius": found.radius(group),
            "border": found.border(group) if found.decides else None,
        }
    whole: dict[str, Any] = plain(body)
    return whole


def report() -> Iterator[str]:
    """A table for each network: a row for each length."""
    yield "# Steps along singular directions (source 000, perturbation)"
    yield ""
    yield (
        "Change of the output by steps of the same length: along the two leading vectors (top) "
        "over the two last of 500 (last), and over random directions; median over pictures, and "
        "in how many pictures the top changes more, with the 95 % interval of the share (Wilson). "
        "Decisions changed: share of steps, both ways."
    )
    for name, stage in STAGES.items():
        body = kept(OUT / f"{name}.json")
        yield from ("", f"## {name}, {stage}, {len(body['top']['change'])} pictures", "")
        yield from table(body)
    yield ""
    yield "Theirs: a sentence. The differences: other networks, weights and pictures; the measures."
    yield ""


def table(body: dict[str, Any]) -> Iterator[str]:
    """Of one network: a row for each length, then how far the prediction and the decision hold."""
    change = {g: np.array(body[g]["change"]) for g in GROUPS}
    n = len(change["top"])
    head = ["length", "top / last", "holds", "top / random", "holds"]
    head += [f"decisions changed: {g}" for g in GROUPS] * body["decides"]
    yield "| " + " | ".join(head) + " |"
    yield "|" + " --- |" * len(head)
    for at, length in enumerate(body["lengths"]):
        cells = [f"{100 * length:g} %"]
        for other in ("bottom", "random"):
            ratio = change["top"][:, at] / change[other][:, at]
            holds = int((ratio > 1).sum())
            low, high = (100 * end for end in wilson(holds, n))
            cells += [f"{np.median(ratio):.3g}", f"{holds} of {n} ({low:.0f} to {high:.0f} %)"]
        if body["decides"]:
            shares = (np.array(body[g]["decided"])[:, at].mean() for g in GROUPS)
            cells += [f"{100 * share:.0f} %" for share in shares]
        yield "| " + " | ".join(cells) + " |"
    yield ""
    radius = ", ".join(f"{g} {_percent(body[g]['radius'])}" for g in GROUPS)
    yield f"The linear prediction holds within 10 % up to (median over inputs): {radius}."
    if body["decides"]:
        border = ", ".join(f"{g} {_percent(body[g]['border'])}" for g in GROUPS)
        yield f"The decision changes from (median): {border}."


def _percent(length: float | None) -> str:
    if length is None or np.isnan(length):
        return "not measurable"
    return f"{100 * length:.2g} %" if np.isfinite(length) else "nowhere up to 100 %"


def draw(path: Path) -> None:
    """Change by length for each group, over the change of random steps; median over pictures."""
    alt = charts()
    if alt is None:
        return
    rows = []
    for name in STAGES:
        body = kept(OUT / f"{name}.json")
        random = np.array(body["random"]["change"])
        for group in GROUPS[:-1]:
            ratio = np.array(body[group]["change"]) / random
            for at, length in enumerate(body["lengths"]):
                low, middle, high = np.quantile(ratio[:, at], (0.25, 0.5, 0.75))
                rows.append(
                    {
                        "network": name,
                        "direction": group,
                        "length": 100 * length,
                        "ratio": middle,
                        "low": low,
                        "high": high,
                    }
                )
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X("length:Q", title="step, % of the picture's norm", scale=alt.Scale(type="log")),
        color=alt.Color("direction:N", title=None, sort=list(GROUPS)),
    )
    title = "change over that of a random step"
    line = base.mark_line(point=True).encode(
        y=alt.Y("ratio:Q", title=title, scale=alt.Scale(type="log"))
    )
    bar = base.mark_rule().encode(y="low:Q", y2="high:Q")
    (bar + line).properties(width=240, height=240).facet("network:N").save(path)


if __name__ == "__main__":
    main()
