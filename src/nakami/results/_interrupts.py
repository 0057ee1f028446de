"""Ctrl-C and the processes that work for this one."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker


@contextmanager
def without_ctrl_c() -> Iterator[None]:
    """For processes that begin here, and threads: this process hears it, and ends them."""
    if sys.platform == "win32":
        yield
        return
    resource_tracker.ensure_running()  # it lets Ctrl-C in where it is begun
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
