"""A card emulated on the CPU, for dry runs: it refuses to mix devices, and lacks a card's rules.

``start()`` compiles ``card.cpp`` with the machine's C++ compiler (a minute, once for each version
of PyTorch) and gives torch a device ``"emulated"``. It shows tensors on two devices and rules that
are missing; not speed, not rounding, not what CUDA itself does.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import types
from pathlib import Path

import torch

HERE = Path(__file__).resolve().parent
NAME = "emulated"
_kept: list[object] = []


def compiler() -> str | None:
    """The C++ compiler, or None."""
    return shutil.which(os.environ.get("CXX", "g++")) or shutil.which("c++")


def start(folder: Path) -> None:
    """Make the device known to this process; compiled into ``folder``, once."""
    if _kept:
        return
    torch.ops.load_library(str(_compiled(folder)))
    torch.utils.rename_privateuse1_backend(NAME)
    torch._register_device_module(NAME, _module())
    torch.utils.generate_methods_for_privateuse1_backend()
    from .kernels import register

    _kept.append(register())


def _compiled(folder: Path) -> Path:
    source = HERE / "card.cpp"
    digest = hashlib.sha256(source.read_bytes() + torch.__version__.encode()).hexdigest()[:12]
    library = folder / f"card-{digest}.so"
    if library.is_file():
        return library
    if (found := compiler()) is None:
        raise RuntimeError("the emulated card needs a C++ compiler, got none; set CXX")
    from torch.utils.cpp_extension import include_paths, library_paths

    folder.mkdir(parents=True, exist_ok=True)
    part = library.with_suffix(f".{os.getpid()}.part")
    command = [found, "-shared", "-fPIC", "-std=c++20", "-O1", str(source), "-o", str(part)]
    command += [f"-isystem{path}" for path in include_paths()]
    command += [f"-D_GLIBCXX_USE_CXX11_ABI={int(torch._C._GLIBCXX_USE_CXX11_ABI)}"]
    command += [f"-L{path}" for path in library_paths()] + ["-ltorch_cpu", "-lc10"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the emulated card could not be compiled: {done.stderr[:400]}")
    part.replace(library)
    return library


def _module() -> types.ModuleType:
    """What torch asks of a device's module."""
    module = types.ModuleType(f"torch.{NAME}")
    answers = {
        "is_available": lambda: True,
        "is_initialized": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "synchronize": lambda device=None: None,
        "manual_seed_all": lambda seed: None,
        "_is_in_bad_fork": lambda: False,
        "get_amp_supported_dtype": lambda: [torch.bfloat16],
    }
    for name, answer in answers.items():
        setattr(module, name, answer)
    return module
