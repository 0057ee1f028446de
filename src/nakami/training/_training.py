"""A training on disk: phases that leave their weights, and go on after a kill to the same bits."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor, nn

from nakami.results import Progress, Record, RecordFolder, Work, read_record, versions, wrong

from ._fit import Place, Position, go_on
from ._method import Method
from ._random import one_thread, phase_generator
from ._state import pack, saved, unpack

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

KIND = "training"
OLDER = "training.json"  # in the folders of versions before run.json
SECONDS = 10.0  # between two checkpoints within a phase, at least


@final
class Training:
    """The phases of one training, kept in one folder: a run of kind ``training``.

    A phase owns a generator made from the seed and its name alone, and starts from weights that
    went through the file. At the end of an epoch it leaves a checkpoint if the last one is older
    than ten seconds. So a training that was stopped anywhere and started again ends in the same
    bits as an unbroken one (same machine kind, on the CPU). A phase runs on one thread: small
    matrices gain little from more, lose badly on a busy machine, and so the number of threads
    decides nothing.

    Args:
        folder: Made if missing. A folder that holds a training goes on with it if the settings are
            the same, and is refused, naming the field, if they are not.
        settings: All that decides the weights, ``seed`` among it; plain JSON values.
        epochs: Passes over the data of each phase that may be run, by name.
        accelerator: As Lightning's ``Trainer`` takes it; one device is used.
        logger: A logger of Lightning's, which is given the mean loss of each epoch.
        progress: Called after each epoch; the total is that of ``epochs``.

    Raises:
        UsageError: The folder holds a training with other settings, or cannot be written.
    """

    def __init__(
        self,
        folder: str | PathLike[str],
        settings: Mapping[str, Any],
        epochs: Mapping[str, int],
        *,
        accelerator: str = "cpu",
        logger: Logger | None = None,
        progress: Progress | None = None,
    ):
        self.seed, self._epochs = int(settings["seed"]), epochs
        self._place = Place(accelerator, logger)
        where = {"accelerator": accelerator} if accelerator != "cpu" else {}
        about = {**settings, **where, "versions": versions(), "threads": 1}
        if (Path(folder) / OLDER).exists():
            got = f"{folder}, which an older nakami wrote"
            way_out = [f"delete {folder} and train again", "pass another {folder}"]
            raise wrong("folder", "hold a run of this layout, or nothing", got, way_out)
        self._folder = RecordFolder(folder, KIND, about, argument="folder")
        left = {name: n - self._epochs_done(name) for name, n in epochs.items()}
        self._work = Work([name for name, n in left.items() for _ in range(n)], progress)

    def has(self, phase: str) -> bool:
        """Whether this phase's weights are there."""
        return self._folder.has(phase)

    def generator(self, name: str) -> torch.Generator:
        """A generator of its own for this name, made from the seed."""
        return phase_generator(self.seed, name)

    def run(
        self,
        phase: str,
        method: Method,
        data: Callable[[], Sequence[Tensor]],
        *,
        batch: int = 100,
        snapshots: Mapping[int, str] | None = None,
    ) -> list[float]:
        """Train a phase, or read its weights back; the method's module holds them afterwards.

        Args:
            phase: One of the names in ``epochs``.
            method: What a step is; its module is changed in place.
            data: Gives the tensors ``(N, ...)``; called only where there is something to train.
            batch: Rows of a mini-batch.
            snapshots: Names under which the weights after some epochs are kept too, by number of
                epochs.

        Returns:
            The mean loss of each epoch, as ``fit`` gives it.

        Raises:
            UsageError: As ``fit``; or a file of weights is damaged.
            RunError: Lightning is not installed, or the disk is full.
        """
        if not self.has(phase):
            with one_thread(), torch.random.fork_rng(devices=[]):
                self._train(phase, method, data(), batch, snapshots or {})
        return self.read(phase, method.module)

    def read(self, name: str, module: nn.Module) -> list[float]:
        """Load the weights of a phase or a snapshot that is there; returns the losses."""
        piece = self._folder.read(name)
        module.load_state_dict({k: torch.tensor(v) for k, v in piece.arrays.items()})
        module.eval()
        return list(piece.record["losses"])

    def finish(self) -> Record:
        """Write the result: of each phase what was lowered, its loss by epoch, and seconds."""
        phases, rows = {}, []
        for name in self._epochs:
            piece = self._folder.read(name)
            ends = {f"{end}_loss": x for end, x in _ends(piece.record["losses"]).items()}
            phases[name] = {**piece.record, **ends, "seconds": piece.seconds}
            texts = (f"{x:.4g}" for x in ends.values()) if ends else ("", "")
            row = (name, piece.record["loss"], str(piece.record["epochs"]), *texts)
            rows.append((*row, f"{piece.seconds:.1f}"))
        old = read_record(self._folder.path)
        if old.result.get("phases") == phases:  # nothing was trained: nothing is written
            return old
        head = ("phase", "mean of an epoch", "epochs", "first", "last", "seconds")
        table = {"title": "Training", "caption": "", "head": head, "rows": rows, "left": 2}
        return self._folder.finish({"phases": phases, "tables": [table], "lines": []})

    def _train(
        self,
        phase: str,
        method: Method,
        data: Sequence[Tensor],
        batch: int,
        snapshots: Mapping[int, str],
    ) -> None:
        epochs = self._epochs[phase]
        position = Position(method, self.generator(phase))
        torch.manual_seed(position.generator.initial_seed())  # for dropout and the like
        began = time.monotonic() - self._resume(phase, position)
        last = time.monotonic()

        def write(name: str, tensors: bytes, **more: str) -> None:
            losses = position.losses
            record = {"epochs": len(losses), "loss": method.loss_name, "losses": losses, **more}
            self._folder.write(name, record, tensors, time.monotonic() - began)

        def after(done: int) -> None:
            nonlocal last
            if done in snapshots:
                write(snapshots[done], saved(method.module.state_dict()))
            if done < epochs and time.monotonic() - last >= SECONDS:
                last = time.monotonic()
                shape, tensors = pack(position.state())
                write(_checkpoint(phase, done), tensors, state=shape)
                self._discard(phase, done)
            self._work.done(f"{phase}: epoch {done} of {epochs}", phase)

        go_on(position, data, epochs, batch, self._place, after)
        write(phase, saved(method.module.state_dict()))
        self._discard(phase, epochs)

    def _epochs_done(self, phase: str) -> int:
        """Epochs of a phase that need not be run again."""
        epochs = self._epochs[phase]
        if self.has(phase):
            return epochs
        return max((n for n in range(epochs) if self.has(_checkpoint(phase, n))), default=0)

    def _resume(self, phase: str, position: Position) -> float:
        """Take up the last checkpoint, if there is one; returns the seconds spent until it."""
        name = _checkpoint(phase, self._epochs_done(phase))
        if not self.has(name):
            return 0.0
        piece = self._folder.read(name)
        tensors = {k: torch.tensor(v) for k, v in piece.arrays.items()}
        position.resumed = unpack(piece.record["state"], tensors)
        position.losses[:] = piece.record["losses"]
        return piece.seconds

    def _discard(self, phase: str, before: int) -> None:
        """Remove checkpoints of earlier epochs."""
        for done in range(before):
            self._folder.discard(_checkpoint(phase, done))


def _checkpoint(phase: str, done: int) -> str:
    return f"{phase}@{done}"


def _ends(losses: Sequence[float]) -> dict[str, float]:
    return {"first": losses[0], "last": losses[-1]} if losses else {}
