"""Trace and largest eigenvalue of a language model's Fisher matrices, in gradients' time.

    python benchmarks/sampled_fisher.py [--only cost] [--repeats 3]

The model is transformers' GPT-2, 4 layers, 5,000 words, at its initial weights; the data are 4 x 64
random tokens. Each row is a process of its own on one thread and includes the building of the
operator; its unit is the CPU time of one gradient of the same batch there. Row by row (one backward
pass for each position) and the entries of the dual are what nakami did before it took probes. The
second table compares estimates with the trace of a dense root in float64, over many seeds.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import _side_by_side as side

VOCABULARY, TOKENS, SEQUENCES = 5000, 64, 4
SEEDS, FIXED = 300, 6  # a fixed number of probes beside those that rtol asks for
WAYS = {
    "trace, rtol 0.1": ("trace", {"rtol": 0.1}),
    "trace, rtol 0.01": ("trace", {"rtol": 0.01}),
    "trace, row by row": ("trace", {"method": "exact"}),
    "trace by products, rtol 0.1": ("products", {"rtol": 0.1}),
    "trace by products, rtol 0.01": ("products", {"rtol": 0.01}),
    "λ_max": ("largest", {}),
    "λ_max and trace, rtol 0.01": ("both", {"rtol": 0.01}),
    "λ_max by the entries of the dual": ("entries", {}),
}
DEAR = "λ_max by the entries of the dual"  # once: minutes
FEWER = ("trace, rtol 0.01", "trace, row by row", "λ_max", "λ_max and trace, rtol 0.01")
CASES = {
    (128, "sampled"): tuple(WAYS),
    (128, "empirical"): FEWER,
    (256, "sampled"): ("trace, rtol 0.1", *FEWER),
}


def language_model(layers: int, width: int, vocabulary: int, heads: int) -> Any:
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel, logging

    logging.set_verbosity_error()
    torch.manual_seed(0)
    sizes = {"n_layer": layers, "n_embd": width, "n_head": heads, "vocab_size": vocabulary}
    ends = {"bos_token_id": 0, "eos_token_id": 0}
    return GPT2LMHeadModel(GPT2Config(n_positions=2 * TOKENS, **sizes, **ends)).eval()


def text(vocabulary: int, tokens: int) -> tuple[Any, Any]:
    """Random tokens, and those that follow."""
    import torch

    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(0, vocabulary, (SEQUENCES, tokens + 1), generator=generator)
    return ids[:, :-1], ids[:, 1:]


def operator(kind: str, model: Any, data: Any) -> Any:
    import nakami

    if kind == "sampled":
        return nakami.fisher(model, data, "cross_entropy", samples=1)
    if kind == "empirical":
        return nakami.empirical_fisher(model, data, "cross_entropy")
    return nakami.fisher(model, data, "cross_entropy")


def gradient_seconds(model: Any, data: Any) -> float:
    import torch

    def gradient() -> None:
        z = model(data[0]).logits.flatten(0, 1)
        loss = torch.nn.functional.cross_entropy(z, data[1].flatten())
        torch.autograd.grad(loss, list(model.parameters()))

    return side.median([side.cpu_seconds(gradient)[0] for _ in range(9)])


def products_alone(op: Any) -> Any:
    """The same matrix without root or probes, as any other is read."""
    import torch

    from nakami.spectra import Preconditioned

    zeros = torch.zeros(op.shape[0])
    return Preconditioned(op, zeros + 1, zeros)


def ask(op: Any, what: str, options: dict[str, Any]) -> tuple[dict[str, float], Any]:
    """What was found: values, and the result that counts products and probes."""
    import nakami

    if what == "entries":
        found = nakami.eigh(op.kernel, 1, method="dense")
        return {"largest": float(found.values[0])}, found
    values, last = {}, None
    if what in ("largest", "both"):
        last = nakami.eigh(op, 1)
        values["largest"] = float(last.values[0])
    if what == "products":
        op, options = products_alone(op), {"method": "estimate", **options}
    if what != "largest":
        last = nakami.trace(op, **options)
        values["trace"], values["se"] = last.value, last.se
    return values, last


def cost(task: dict[str, Any]) -> dict[str, Any]:
    """One way to one reading: gradients' time, megabytes, values."""
    import torch

    side.warm_up()
    torch.set_num_threads(1)
    small = language_model(1, 16, 20, 2)
    for what in ("both", "products"):  # what is imported at the first call
        ask(operator(task["kind"], small, text(20, 8)), what, {})
    model = language_model(4, task["width"], VOCABULARY, 4)
    data = text(VOCABULARY, TOKENS)
    unit = gradient_seconds(model, data)
    what, options = WAYS[task["way"]]
    before = side.memory()
    seconds, (values, last) = side.cpu_seconds(
        lambda: ask(operator(task["kind"], model, data), what, dict(options))
    )
    extra = (side.peak_memory() - before) / 1e6
    found = {"unit_s": unit, "gradients": seconds / unit, "mb": extra, **values}
    return {**found, "probes": getattr(last, "n_probes", 0), "products": last.n_products}


