"""The looks of a training in a folder that goes on where the training does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from ...results import MonitorFolder, SkippedLook, XrayHistory, XrayLook, wrong


class Kept:
    """A run folder, or nothing where none is asked for.

    Args:
        out: The folder; None for none.
        settings: Of the run.
        inputs: The examples as the network saw them.

    Attributes:
        settings: As the folder has them.
    """

    def __init__(
        self, out: str | PathLike[str] | None, settings: dict[str, Any], inputs: np.ndarray
    ):
        self._folder = None if out is None else MonitorFolder(out, settings)
        self.settings: Mapping[str, Any] = (
            settings if self._folder is None else self._folder.settings
        )
        self._inputs = inputs
        self._before = [] if self._folder is None else self._folder.steps()  # of an earlier process

    @property
    def path(self) -> Path | None:
        """Where it lies."""
        return None if self._folder is None else self._folder.path

    def check_begin(self) -> None:
        """Refuse a folder with the looks of a training that this one did not go on from."""
        if self._before:
            ways = ["call load_state_dict(...) first", "pass another {out}", "delete that folder"]
            got = f"looks up to step {max(self._before)} in {self.path}"
            raise wrong("out", "be empty where a training begins", got, ways)

    def write(self, looks: Sequence[XrayLook], skipped: Sequence[SkippedLook]) -> None:
        """Write the last of some looks, and those that were left out since the one before it."""
        if self._folder is not None:
            look, since = looks[-1], looks[-2].step if len(looks) > 1 else -1
            self._folder.write_inputs(self._inputs)
            self._folder.write(look, [s for s in skipped if since < s.step <= look.step])

    def put_back(self, looks: Sequence[XrayLook], skipped: Sequence[SkippedLook]) -> None:
        """Let the folder hold these looks, and no others."""
        self._before = []
        if self._folder is not None:
            there = self._folder.steps()
            for step in {*there} - {look.step for look in looks}:
                self._folder.discard(step)
            for i, look in enumerate(looks, 1):
                if look.step not in there:
                    self.write(looks[:i], skipped)

    def finish(self, history: XrayHistory) -> None:
        """Write ``result.json``."""
        if self._folder is not None:
            self._folder.finish(history)
