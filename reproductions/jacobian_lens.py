"""The Jacobian lens of a small trained Llama, with the errors that published lenses lack.

The lens of layer l is the mean over prompts and positions of d h_final / d h_l (Gurnee et al. 2026;
code of Anthropic and of TransformerLens 4.3). Read here for stories260K (5 layers, width 64) on
texts that it wrote itself, 64 tokens each:

* 48 texts: identity share, largest singular value beside that of single texts, effective ranks,
  each with its standard error;
* the same by a plain autograd loop of one-hot cotangents: largest difference, and CPU seconds;
* thirty samples of 48 other texts: the scatter of these numbers beside the standard errors;
* the words that the leading directions write;
* two networks that other lenses do not read: a ViT at 48 pictures, a BERT at 48 padded sentences;
* of all three the averaged detached Jacobian (Golden 2025) beside the averaged Jacobian.

Positions 8 to 62 count; published lenses leave out 16, and the last.

    python reproductions/jacobian_lens.py     goes on

Measured, one thread: 8 minutes. The BERT needs transformers and is left out without. Data: DATA.md.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import nakami
from nakami.results import Jackknifed, Lens

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from _lens_detached import detached, lines  # noqa: E402
from _lens_nets import pictures, sentences  # noqa: E402
from _shared import made_in  # noqa: E402
from _stories import Stories, stories  # noqa: E402
from _wide import Kept, digits, table  # noqa: E402

OUT = HERE / "results" / "jacobian_lens"
TEXTS, TOKENS, SAMPLES, HERE_COUNTS = 48, 64, 30, slice(8, -1)
STAGES = [f"layers.{i}" for i in range(4)]
NUMBERS = ("identity", "identity_share", "agreement", "entropy_rank", "entropy_rank_beyond")
NETS = {"vit": pictures, "bert": sentences}
TITLES = {
    "vit": "a ViT trained on Fashion-MNIST, at test pictures",
    "bert": "paraphrase-MiniLM-L3, a BERT, at sentences of the Stanford Sentiment Treebank",
}
DETACHED = {
    "detached": "stories260K",
    "detached vit": "The ViT",
    "detached bert": "The BERT",
}
MORE = ("participation", "participation_beyond", "norm")


def main(argv: list[str] | None = None) -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args(argv)
    torch.set_num_threads(1)
    root = Path(os.environ.get("NAKAMI_DATA", HERE.parent / ".." / "shared" / "data"))
    if not root.is_dir():
        sys.exit(f"no data: {root} is needed; set NAKAMI_DATA to its folder.")
    model, pieces = stories(root)
    settings = {"texts": TEXTS, "tokens": TOKENS, "positions": [8, -1], "to": "layers.4"}
    kept = Kept(OUT.with_suffix(".json"), settings)
    samples = [f"sample {i}" for i in range(1, SAMPLES + 1)]
    for name in kept.missing(["lens", "loop", *NETS, *samples, *DETACHED]):
        started = time.process_time()
        try:
            record = read(name, root, model, pieces)
        except ImportError as missing:
            print(f"{name} left out: {missing}; pip install transformers")
            continue
        kept.add(name, {**record, "cpu": digits(time.process_time() - started, 3)})
        print(name, kept.records[name]["cpu"], flush=True)
    OUT.with_suffix(".md").write_text("\n".join(report(kept.records)), encoding="utf-8")


def read(name: str, root: Path, model: Stories, pieces: list[str]) -> dict[str, Any]:
    """One record."""
    if name in DETACHED:
        net = name.partition(" ")[2]
        if net:
            return detached(*NETS[net](root, TEXTS), "auto")
        texts = model.write(TEXTS, TOKENS, 0)
        return detached(model, texts, STAGES, positions=HERE_COUNTS)
    if name in NETS:
        found = nakami.lens(*NETS[name](root, TEXTS), "auto")
        assert isinstance(found, dict)
        return {"stages": {stage: numbers(one) for stage, one in found.items()}}
    texts = model.write(TEXTS, TOKENS, int(name.split()[1]) if name.startswith("sample") else 0)
    if name == "loop":
        return compared(model, texts)
    found = nakami.lens(model, texts, STAGES, positions=HERE_COUNTS)
    assert isinstance(found, dict)
    record: dict[str, Any] = {stage: numbers(one) for stage, one in found.items()}
    if name == "lens":
        record["words"] = {s: words(one, model, pieces) for s, one in found.items()}
    return record


def numbers(found: Lens) -> dict[str, Any]:
    """What is said of one lens, each number with its error."""
    kept = {name: getattr(found, name) for name in (*NUMBERS, *MORE)}
    return {
        **{name: [digits(x.value, 6), digits(x.se, 3)] for name, x in kept.items()},
        "largest": [digits(found.values[0], 6), digits(found.value_errors[0], 3)],
        "error": digits(found.error),
        "needed": found.prompts_for(0.05),
        "noise": digits(found.noise),
        "resolved": found.resolved,
        "check": digits(found.check, 2),
    }


def words(found: Lens, model: Stories, pieces: list[str]) -> list[list[str]]:
    """Five words at each end of the three leading directions; a piece is kept with its blank."""
    shown = found.words(model.unembedding[259:], pieces[259:], 5, n=3)
    return [[word for word, _ in end] for one in shown for end in (one.ahead, one.behind)]


def compared(model: Stories, texts: Tensor) -> dict[str, Any]:
    """The lens by a plain loop, and how far it is from ours."""
    started = time.process_time()
    plain = np.mean([by_loop(model, text) for text in texts], axis=0)
    cpu = time.process_time() - started
    found = nakami.lens(model, texts, STAGES, positions=HERE_COUNTS)
    assert isinstance(found, dict)
    ours = np.stack([one.mean for one in found.values()])
    gap = float(np.abs(ours - plain).max() / np.abs(plain).max())
    return {"gap": digits(gap, 2), "loop": digits(cpu, 3)}


def by_loop(model: Stories, text: Tensor, rows: int = 8) -> np.ndarray:
    """One text repeated ``rows`` times, one-hot cotangents where positions count."""
    states, counts = [], torch.arange(TOKENS)[HERE_COUNTS]
    with torch.no_grad():
        x = model.layers[0](model.embed_tokens(text.expand(rows, -1)))
    x.requires_grad_()
    for layer in [None, *list(model.layers)[1:]]:
        x = x if layer is None else layer(x)
        states.append(x)
    found = torch.zeros(len(STAGES), 64, 64)
    for first in range(0, 64, rows):
        one = torch.zeros_like(x)
        for row in range(rows):
            one[row, counts, first + row] = 1
        slopes = torch.autograd.grad(x, states[:-1], one, retain_graph=True)
        for at, slope in enumerate(slopes):
            found[at, first : first + rows] = slope[:, counts].mean(1)
    return found.double().numpy()


def report(records: Mapping[str, Any]) -> Iterator[str]:
    """Tables and words."""
    first, loop = records["lens"], records["loop"]
    yield "# The Jacobian lens of stories260K, with standard errors"
    yield ""
    yield f"{TEXTS} texts of {TOKENS} tokens that the net wrote. Error of J: root of the summed"
    yield "squared standard errors over the Frobenius norm. J - aI: without its part along I."
    yield ""
    yield from lenses({stage: first[stage] for stage in STAGES})
    yield ""
    worst = max(first[stage]["check"] for stage in STAGES)
    spread = 100 / (2 * SAMPLES - 2) ** 0.5
    yield "A plain loop of one-hot cotangents, 8 rows a pass, gives the same to"
    yield f"{loop['gap']:.1g} of the largest entry, in {loop['loop']:.3g} CPU seconds; nakami with"
    yield f"all errors takes {first['cpu']:.3g}. Self-check: at most {worst:.1g}."
    yield ""
    yield f"{SAMPLES} other samples of {TEXTS} texts: scatter of each number over its typical"
    yield f"standard error. It is 1 where errors are right; {SAMPLES} samples leave {spread:.0f} %."
    yield ""
    names = [*NUMBERS, "largest", "norm"]
    samples = [records[f"sample {i}"] for i in range(1, SAMPLES + 1)]
    rows = []
    for stage in STAGES:
        found = np.array([[s[stage][name] for name in names] for s in samples])
        ratio = found[:, :, 0].std(0, ddof=1) / np.sqrt((found[:, :, 1] ** 2).mean(0))
        rows.append([stage, *(f"{x:.2f}" for x in ratio)])
    yield from table(["layer", *(name.replace("_", " ") for name in names)], rows)
    yield ""
    yield "Words that the three leading directions write, both ends of each:"
    yield ""
    for stage in STAGES:
        ends = [", ".join(f"`{word}`" for word in end) for end in first["words"][stage]]
        pairs = "; ".join(f"{a} / {b}" for a, b in zip(ends[::2], ends[1::2], strict=True))
        yield f"* {stage}: {pairs}"
    yield ""
    for name in NETS:
        if name in records:
            yield f"The same of {TITLES[name]} ({TEXTS}, all positions but padding):"
            yield ""
            yield from lenses(records[name]["stages"])
            yield ""
    yield "The detached Jacobian beside the Jacobian (nakami.View(derivative='detached')): both"
    yield "averaged at the same inputs. Apart: norm of their difference over that of the Jacobian."
    yield "Pairs: Jacobian / detached Jacobian."
    yield ""
    yield from lines(records, DETACHED)
    yield made_in(sum(r["cpu"] for r in records.values()))


def lenses(found: Mapping[str, Any]) -> Iterator[str]:
    """A row for each stage."""
    rows = []
    for stage, r in found.items():
        single = r["largest"][0] / r["agreement"][0]
        rows.append([
            stage,
            f"{100 * r['error']:.1f} %",
            str(r["needed"]),
            _with(r["identity_share"]),
            f"{_with(r['largest'])} / {single:.2f}",
            _with(r["entropy_rank"]),
            _with(r["entropy_rank_beyond"]),
            _with(r["participation"]),
            _with(r["participation_beyond"]),
        ])  # fmt: skip
    head = ["layer", "error of J", "inputs for 5 %", "identity share", "s_1 of the mean / mean s_1"]
    ranks = ["entropy rank", "of J - aI", "participation", "of J - aI"]
    yield from table([*head, *ranks], rows)


def _with(pair: list[float]) -> str:
    return str(Jackknifed(*pair, bias=0.0))


if __name__ == "__main__":
    main()
