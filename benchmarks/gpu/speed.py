"""What products, spectra, x-rays and steps cost on the card, and which share of its peak they use.

The peak is measured: a large matrix product in the same arithmetic, and a copy. Work is counted in
flops of linear steps by torch's own counter: ``J v`` and ``J^T u`` are each as much as one forward
pass. All in float32 with TF32 off, unless the name says otherwise.
"""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import nakami
from nakami import optim, zoo

from . import language, machine
from .units import SPEED, Found, Setting, Unit

STAGES = {"alexnet-features": "features.relu5", "squeezenet": "output"}
WIDTHS, VALUES = (1, 8, 32, 128), (50, 200)
PICTURES, ALL_VALUES = 16, 500
TOKENS = 128
GIB = 2**30


def budget(setting: Setting, share: float = 0.5) -> int:
    """Bytes that a method may hold: a share of what the card has free; 1 GiB elsewhere."""
    return int(share * torch.cuda.mem_get_info()[0]) if setting.on_card else GIB


def peak(setting: Setting, found: Found, *, how: str) -> None:
    """A square matrix product, in TFLOP/s; with float32 also a copy, in GB/s read and written."""
    n = 256 if setting.small else 8192
    with machine.arithmetic(how, setting.device) as dtype:
        a = torch.randn(n, n, device=setting.device, dtype=dtype)
        b = torch.randn(n, n, device=setting.device, dtype=dtype)
        seconds = machine.seconds_of(setting, lambda: a @ b)
        found.numbers["tflops"] = 2 * n**3 / seconds / 1e12
        if how == "float32":
            whole = torch.empty(n * n * (1 if setting.small else 16), device=setting.device)
            other = torch.empty_like(whole)
            seconds = machine.seconds_of(setting, lambda: other.copy_(whole))
            found.numbers["gb_per_s"] = 2 * whole.numel() * 4 / seconds / 1e9


def network(
    setting: Setting, name: str, n: int = 1, first: int = 0
) -> tuple[nn.Module, Tensor, str]:
    """A network of the zoo, ``n`` pictures and what they are; real ones where $NAKAMI_DATA is."""
    model, size, said = zoo.build(name), 64 if setting.small else 224, "weights and pictures drawn"
    gen = torch.Generator().manual_seed(first)
    x = torch.randn(n, 3, size, size, generator=gen)
    folder = Path(os.environ.get("NAKAMI_DATA", "/nowhere"))
    files = {
        "alexnet-features": folder / "imagenet-weights/alexnet_features.safetensors",
        "squeezenet": folder / "imagenet-weights/squeezenet1_1.safetensors",
    }
    if not setting.small and files[name].is_file():
        from nakami import data

        data.load_weights(model, files[name])
        x = data.read(folder / "imagenet-samples/images", n=first + n).inputs[first : first + n]
        said = "trained weights, pictures of ImageNet"
    return model.to(setting.device), x.to(setting.device), said


def flops_of(work: Any) -> int:
    """Flops of the linear steps of a call."""
    with FlopCounterMode(display=False) as counter:
        work()
    return int(counter.get_total_flops())


def products(setting: Setting, found: Found, *, name: str) -> None:
    """Blocks of ``J v`` and ``J^T u`` beside a forward pass of as many pictures."""
    model, x, found.notes["of"] = network(setting, name)
    with machine.arithmetic("float32", setting.device), torch.no_grad():
        op = nakami.jacobian(model, x, to=STAGES[name], memory_budget=budget(setting))
        found.notes["route"] = op.route
        flops = _flops(model, x, STAGES[name])
        for width in WIDTHS[:2] if setting.small else WIDTHS:
            v = torch.randn(op.shape[1], width, device=setting.device)
            u = torch.randn(op.shape[0], width, device=setting.device)
            many = x.expand(width, *x.shape[1:]).contiguous()
            took = {
                "pass": machine.seconds_of(setting, partial(model, many)),
                "jv": machine.seconds_of(setting, lambda v=v: op @ v),
                "jtu": machine.seconds_of(setting, lambda u=u: op.T @ u),
            }
            for what, seconds in took.items():
                found.numbers[f"{what}_{width}_ms"] = 1e3 * seconds / width
            for what in ("jv", "jtu"):
                found.numbers[f"{what}_{width}_tflops"] = flops * width / took[what] / 1e12


def _flops(model: nn.Module, x: Tensor, stage: str) -> int:
    """Flops of one pass up to a stage."""
    if stage == "output":
        return flops_of(lambda: model(x))
    *outer, last = stage.split(".")
    inner = model.get_submodule(".".join(outer))
    names = list(dict(inner.named_children()))
    part = nn.Sequential(*list(inner.children())[: names.index(last) + 1])
    return flops_of(lambda: part(x))


def spectrum(setting: Setting, found: Found, *, name: str, k: int) -> None:
    """The largest singular values, building included, with vectors."""
    model, x, found.notes["of"] = network(setting, name)
    k = min(k, 5) if setting.small else k
    with machine.arithmetic("float32", setting.device):
        began = time.perf_counter()
        op = nakami.jacobian(model, x, to=STAGES[name], memory_budget=budget(setting, 0.2))
        machine.settle(setting)
        built = time.perf_counter() - began
        run = nakami.svd(op, k, memory_budget=budget(setting))
        machine.settle(setting)
        took = time.perf_counter() - began
        flops = _flops(model, x, STAGES[name])
    found.holds("converged", run.converged)
    found.notes |= {"route": op.route, "method": str(run.settings.get("method", ""))}
    found.numbers |= {
        "k": k, "seconds": took, "building_seconds": built, "products": run.n_products,
        "tflops": flops * run.n_products / (took - built) / 1e12,
        "largest": float(run.values[0]), "last": float(run.values[-1]),
    }  # fmt: skip


