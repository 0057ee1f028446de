"""Count the library's own files and functions that run behind one public call.

    python tools/hops.py                 # every call below, as a table
    python tools/hops.py svd --list      # which files, with the functions that ran in each

A function counts once, however often it runs; lambdas and comprehensions count, module bodies do
not.
Imports are done before counting: each call is made once, and counted the second time.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import tempfile
import threading
import warnings
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import torch
from torch import nn

import nakami

OWN = Path(nakami.__file__).parent


def _net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 100), nn.Tanh(), nn.Linear(100, 10))


def make_net() -> nn.Module:
    """The network that ``nakami lr`` builds."""
    return _net()


def svd() -> Callable[[], object]:
    """Twelve values of a stored matrix, by Krylov steps."""
    matrix = torch.randn(300, 400, generator=torch.Generator().manual_seed(0))
    return lambda: nakami.svd(matrix, k=12, method="krylov")


def fisher() -> Callable[[], object]:
    """A Fisher matrix, built, times one vector."""
    net, data = _net(), _data()
    v = torch.randn(sum(p.numel() for p in net.parameters()))
    return lambda: nakami.fisher(net, data, "cross_entropy") @ v


def xray() -> Callable[[], object]:
    """Two inputs, two stages, twelve values."""
    net, (x, _) = _net(), _data()
    return lambda: nakami.xray(net, x[:2], stages=["1", "3"], k=10)


def learning_rate() -> Callable[[], object]:
    """Advice for Adam."""
    net, data = _net(), _data()
    return lambda: nakami.learning_rate(net, data, "cross_entropy", "adam")


def rate_limit() -> Callable[[], object]:
    """The limit of Adam."""
    net, data = _net(), _data()
    return lambda: nakami.rate_limit(net, data, "cross_entropy", "adam")


def lr() -> Callable[[], object]:
    """``nakami lr`` for a network of the user's, with its page."""
    from nakami.cli import main

    folder = Path(tempfile.mkdtemp())
    x, y = _data()
    import numpy as np

    np.savez(folder / "data.npz", x=x.numpy(), y=y.numpy())
    runs = iter(range(1000))

    def call() -> None:
        out = folder / str(next(runs))
        words = f"lr --model {__file__}:make_net --data {folder / 'data.npz'} --out {out}".split()
        old, sys.argv = sys.argv, ["nakami", *words]
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                main()
        except SystemExit as end:
            if end.code:
                raise
        finally:
            sys.argv = old

    return call


CALLS = {
    "svd": svd,
    "fisher @ v": fisher,
    "xray": xray,
    "learning_rate": learning_rate,
    "rate_limit": rate_limit,
    "nakami lr": lr,
}


def _data() -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.rand(64, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    return x, torch.arange(64) % 10


def executed(call: Callable[[], object]) -> dict[str, set[str]]:
    """The functions of the library that ``call`` runs, by file."""
    ran: dict[str, set[str]] = defaultdict(set)

    def see(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(str(OWN)) and code.co_name != "<module>":
            name = f"{code.co_qualname}:{code.co_firstlineno}"
            ran[str(Path(code.co_filename).relative_to(OWN))].add(name)

    threading.setprofile(see)
    sys.setprofile(see)
    try:
        call()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return ran


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("calls", nargs="*", metavar="CALL", help=f"of: {', '.join(CALLS)}")
    parser.add_argument("--list", action="store_true", help="name the files and functions")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    print("call            files  functions")
    for name in asked.calls or CALLS:
        call = CALLS[name]()
        call()
        ran = executed(call)
        print(f"{name:<15} {len(ran):>5} {sum(map(len, ran.values())):>10}")
        if asked.list:
            for file in sorted(ran):
                print(f"    {file}: {', '.join(sorted(ran[file]))}")


if __name__ == "__main__":
    main()
