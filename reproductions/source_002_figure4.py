"""Are directions of large singular values local, of small ones spread? (source 002, figure 4).

Claim (Y. Mototake and T. Ikegami, JSAI 2015): the larger the singular value, the more local its
vector in the picture; the smaller, the wider it is spread.

Theirs: DeCAF's AlexNet, vectors of the largest and of the smallest of 500 computed values, shown as
pictures, without a number. Ours: the area of each right singular vector, the participation ratio of
its energy over pixels (channels added up); 16 of the ImageNet sample pictures, the 500 largest
values to 1e-3. AlexNet's trunk (torchvision's weights) after its last convolution, SqueezeNet 1.1
(8 bits) and EfficientNet-lite0 at their logits. As a control the same networks untrained, at 4 of
the pictures. Chosen before the first run: the claim holds in a picture where the first vector
covers less than the last.

    python reproductions/source_002_figure4.py              all; goes on where it was stopped
    python reproductions/source_002_figure4.py --images 1   fewer pictures

CPU seconds of one picture, one thread: see ``GUESS``. Data: ``$NAKAMI_DATA/imagenet-weights`` and
``$NAKAMI_DATA/imagenet-samples`` (DATA.md). Runs lie in ``nakami-out``, with a page that shows the
vectors; no picture is kept here.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from _imagenet import network, xrayed
from _shared import charts, kept, made_in

from nakami import report as pages
from nakami import zoo
from nakami.results import Estimate, Xray, plain

HERE = Path(__file__).parent
OUT = HERE / "results" / "source_002_figure4"
STAGES = {
    "alexnet-features": "features.relu5",
    "squeezenet": "output",
    "efficientnet-lite0": "output",
}
GUESS = {"alexnet-features": 49, "squeezenet": 44, "efficientnet-lite0": 75}
K, TOLERANCE, IMAGES, CONTROLS, SEED = 500, 1e-3, 16, 4, 0
SIDE = 224


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--images", type=int, default=IMAGES)
    n = arguments.parse_args().images
    many = n + min(n, CONTROLS)
    print(f"about {many * sum(GUESS.values()) / 60:.0f} minutes on one free core", flush=True)
    OUT.mkdir(parents=True, exist_ok=True)
    cpu = time.process_time()
    for name in STAGES:
        run = trained(name, n)
        pages.write(run, HERE.parent / "nakami-out" / f"figure4-{name}-{n}" / "report.html")
        keep(f"{name}", run)
    for name in STAGES:
        keep(f"{name}-untrained", untrained(name, min(n, CONTROLS)))
    text = "\n".join([*report(), made_in(time.process_time() - cpu), ""])
    (HERE / "results" / "source_002_figure4.md").write_text(text, encoding="utf-8")
    draw(HERE / "results" / "source_002_figure4.svg")


def trained(name: str, n: int) -> Xray:
    """The x-ray of a network with its published weights."""
    read = network(name, n)
    return xrayed(read, f"figure4-{name}-{n}", [STAGES[name]], K, TOLERANCE, SEED)


def untrained(name: str, n: int) -> Xray:
    """The same network as it begins, with the running statistics of one batch of pictures."""
    read = network(name, n)
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        model = zoo.build(name)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # one batch is the whole average
    with torch.no_grad():
        model.train()(read.examples.inputs)
    fresh = type(read)(f"{name}-untrained", model.eval(), read.examples, read.labels)
    return xrayed(fresh, f"figure4-{name}-untrained-{n}", [STAGES[name]], K, TOLERANCE, SEED)


def keep(name: str, run: Xray) -> None:
    """Numbers of one network: areas by index, and what the claim says of them."""
    stage = run.names[-1]
    spectra = run.at(stage)
    k = min(int(s.reliable.sum()) for s in spectra)
    areas = np.array([s.areas[:k] for s in spectra if s.areas is not None]) / SIDE**2
    found = run.locality(stage)
    if found is None:
        raise SystemExit(f"{name}: a spectrum did not converge; raise the budget in _imagenet.py")
    body = {
        "stage": stage,
        "inputs": len(spectra),
        "k": k,
        "values": [run.mean_sd(stage)[0][i] for i in (0, k // 2, k - 1)],
        "first": mean_se(found.first),
        "last": mean_se(found.last),
        "holds": found.holds,
        "interval": found.interval,
        "correlation": mean_se(found.correlation),
        "area_mean": areas.mean(0).round(5),
        "area_sd": areas.std(0, ddof=1).round(5) if len(areas) > 1 else np.zeros(k),
    }
    (OUT / f"{name}.json").write_text(json.dumps(plain(body)) + "\n", encoding="utf-8")


def mean_se(found: Estimate) -> tuple[float, float | None]:
    """A mean and its standard error, as JSON takes them."""
    return found.mean, found.se


def report() -> Iterator[str]:
    """One row for each network."""
    yield "# Areas of singular vectors (source 002, figure 4)"
    yield ""
    yield (
        f"Right singular vectors of the {K} largest values at most, from the pixels. Area: "
        "participation ratio of the energy over pixels, % of the picture, mean ± s.e. over "
        "pictures. Holds: pictures whose first vector covers less than the last computed one above "
        "the floor of the arithmetic, with the 95 % interval of the share (Wilson). Rank "
        "correlation (Spearman) of area and index, 1 where each vector covers more than the one "
        "before."
    )
    yield ""
    yield (
        "| network | stage | pictures | values: first, middle, last | first area "
        "| last area | holds | rank correlation |"
    )
    yield "|" + " --- |" * 8
    for name in (*STAGES, *(f"{each}-untrained" for each in STAGES)):
        body = kept(OUT / f"{name}.json")
        values = ", ".join(f"{v:.3g}" for v in body["values"])
        low, high = (100 * end for end in body["interval"])
        cells = [
            name,
            body["stage"],
            body["inputs"],
            f"{values} (k = {body['k']})",
            *(spread(body[end], 100 / SIDE**2, 1) + " %" for end in ("first", "last")),
            f"{body['holds']} of {body['inputs']} ({low:.0f} to {high:.0f} %)",
            spread(body["correlation"], 1, 2),
        ]
        yield "| " + " | ".join(map(str, cells)) + " |"
    yield ""
    yield "Theirs: pictures of two vectors without numbers. The differences: other weights and"
    yield "pictures, two more networks, the area as the measure of local and spread."
    yield ""


def spread(found: Sequence[float | None], unit: float, digits: int) -> str:
    """Both in a unit, with so many digits behind the point."""
    mean, se = found
    if mean is None:
        return "not known"
    tail = "" if se is None else f" ± {unit * se:.{digits}f}"
    return f"{unit * mean:.{digits}f}{tail}"


def draw(path: Path) -> None:
    """Area by index, a line for each network, trained and not."""
    alt = charts()
    if alt is None:
        return
    rows = []
    for name in STAGES:
        for kind in ("trained", "untrained"):
            body = kept(OUT / f"{name}{'-untrained' * (kind == 'untrained')}.json")
            for i, (mean, sd) in enumerate(
                zip(body["area_mean"], body["area_sd"], strict=True), start=1
            ):
                if i < 20 or i % 10 == 0:
                    ends = {"low": 100 * (mean - sd), "high": 100 * (mean + sd)}
                    rows.append(
                        {"network": name, "weights": kind, "index": i, "area": 100 * mean, **ends}
                    )
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X("index:Q", title="index of the singular value", scale=alt.Scale(type="log")),
        color=alt.Color("weights:N", title=None),
    )
    line = base.mark_line().encode(y=alt.Y("area:Q", title="area, % of the picture"))
    band = base.mark_area(opacity=0.15).encode(y="low:Q", y2="high:Q")
    (band + line).properties(width=240, height=240).facet("network:N").save(path)


if __name__ == "__main__":
    main()
