"""What callbacks need of the trainers of Lightning and transformers."""

from __future__ import annotations

import reprlib
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from ._errors import wrong

SHORT = reprlib.Repr()
SHORT.maxstring = SHORT.maxother = 60  # characters of a setting


def lightning_callback(name: str) -> Any:
    """The class of Lightning's callbacks: of ``pytorch_lightning`` where that alone is loaded.

    Args:
        name: Of ours, which needs it.

    Raises:
        ImportError: Lightning is missing; the message names the extra.
    """
    old = "pytorch_lightning" in sys.modules and "lightning" not in sys.modules
    return _callback("pytorch_lightning" if old else "lightning.pytorch", "Callback", name, "train")


class SavedWithCheckpoints:
    """What Lightning's checkpoints hold of a callback: the state of what it builds for a fit.

    Attributes:
        BUILT: Name of the attribute with what is built; None before a fit.
    """

    BUILT = "monitor"
    _saved: dict[str, Any] | None = None

    def state_dict(self) -> dict[str, Any]:
        """The state of what was built; empty before a fit."""
        built = getattr(self, self.BUILT)
        return {} if built is None else dict(built.state_dict())

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Stored until the fit starts."""
        self._saved = state_dict

    def _restore(self, built: Any) -> None:
        """Hand over what was loaded, once: another fit of this callback starts anew."""
        if self._saved:
            built.load_state_dict(self._saved)
            self._saved = None


def trainer_callback(name: str) -> Any:
    """The class of the callbacks of transformers' ``Trainer``; arguments and errors as above."""
    return _callback("transformers", "TrainerCallback", name, "hf")


def _callback(module: str, kind: str, name: str, extra: str) -> Any:
    try:
        return getattr(import_module(module), kind)
    except ModuleNotFoundError as error:
        library = "transformers" if module == "transformers" else "lightning"
        raise ImportError(
            f"{name} needs {library}, got {error}; pip install 'nakami[{extra}]' adds it."
        ) from error


def callback_repr(callback: object, settings: Mapping[str, Any]) -> str:
    """A callback in one line: ``LightningXrayMonitor(stages=['net.2'], every=500)``.

    Args:
        callback: One of ours.
        settings: What it was given, by name; long values are cut.
    """
    each = [f"{name}={_setting(value)}" for name, value in settings.items()]
    return f"{type(callback).__name__}({', '.join(each)})"


def _setting(value: object) -> str:
    name = getattr(value, "__name__", None)
    return name if callable(value) and name else " ".join(SHORT.repr(value).split())


def check_state(state: object, schema: int, kept: set[str], whose: str) -> None:
    """Refuse what a monitor of ours did not give as its state.

    Args:
        state: What came.
        schema: Of the states of that monitor.
        kept: What they hold beside it.
        whose: Name of its class.
    """
    if isinstance(state, Mapping) and state.get("schema") == schema and kept <= set(state):
        return
    got = sorted(state) if isinstance(state, Mapping) else type(state).__name__
    way_out = "pass what state_dict() of such a monitor gave"
    raise wrong("state", f"be an {whose}'s", got, way_out)


def in_checkpoint(args: Any, state: Any, file: str) -> tuple[Path | None, Path]:
    """A file in the checkpoint that transformers' ``Trainer`` resumes from.

    Args:
        args: The trainer's arguments, as a callback of it gets them.
        state: Its state, likewise.
        file: The name of the file.

    Returns:
        Where it is, None where it is missing; and the folder that was looked in last.
    """
    places = [_checkpoint(args, state)]
    if isinstance(args.resume_from_checkpoint, str):
        places.insert(0, Path(args.resume_from_checkpoint))
    return next((p / file for p in places if (p / file).is_file()), None), places[-1]


def new_checkpoint(args: Any, state: Any) -> Path | None:
    """The folder of the checkpoint that transformers' ``Trainer`` writes; None where there is none.

    Args:
        args: The trainer's arguments, as ``on_save`` of a callback gets them.
        state: Its state, likewise.
    """
    place = _checkpoint(args, state)
    return place if place.is_dir() else None


def _checkpoint(args: Any, state: Any) -> Path:
    return Path(args.output_dir) / f"checkpoint-{state.global_step}"
