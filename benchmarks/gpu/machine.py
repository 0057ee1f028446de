"""The device: what it is called, when it is done, what it holds at most."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from .units import Setting


def described(setting: Setting) -> dict[str, Any]:
    """What results of one machine have in common (``same``), and what else is worth knowing."""
    same = {"device": setting.device, "torch": torch.__version__, "small": setting.small}
    about: dict[str, Any] = {"python": platform.python_version(), "system": platform.platform()}
    if setting.on_card:
        card = torch.cuda.get_device_properties(torch.device(setting.device))
        same["card"] = card.name
        about |= {
            "memory_bytes": card.total_memory,
            "multiprocessors": card.multi_processor_count,
            "capability": f"{card.major}.{card.minor}",
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
        }
    else:
        kept = "" if setting.device == "cpu" else f"{setting.device} on "
        same["card"] = f"{kept}{platform.machine()}, {torch.get_num_threads()} threads"
    return {"same": same, "about": about}


def settle(setting: Setting) -> None:
    """Wait until the device has done what it was asked."""
    if setting.on_card:
        torch.cuda.synchronize()


def sound(setting: Setting) -> bool:
    """Whether the device still computes: after some errors a process can use its card no more."""
    try:
        one = torch.ones(2, device=setting.device) + 1
        settle(setting)
        return float(one.sum()) == 4
    except Exception:
        return False


def forget_peak(setting: Setting) -> None:
    """Begin a new count of the peak memory."""
    if setting.on_card:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def peak_bytes(setting: Setting) -> int:
    """Most bytes held by tensors on the card since ``forget_peak``; of a CPU the process's peak."""
    if setting.on_card:
        return int(torch.cuda.max_memory_allocated())
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((1024 * int(li.split()[1]) for li in lines if li.startswith("VmHWM")), 0)


def seconds_of(setting: Setting, work: Callable[[], Any], repeats: int = 5) -> float:
    """Median wall time of ``work``, the device settled before and after; one warm-up first."""
    work()
    settle(setting)
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        settle(setting)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


ARITHMETICS = ("float64", "float32", "tf32", "bfloat16", "autocast")


@contextmanager
def arithmetic(name: str, device: str) -> Iterator[torch.dtype]:
    """The type of weights and inputs, with TF32 and autocast as the name says; put back after it.

    ``tf32``: float32, and the card may round the operands of products to 11 bits. ``autocast``:
    float32 under ``torch.autocast`` to bfloat16. All others: TF32 off.
    """
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = name == "tf32"
    types = {"float64": torch.float64, "bfloat16": torch.bfloat16}
    kind = "cuda" if device.startswith("cuda") else "cpu"
    try:
        with torch.autocast(kind, torch.bfloat16, enabled=name == "autocast"):
            yield types.get(name, torch.float32)
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before
