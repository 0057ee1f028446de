"""A training on disk: phases that leave their weights, and go on after a kill to the same bits."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, final

import torch
from torch import Tensor, nn

from nakami.results import (
    PICTURES,
    Progress,
    Record,
    RecordFolder,
    Show,
    Work,
    check_at_least,
    check_seed,
    is_number,
    is_whole,
    packed_pictures,
    plain,
    read_record,
    unknown,
    versions,
    wrong,
    wrong_type,
)

from ._fit import go_on
from ._method import Method
from ._position import Place, Position
from ._random import one_thread, phase_generator
from ._sharding import gathered, load_module
from ._state import pack, saved, unpack
from ._together import ranks

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

T = TypeVar("T")
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
        self.seed = _seed(settings)
        self._epochs = {_phase(name): _passes(name, n) for name, n in _pairs("epochs", epochs)}
        self._place, self._used = Place(accelerator, logger), list[object]()
        about = {**settings, **on_accelerator(accelerator), "versions": versions(), "threads": 1}
        if (Path(folder) / OLDER).exists():
            got = f"{folder}, which an older nakami wrote"
            way_out = [f"delete {folder} and train again", "pass another {folder}"]
            raise wrong("folder", "hold a run of this layout, or nothing", got, way_out)
        self._folder = RecordFolder(folder, KIND, about, argument="folder")
        left = {name: n - self._epochs_done(name) for name, n in self._epochs.items()}
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
            method: What a step is; its module is changed in place. A new one for each phase, with
                new optimizers: what they carry is not kept after the phase.
            data: Gives the tensors ``(N, ...)``; called only where there is something to train.
            batch: Rows of a mini-batch.
            snapshots: Names under which the weights after some epochs are kept too, by number of
                epochs.

        Returns:
            The mean loss of each epoch, as ``fit`` gives it.

        Raises:
            UsageError: As ``fit``; a phase that was trained with another ``batch`` or for other
                ``epochs``; a method that was used before; or a file of weights is damaged.
            RunError: Lightning is not installed, or the disk is full.
        """
        if phase not in self._epochs:
            raise unknown("phase", phase, self._epochs)
        snapshots = self._named(phase, snapshots)
        batch = check_at_least("batch", batch, 1, "pass batch=100")
        self._check_new(method)
        self._check_same(phase, batch)
        if not self.has(phase):
            with one_thread(), torch.random.fork_rng(devices=[]):
                self._train(phase, method, data(), batch, snapshots)
        self._used += (method, *method.optimizers())
        return self.read(phase, method.module)

    def read(self, name: str, module: nn.Module) -> list[float]:
        """Load the weights of a phase or a snapshot that is there; returns the losses.

        Raises:
            UsageError: It is not there, or damaged.
        """
        if not self.has(name):
            rule = "be a phase or a snapshot that the folder holds"
            raise wrong("name", rule, repr(name), "train it first with run(...)")
        piece = self._folder.read(name)
        load_module(module, {k: torch.tensor(v) for k, v in piece.arrays.items()})
        module.eval()
        return list(piece.record["losses"])

    def kept(self, name: str, make: Callable[[], T], of: str = "") -> T:
        """A part that takes long: read back where an earlier call has left it, else made and left.

        Args:
            name: Of the part, beside the phases.
            make: Gives it: numbers, texts, tuples, dicts.
            of: What it is made of, beside the weights: other examples, another part.
        """
        return self._folder.kept(f"@{name}@{of}" if of else f"@{name}", make)

    def keep_pictures(self, make: Callable[[], Sequence[Show]], of: str = "") -> None:
        """Leave pictures for the page; ``make()`` gives them where the folder has none of these.

        Args:
            make: Gives them.
            of: What they were made of, beside the weights: the same text, the same pictures.
        """
        if self._folder.has(PICTURES) and self._folder.read(PICTURES).record.get("of") == of:
            return
        began = time.monotonic()
        record, arrays = packed_pictures(make())
        self._folder.write(PICTURES, {**record, "of": of}, arrays, time.monotonic() - began)

    def finish(
        self, more: Mapping[str, Any] | None = None, tables: Sequence[Mapping[str, Any]] = ()
    ) -> Record:
        """Write the result: of each phase what was lowered, its loss by epoch, and seconds.

        Args:
            more: What else the result holds, as JSON takes it.
            tables: Below that of the phases: ``title``, ``caption``, ``head``, ``rows``, ``left``.
        """
        phases, rows = {}, []
        for name in self._epochs:
            if not self.has(name):
                rule = "be called when every phase is trained"
                raise wrong("finish", rule, f"{name!r} missing", f"call run({name!r}, ...) first")
            piece = self._folder.read(name)
            ends = {f"{end}_loss": x for end, x in _ends(piece.record["losses"]).items()}
            phases[name] = {**piece.record, **ends, "seconds": piece.seconds}
            texts = (f"{x:.4g}" for x in ends.values()) if ends else ("", "")
            row = (name, piece.record["loss"], str(piece.record["epochs"]), *texts)
            rows.append((*row, f"{piece.seconds:.1f}"))
        old = read_record(self._folder.path)
        body = plain({"phases": phases, **(more or {})})
        if all(
            old.result.get(key) == value for key, value in body.items()
        ):  # nothing was trained: nothing is written
            return old
        head = ("phase", "mean of an epoch", "epochs", "first", "last", "seconds")
        table = {"title": "Training", "caption": "", "head": head, "rows": rows, "left": 2}
        return self._folder.finish({**body, "tables": [table, *tables], "lines": []})

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
            record = {"epochs": len(losses), "batch": batch, "loss": method.loss_name}
            record |= {"losses": losses, **more}
            self._folder.write(name, record, tensors, time.monotonic() - began)

        def after(done: int) -> None:
            nonlocal last
            if done in snapshots:
                write(snapshots[done], saved(gathered(method.module.state_dict())))
            due = done < epochs and time.monotonic() - last >= SECONDS
            if ranks().same(lambda: due):  # each has a clock of its own, and gathers parts
                last = time.monotonic()
                shape, tensors = pack(position.state())
                write(_checkpoint(phase, done), tensors, state=shape)
                self._discard(phase, done)
            spent = time.monotonic() - position.began  # imports and advice are no part of an epoch
            self._work.done(f"{phase}: epoch {done} of {epochs}", phase, spent)

        go_on(position, data, epochs, batch, self._place, after)
        write(phase, saved(gathered(method.module.state_dict())))
        self._discard(phase, epochs)

    def _named(self, phase: str, snapshots: Mapping[int, str] | None) -> dict[int, str]:
        """Snapshots by whole numbers of epochs, with names of their own."""
        found = {}
        for after, name in _pairs("snapshots", snapshots or {}):
            rule, way_out = "name epochs of the phase", "write snapshots={1: 'early'}"
            if not is_whole(after) or not 1 <= after <= self._epochs[phase]:
                raise wrong("snapshots", f"{rule}, 1 to {self._epochs[phase]}", after, way_out)
            if _phase(name, "snapshots") in self._epochs:
                raise wrong("snapshots", "have names that no phase has", repr(name), way_out)
            found[int(after)] = name
        return found

    def _check_new(self, method: Method) -> None:
        """Refuse what a phase would begin with in one process and not in a second one."""
        parts = (method, *method.optimizers())
        if any(part is used for part in parts for used in self._used):
            rule, got = "be a new one for each phase, its optimizers too", "that of another phase"
            raise wrong("method", rule, got, "make both anew, with the same module")
        for name, tensor in method.module.state_dict().items():
            if tensor.dtype == torch.bfloat16 or tensor.is_complex() or tensor.is_quantized:
                rule = "have a module of float16, float32, float64 or whole numbers"
                raise wrong("method", rule, f"{name} of {tensor.dtype}", "pass module.float()")

    def _check_same(self, phase: str, batch: int) -> None:
        """Refuse to read back or to go on with what was asked for otherwise."""
        done = self._epochs_done(phase)
        name = phase if self.has(phase) else _checkpoint(phase, done)
        if not self.has(name):
            return
        old = self._folder.read(name).record
        asked = {"batch": batch, **({"epochs": self._epochs[phase]} if name == phase else {})}
        for argument, value in asked.items():
            if old[argument] != value:
                rule = f"be as in the phase {phase!r} that the folder holds, {old[argument]}"
                way_out = f"pass another folder, or delete {self._folder.path}"
                raise wrong(argument, rule, value, way_out)

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