def picture(setting: Setting, found: Found, *, name: str, place: int) -> None:
    """One picture, the stages that an x-ray takes by itself, up to 500 values each."""
    model, x, found.notes["of"] = network(setting, name, first=place)
    k = 4 if setting.small else ALL_VALUES
    stages = nakami.stages(model, x).auto
    took = total = 0.0
    with machine.arithmetic("float32", setting.device):
        for stage in stages[-2:] if setting.small else stages:
            began = time.perf_counter()
            op = nakami.jacobian(model, x, to=stage, memory_budget=budget(setting, 0.2))
            run = nakami.svd(op, min(k, *op.shape), memory_budget=budget(setting))
            machine.settle(setting)
            took += time.perf_counter() - began
            total += run.n_products
            found.holds(f"converged, {stage}", run.converged)
    found.numbers |= {"stages": len(stages), "k": k, "seconds": took, "products": total}


def largest_eigenvalue(setting: Setting, found: Found, *, name: str) -> None:
    """``lambda_max`` of the generalised Gauss-Newton matrix on two sequences, to 1e-2."""
    model, data = _language(setting, name)
    n = sum(p.numel() for p in model.parameters())
    with machine.arithmetic("float32", setting.device):
        flops = flops_of(lambda: model(data[0]))
        began = time.perf_counter()
        ggn = nakami.ggn(model, data, "cross_entropy", memory_budget=budget(setting, 0.2))
        run = nakami.eigh(ggn, 1, 1e-2, memory_budget=budget(setting))
        machine.settle(setting)
        took = time.perf_counter() - began
    found.holds("converged", run.converged)
    found.notes["route"] = ggn.route
    found.numbers |= {
        "parameters": n, "seconds": took, "products": run.n_products,
        "lambda_max": float(run.values[0]),
        # J v is a pass through states and one through weights, and so is J^T u
        "tflops": 4 * flops * run.n_products / took / 1e12,
    }  # fmt: skip


def two_blocks(setting: Setting, found: Found, *, name: str) -> None:
    """50 values of the Jacobian from one block's output through the next two."""
    model, (tokens, _) = _language(setting, name)
    k = 4 if setting.small else 50
    last = len(model.blocks) - 1
    start, to = (f"blocks.{max(0, last // 2 + add)}" for add in (0, 2))
    if last < 3:
        start, to = "blocks.0", "blocks.1"
    with machine.arithmetic("float32", setting.device):
        began = time.perf_counter()
        one = tokens[:1]
        op = nakami.jacobian(model, one, to=to, start=start, memory_budget=budget(setting, 0.2))
        run = nakami.svd(op, k, memory_budget=budget(setting))
        machine.settle(setting)
        took = time.perf_counter() - began
    found.holds("converged", run.converged)
    found.notes |= {"route": op.route, "from": f"{start} to {to}"}
    found.numbers |= {
        "side": op.shape[1], "k": k, "seconds": took, "products": run.n_products,
        "largest": float(run.values[0]),
    }  # fmt: skip


def _language(setting: Setting, name: str) -> tuple[language.Language, tuple[Tensor, Tensor]]:
    model = language.build(name, setting.device, setting.small)
    words = model.embed.num_embeddings
    gen = torch.Generator().manual_seed(1)
    both = torch.randint(words, (2, 2, 24 if setting.small else TOKENS), generator=gen)
    return model, (both[0].to(setting.device), both[1].to(setting.device))


def optimizer_step(setting: Setting, found: Found, *, name: str) -> None:
    """A step of SDProp beside torch's AdamW on the weights of a language model."""
    makes = {
        "sdprop": lambda p: optim.SDProp(p, 1e-4),
        "adamw_foreach": lambda p: torch.optim.AdamW(p, 1e-4, foreach=True),
        "adamw_fused": lambda p: torch.optim.AdamW(p, 1e-4, fused=True),
    }
    for what, make in makes.items():
        model = language.build(name, setting.device, setting.small)
        for weight in model.parameters():
            weight.grad = torch.randn_like(weight)
        step = make(list(model.parameters())).step
        found.numbers[f"{what}_ms"] = 1e3 * machine.seconds_of(setting, step)
    found.numbers["parameters"] = sum(p.numel() for p in model.parameters())


def _unit(name: str, run: Any, seconds: float = 120.0) -> Unit:
    return Unit(name, run, seconds, SPEED)


UNITS = [
    *(_unit(f"peak/{how}", partial(peak, how=how)) for how in ("float32", "tf32", "bfloat16")),
    *(_unit(f"products/{name}", partial(products, name=name)) for name in STAGES),
    *(
        _unit(f"spectra/{name}/{k}", partial(spectrum, name=name, k=k))
        for name in STAGES
        for k in VALUES
    ),
    *(
        _unit(f"lambda-max/{name}", partial(largest_eigenvalue, name=name), 240)
        for name in language.SHAPES
    ),
    *(_unit(f"blocks/{name}", partial(two_blocks, name=name)) for name in language.SHAPES),
    _unit("step/gpt2-124m", partial(optimizer_step, name="gpt2-124m")),
    *(
        _unit(f"pictures/{name}/{place:02}", partial(picture, name=name, place=place), 240)
        for name in STAGES
        for place in range(PICTURES)
    ),
]
