"""The questions of sources 000 and 002, asked of trained transformers.

Nobody has published the answers. The questions, each with its rule chosen before the first run:

* Does the spectrum become steeper with depth? s10/s1 falls from each block to the next.
* Are directions of large values local? The first vector covers less than the last (figure 4).
* Do steps along the top change the output more than along the last and random directions?
* Does the spectrum of the last block shrink under noise? 95 % interval of the paired change.
* Do inputs of one class share their leading directions? Interval of the difference of overlaps.

The networks: a ViT of 4 blocks for Fashion-MNIST (87.9 % right, trained here; pixels to the state
of all 50 tokens, 784 values); stories260K, a Llama of 5 blocks (32 tokens that it wrote itself;
embeddings to the state of the last token, 64 values); paraphrase-MiniLM-L3, a BERT of 3 blocks
(sentences of the Stanford Sentiment Treebank; embeddings to the mean state, 384 values; it decides
nothing). 16 inputs each; beside them the same networks untrained. Areas in pixels, or in tokens.

19 CPU minutes on one thread.

    python reproductions/transformer_xray.py              all; goes on where it was stopped
    python reproductions/transformer_xray.py --inputs 2   fewer inputs

Data: ``$NAKAMI_DATA/transformer-weights``, ``fashion-mnist``, ``sst`` (DATA.md). Runs lie in
``nakami-out``.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from _imagenet import progress, root
from _lens_nets import Clothes, pictures, sentences
from _shared import kept, made_in
from _stories import FOLDER, Stories, stories
from source_000_perturbation import summed, table
from source_002_figure4 import mean_se, spread
from torch import nn

import nakami
from nakami import dynamics
from nakami.results import Xray, plain

HERE = Path(__file__).parent
OUT = HERE / "results" / "transformer_xray"
INPUTS, SEED, STEPS = 16, 0, 32
NOISE = {"gaussian": (0.1, 0.3, 1.0)}


@dataclass(frozen=True)
class Net:
    """A network, how it is read, and whether it decides.

    Attributes:
        read: The trained one with ``n`` inputs. fresh: The same, untrained.
        stages: Where. positions: Of the stages. area: What areas are counted in.
    """

    read: Callable[[Path, int], tuple[nn.Module, Any]]
    fresh: Callable[[nn.Module], nn.Module]
    stages: tuple[str, ...]
    positions: str
    area: str
    decides: bool = True


def written(folder: Path, n: int) -> tuple[nn.Module, Any]:
    """The Llama, and stories of its own."""
    model, _ = stories(folder)
    return model, model.write(n, STEPS, SEED)


NETS = {
    "vit": Net(
        pictures, lambda _: Clothes(), ("encoder.layers.?", "output"), "all", "pixels of 784"
    ),
    "stories260K": Net(
        written, lambda _: Stories(), ("layers.?", "output"), "last", f"tokens of {STEPS}"
    ),
    "MiniLM-L3": Net(
        sentences, lambda m: type(m)(m.config, add_pooling_layer=False), ("encoder.layer.?",),
        "mean", "tokens", decides=False,
    ),
}  # fmt: skip


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--inputs", type=int, default=INPUTS)
    n = arguments.parse_args().inputs
    folder = root(FOLDER, "fashion-mnist", "sst")
    OUT.mkdir(parents=True, exist_ok=True)
    cpu = time.process_time()
    for name, net in NETS.items():
        model, inputs = net.read(folder, n)
        body = _measured(name, net, model, inputs)
        with torch.random.fork_rng():
            torch.manual_seed(SEED)
            fresh = net.fresh(model).eval()
        body["untrained"] = _spectra(_xrayed(f"{name}-untrained", net, fresh, inputs))
        text = json.dumps(plain(body)) + "\n"
        (OUT / f"{name}.json").write_text(text, encoding="utf-8")
    text = "\n".join([*report(), made_in(time.process_time() - cpu), ""])
    (HERE / "results" / "transformer_xray.md").write_text(text, encoding="utf-8")


def _xrayed(name: str, net: Net, model: nn.Module, inputs: Any) -> Xray:
    view = nakami.View(model, positions=net.positions)
    n = len(next(iter(inputs.values()))) if isinstance(inputs, dict) else len(inputs)
    return nakami.xray(
        view, inputs, net.stages, None, HERE.parent / "nakami-out" / f"transformer-{name}-{n}",
        spectrum=dynamics.SpectrumOptions(seed=SEED), about={"subject": name},
        progress=progress(name),
    )  # fmt: skip


def _measured(name: str, net: Net, model: nn.Module, inputs: Any) -> dict[str, Any]:
    run = _xrayed(name, net, model, inputs)
    view, said = nakami.View(model, positions=net.positions), progress(name)
    body: dict[str, Any] = {"trained": _spectra(run)}
    block = [stage for stage in run.names if stage != "output"]
    noisy = dynamics.noise(
        view, inputs, run, NOISE, stages=[block[0], block[-1]], seed=SEED, progress=said
    )
    clean = {stage: noisy.spectrum(stage) for stage in noisy.stages}
    body["noise"] = [{**row, "clean": float(clean[row["stage"]].mean())} for row in noisy.rows()]
    steps = dynamics.perturbation(view, inputs, run, seed=SEED, progress=said)
    body["perturbation"] = {**summed(steps), "decides": net.decides}
    if net.decides:
        lines = dynamics.subspaces(view, inputs, run, stages=block, seed=SEED, progress=said)
        body["subspaces"] = {"dimension": lines.dimension, "stages": _shared(lines)}
    return body


def _spectra(run: Xray) -> dict[str, Any]:
    """By stage: the steepness, and what the claim of locality says."""
    found = {}
    for stage in run.names:
        spectra = run.at(stage)
        local = run.locality(stage)
        steep = [float(s.values[9] / s.values[0]) for s in spectra if len(s.values) > 9]
        body: dict[str, Any] = {"s1": mean_se(run.summary()[run.names.index(stage)].largest)}
        body["steep"] = steep
        if local is not None:
            body |= {"first": mean_se(local.first), "last": mean_se(local.last)}
            body |= {"holds": local.holds, "n": local.n, "interval": local.interval}
            body["correlation"] = mean_se(local.correlation)
        found[stage] = body
    return found


def _shared(lines: Any) -> dict[str, Any]:
    found = {}
    for stage in lines.stages:
        over, kept = lines.between(stage), lines.kept(stage)
        found[stage] = {
            "chance": over.chance,
            "same": (over.same.mean, over.same.se, over.same.pairs),
            "different": (over.different.mean, over.different.se, over.different.pairs),
            "verdict": over.verdict,
            "kept_same": (kept.same.mean, kept.same.se),
            "kept_different": (kept.different.mean, kept.different.se),
            "kept_verdict": kept.verdict,
        }
    return found


def report() -> Iterator[str]:
    """A section for each network."""
    yield "# The questions of the sources, asked of trained transformers"
    yield ""
    yield (
        "Means ± s.e. over inputs. Area: participation ratio of the energy of a right singular "
        "vector. Holds: inputs whose first vector covers less than the last above the floor, with "
        "the 95 % interval of the share (Wilson). Steeper: inputs where s10/s1 is lower than at "
        "the block before."
    )
    for name, net in NETS.items():
        body = kept(OUT / f"{name}.json")
        yield from ("", f"## {name}", "", "### Spectra and locality", "")
        yield from _spectra_table(body, net)
        yield from ("", "### Steps", "", *table(body["perturbation"]))
        yield from ("", "### Noise", "", *_noise_table(body["noise"], net.decides))
        if "subspaces" in body:
            yield from ("", "### Leading directions of pairs of inputs", "")
            yield from _subspaces_table(body["subspaces"])
    yield ""


def _spectra_table(body: dict[str, Any], net: Net) -> Iterator[str]:
    yield (
        f"| weights | stage | s1 | s10/s1 | steeper | first area, {net.area} | last area "
        "| holds | rank correlation |"
    )
    yield "|" + " --- |" * 9
    for weights in ("trained", "untrained"):
        before: list[float] = []
        for stage, row in body[weights].items():
            steep = row["steep"]
            cells = [weights, stage, spread(row["s1"], 1, 3), "", ""]
            if steep:
                cells[3] = f"{sum(steep) / len(steep):.3f}"
            if before and steep:
                falls = sum(a < b for a, b in zip(steep, before, strict=True))
                cells[4] = f"{falls} of {len(steep)}"
            before = steep
            if "first" in row:
                low, high = (100 * end for end in row["interval"])
                cells += [spread(row["first"], 1, 1), spread(row["last"], 1, 1)]
                cells += [f"{row['holds']} of {row['n']} ({low:.0f} to {high:.0f} %)"]
                cells += [spread(row["correlation"], 1, 2)]
            else:
                cells += [""] * 4
            yield "| " + " | ".join(cells) + " |"


def _noise_table(rows: list[dict[str, Any]], decides: bool) -> Iterator[str]:
    head = ["sd", "stage", "mean of the values", "verdict"] + ["decisions kept"] * decides
    yield "| " + " | ".join(head) + " |"
    yield "|" + " --- |" * len(head)
    for row in rows:
        change = spread((row["mean"], row["mean_se"]), 100 / row["clean"], 1)
        cells = [f"{row['level']:g}", row["stage"], f"{change} %", row["verdict"]]
        if decides:
            cells.append(f"{100 * row['agreement']:.0f} %")
        yield "| " + " | ".join(cells) + " |"


def _subspaces_table(body: dict[str, Any]) -> Iterator[str]:
    yield (
        f"{body['dimension']} leading directions; classes are the network's own decisions. "
        "Overlap: mean squared cosine of the principal angles. Kept: share of the difference of "
        "two inputs."
    )
    yield ""
    head = ["stage", "overlap: same", "different", "chance", "same is", "kept: same"]
    yield "| " + " | ".join([*head, "different", "same is"]) + " |"
    yield "|" + " --- |" * 8
    for stage, row in body["stages"].items():
        cells = [stage]
        for which in ("same", "different"):
            cells.append(f"{spread(row[which][:2], 1, 3)} ({row[which][2]} pairs)")
        cells += [f"{row['chance']:.3f}", row["verdict"]]
        cells += [spread(row[f"kept_{which}"], 1, 3) for which in ("same", "different")]
        yield "| " + " | ".join([*cells, row["kept_verdict"]]) + " |"


if __name__ == "__main__":
    main()