def on_accelerator(accelerator: str) -> dict[str, str]:
    """What settings hold of the accelerator: nothing of the CPU."""
    return {"accelerator": accelerator} if accelerator != "cpu" else {}


def _seed(settings: Mapping[str, Any]) -> int:
    """The seed among settings that are plain JSON values."""
    rule, way_out = "hold plain JSON values, a seed among them", "write settings={'seed': 0}"
    try:
        json.dumps(dict(settings), allow_nan=False, default=_number)
    except (TypeError, ValueError) as error:
        raise wrong("settings", rule, error, way_out) from error
    if "seed" not in settings:
        raise wrong("settings", rule, "no seed", way_out)
    return check_seed(settings["seed"])


def _number(value: Any) -> float:
    """A number of NumPy or torch as Python's."""
    if not is_number(value):
        raise TypeError(f"{type(value).__name__} is none")
    return value.item()  # type: ignore[attr-defined]


def _pairs(argument: str, value: Any) -> list[tuple[Any, Any]]:
    if not isinstance(value, Mapping):
        raise wrong_type(argument, "be a dict", repr(value), f"write {argument}={{...: ...}}")
    return list(value.items())


def _phase(name: Any, argument: str = "epochs") -> str:
    if not isinstance(name, str) or not name or "@" in name:  # which marks checkpoints
        rule = "have names that are texts, not empty and without @"
        raise wrong(argument, rule, repr(name), "write a name such as 'all'")
    return name


def _passes(name: str, n: Any) -> int:
    return check_at_least("epochs", n, 0, f"write epochs={{{name!r}: 10}}")


def _checkpoint(phase: str, done: int) -> str:
    return f"{phase}@{done}"


def _ends(losses: Sequence[float]) -> dict[str, float]:
    return {"first": losses[0], "last": losses[-1]} if losses else {}
