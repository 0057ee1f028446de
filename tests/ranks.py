"""Processes of one gloo group, each beside the tests: none of them is the tests' own.

``torch.distributed`` may stop for good while it ends a group, with Python's lock held
(pytorch/pytorch issues 75097 and 190489). A process that does so is ended here, and the stack of
each of its threads is shown, where it would have stopped all tests.
"""

import faulthandler
import importlib
import os
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

HERE = Path(__file__).resolve().parent


def measured_by(call, size, folder, limit=90):
    """What ``call``, "module:function" of a module beside this one, returns on each rank.

    The function gets its rank, with the group made. ``limit`` is in seconds.
    """
    if not (dist.is_available() and dist.is_gloo_available()):
        pytest.skip("this torch has no gloo")
    import nakami

    # as the tests find it: a checkout beside an installed build is the one that is measured
    paths = [str(Path(nakami.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    surroundings = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    files = [folder / f"{rank}.pt" for rank in range(size)]
    logs = [folder / f"{rank}.txt" for rank in range(size)]
    others = []
    try:
        for rank, log in enumerate(logs):
            command = [
                sys.executable,
                __file__,
                call,
                str(rank),
                str(size),
                str(folder),
                str(limit),
            ]
            with log.open("w") as said:
                others.append(subprocess.Popen(command, env=surroundings, stderr=said))
        end = time.monotonic() + limit + 10
        while not all(file.exists() for file in files):
            ended = [other.poll() is not None for other in others]
            late = [e and not file.exists() for e, file in zip(ended, files, strict=True)]
            if any(late) or time.monotonic() > end:
                told = "\n".join(
                    f"rank {rank}:\n{log.read_text()}" for rank, log in enumerate(logs)
                )
                pytest.fail(f"not every rank of {call} came to its end\n{told}")
            time.sleep(0.05)
    finally:
        for other in others:
            other.kill()
            other.wait()
    return [torch.load(file, weights_only=False) for file in files]


def main(call, rank, size, folder, limit):
    faulthandler.dump_traceback_later(limit, exit=True)
    sys.path.insert(0, str(HERE))
    module, function = call.split(":")
    store = dist.FileStore(str(folder / "store"), size)
    soon = timedelta(seconds=60)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=size, timeout=soon)
    torch.save(getattr(importlib.import_module(module), function)(rank), folder / f"{rank}.part")
    (folder / f"{rank}.part").rename(folder / f"{rank}.pt")
    time.sleep(limit)  # the group is not ended, nor left to the others: whoever began this ends it


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]), int(sys.argv[5]))