def scatter(task: dict[str, Any]) -> dict[str, Any]:
    """Estimates of a small matrix over many seeds, beside its trace from a dense root."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    if task["kind"] == "many classes":
        model: Any = nn.Sequential(nn.Linear(20, 16), nn.Tanh(), nn.Linear(16, 40)).double()
        data: Any = torch.randn(30, 20, dtype=torch.float64), torch.randint(40, (30,))
    else:
        model, data = language_model(1, 16, 50, 2).double(), text(50, 40)
    op = operator(task["kind"], model, data)
    true = float(op.root.dense().square().sum())
    found = [estimate(op, task["rtol"], seed) for seed in range(SEEDS)]
    values = torch.tensor([f.value for f in found], dtype=torch.float64)
    errors = torch.tensor([f.se for f in found], dtype=torch.float64)
    spread = float(values.std())
    return {
        "bias": (float(values.mean()) - true) / (spread / SEEDS**0.5),
        "spread": spread / true,
        "stated": float(errors.square().mean().sqrt()) / true,
        "covered": float(((values - true).abs() <= 2 * errors).double().mean()),
        "probes": side.median([float(getattr(f, "n_probes", FIXED)) for f in found]),
    }


def estimate(op: Any, rtol: float, seed: int) -> Any:
    """The trace; by ``FIXED`` probes where ``rtol`` is 0."""
    import nakami

    if rtol:
        return nakami.trace(op, rtol, method="estimate", seed=seed)
    probes = op.trace_probes(seed)
    probes.add(FIXED)
    return probes


PARTS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {"cost": cost, "scatter": scatter}


def measured(part: str, repeats: int) -> list[dict[str, Any]]:
    rows = []
    if part == "scatter":
        for kind in ("sampled", "empirical", "many classes"):
            for rtol in (0, 0.2, 0.05):
                rows.append(side.apart(__file__, part=part, kind=kind, rtol=rtol))
        return rows
    for (width, kind), ways in CASES.items():
        for way in ways:
            task = {"part": part, "kind": kind, "width": width, "way": way}
            times = 1 if way == DEAR else repeats
            each = [side.apart(__file__, **task) for _ in range(times)]
            rows.append(side.middle(each, "gradients"))
    return rows


def tables(rows: list[dict[str, Any]]) -> str:
    heads = ["GPT-2, 4 layers", "gradients' time", "extra MB", "probes", "products", "λ_max", "tr"]
    lines = []
    for row in rows:
        if row["part"] != "cost":
            continue
        tr = f"{row['trace']:.5g}" if "trace" in row else ""
        lines.append(
            [
                f"width {row['width']}, {row['kind']}: {row['way']}",
                f"{row['gradients']:,.0f}",
                f"{row['mb']:.0f}",
                str(row["probes"] or ""),
                str(row["products"] or ""),
                f"{row['largest']:.4g}" if "largest" in row else "",
                f"{tr} ± {row['se']:.2g}" if row.get("se") else tr,
            ]
        )
    named = ["seeds, rtol", "probes", "bias / its error", "scatter", "stated", "within 2 se"]
    short = [
        [
            f"{row['kind']}, {row['rtol'] or 'fixed'}",
            f"{row['probes']:.0f}",
            f"{row['bias']:+.1f}",
            f"{row['spread']:.3f}",
            f"{row['stated']:.3f}",
            f"{row['covered']:.2f}",
        ]
        for row in rows
        if row["part"] == "scatter"
    ]
    return f"{side.table(heads, lines)}\n{side.table(named, short)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--child")
    parser.add_argument("--only", choices=list(PARTS))
    parser.add_argument("--repeats", type=int, default=1)
    said = parser.parse_args()
    if find_spec("transformers") is None:
        print("sampled_fisher: no transformers; pip install 'nakami[hf]'")
        return
    if said.child:
        task = json.loads(said.child)
        print(json.dumps(PARTS[task["part"]](task)))
        return
    file = side.RESULTS / "sampled_fisher.json"
    rows = [json.loads(line) for line in file.read_text().splitlines()[1:]] if file.exists() else []
    for part in [said.only] if said.only else list(PARTS):
        rows = [row for row in rows if row["part"] != part] + measured(part, said.repeats)
        side.keep("sampled_fisher", rows, tables(rows))


if __name__ == "__main__":
    main()
