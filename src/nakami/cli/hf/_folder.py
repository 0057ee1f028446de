"""The network of a folder: what its ``config.json`` names, with the weights that lie beside it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nakami.results import RunError, UsageError, as_path, counted, wrong

from .._exit_codes import one_line

if TYPE_CHECKING:
    from torch import nn

PREFIX = "hf:"
CONFIG, ADAPTER = "config.json", "adapter_config.json"
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack")
OTHERS_CODE = "auto_map"  # in a config: classes whose code lies in the folder
CONVERT = (
    "convert it where you trust it: in Python m = transformers.AutoModel.from_pretrained(FOLDER), "
    "of the class that its config.json names, then m.save_pretrained(FOLDER)"
)


@dataclass(frozen=True)
class Folder:
    """A folder as ``save_pretrained`` of transformers writes it.

    Attributes:
        path: Where it is.
        config: What its ``config.json`` holds.
    """

    path: Path
    config: dict[str, Any]

    @property
    def kind(self) -> str:
        """The class that its config names; empty without one."""
        return next(iter(self.config.get("architectures") or ()), "")


def is_hf(model: str) -> bool:
    """Whether ``--model`` names such a folder."""
    return model.startswith(PREFIX)


def name_of(model: str) -> str:
    """Name of the folder."""
    return Path(model.removeprefix(PREFIX)).resolve().name


def training(model: str) -> str:
    """Where the weights come from, in one clause."""
    return f"weights from {model.removeprefix(PREFIX)}"


def check(model: str) -> None:
    """Refuse what no network can be loaded from, before torch or transformers is imported."""
    path = _existing(model)
    if find_spec("transformers") is None:
        raise RunError(
            "--model hf:FOLDER needs transformers, which is not installed; "
            "pip install 'nakami[hf]' adds it."
        )
    if (path / ADAPTER).is_file():
        path = _base(path)
    _check_sound(_opened(path))


def folder_of(model: str) -> Folder:
    """The folder of the network, of an adapter that of its base."""
    path = _existing(model)
    return _opened(_base(path) if (path / ADAPTER).is_file() else path)


def load(model: str) -> tuple[nn.Module, str]:
    """The network in float32, and what is to be said of its weights, else empty.

    Raises:
        UsageError: Its config names no class of transformers, or the weights do not fit.
    """
    check(model)
    folder = folder_of(model)
    with quiet():
        kind, config = _class(folder), _config(folder)
        try:
            import torch

            network, about = kind.from_pretrained(
                folder.path, config=config, local_files_only=True, use_safetensors=True,
                dtype=torch.float32, output_loading_info=True,
            )  # fmt: skip
        except Exception as error:
            raise _unusable(folder, error) from error
        said = _lacking(network, sorted(about["missing_keys"]))
        path = _existing(model)
        if (path / ADAPTER).is_file():
            network = _adapted(network, path)
            merged = f"its adapter is merged into the weights of {folder.path}"
            said = "; ".join(filter(None, (merged, said)))
    return network, said


@contextmanager
def quiet() -> Iterator[None]:
    """Without the messages, warnings and bars of transformers."""
    from transformers.utils import logging

    was, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(was)
        if bars:
            logging.enable_progress_bar()


def read_json(path: Path) -> dict[str, Any]:
    """What a file of a folder holds by name."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read ({one_line(error)}); copy it again.") from error
    if not isinstance(found, dict):
        raise wrong(str(path), "hold names with values", type(found).__name__, "copy it again")
    return found


def _existing(model: str) -> Path:
    path = as_path("--model", Path(model.removeprefix(PREFIX)).expanduser())
    rule = "name a folder with config.json, as save_pretrained writes it"
    way_out = "give a folder on this machine, nothing is fetched"
    if not path.is_dir():
        got = f"the file {path}" if path.is_file() else f"{str(path)!r}, which is not there"
        raise wrong("--model", f"{rule}, after hf:", got, way_out)
    if not any((path / name).is_file() for name in (CONFIG, ADAPTER)):
        raise wrong("--model", f"{rule}, after hf:", f"{str(path)!r} without one", way_out)
    return path


def _opened(path: Path) -> Folder:
    return Folder(path, read_json(path / CONFIG))


def _check_sound(folder: Folder) -> None:
    """Refuse code of others, pickles and quantised weights."""
    path, config = folder.path, folder.config
    if OTHERS_CODE in config:
        raise wrong(
            "--model", "need no code of its folder", f"{path / CONFIG} with {OTHERS_CODE}",
            "load it in a module of your own, --model file.py:factory, which runs what you trust",
        )  # fmt: skip
    if config.get("quantization_config"):
        raise wrong(
            "--model", "hold plain weights", f"quantised ones in {path}",
            "dequantise them first: model.dequantize().save_pretrained(FOLDER)",
        )  # fmt: skip
    names = [each.name for each in path.iterdir()]
    if any(name.endswith(".safetensors") for name in names):
        return
    pickles = [name for name in sorted(names) if name.endswith(PICKLES)]
    got = f"{pickles[0]} alone, which can hide code" if pickles else "none"
    raise wrong(f"{path}", "hold weights as .safetensors", got, CONVERT)


def _class(folder: Folder) -> Any:
    """The class of transformers that a config names; of none, the bare network."""
    import transformers

    if not folder.kind:
        return transformers.AutoModel
    found = getattr(transformers, folder.kind, None)
    if isinstance(found, type) and issubclass(found, transformers.PreTrainedModel):
        return found
    rule = f"name in {CONFIG} an architecture that transformers {transformers.__version__} has"
    way_out = "install a later transformers, or load it by --model file.py:factory"
    raise wrong("--model", rule, repr(folder.kind), way_out)


def _config(folder: Folder) -> Any:
    import transformers

    try:
        config = transformers.AutoConfig.from_pretrained(
            folder.path, local_files_only=True, trust_remote_code=False
        )
    except Exception as error:
        raise _unusable(folder, error) from error
    if hasattr(config, "use_cache"):
        config.use_cache = False  # of earlier tokens, which every run makes anew
    return config


def _unusable(folder: Folder, error: Exception) -> UsageError:
    got = f"{str(folder.path)!r} and from transformers {one_line(error)}"
    way_out = "copy the folder again, or load it by --model file.py:factory"
    return wrong("--model", "name a folder that transformers can load", got, way_out)


def _lacking(network: nn.Module, missing: list[str]) -> str:
    """What is said of weights that the folder lacks; a pooler without weights is taken off."""
    if not missing:
        return ""
    if all(name.startswith("pooler.") for name in missing):
        network.pooler = None  # type: ignore[assignment]
        return "read without its pooler, whose weights the folder lacks"
    some = f"{missing[0]}, the first of {counted(len(missing), 'weight')}"
    return f"{some} that the folder lacks, drawn at random"


def _base(path: Path) -> Path:
    """Folder of the network that an adapter belongs to."""
    named = str(read_json(path / ADAPTER).get("base_model_name_or_path") or "")
    for place in (path / named, Path(named).expanduser()):
        if named and (place / CONFIG).is_file():
            return place
    rule = "name in base_model_name_or_path a folder on this machine"
    raise wrong(f"{path / ADAPTER}", rule, repr(named), "write the path of the base's folder there")


def _adapted(network: nn.Module, path: Path) -> nn.Module:
    """The network with the adapter of a folder merged into its weights."""
    if find_spec("peft") is None:
        raise RunError(f"{path} holds an adapter, which needs peft; pip install peft adds it.")
    if not any(path.glob("*.safetensors")):
        way_out = "save the adapter again with peft, model.save_pretrained(FOLDER)"
        raise wrong(f"{path}", "hold the adapter as .safetensors", "none", way_out)
    import peft

    try:
        merged: nn.Module = peft.PeftModel.from_pretrained(
            network, str(path), local_files_only=True
        ).merge_and_unload()
    except Exception as error:
        got = f"{str(path)!r} and from peft {one_line(error)}"
        way_out = "merge it yourself, model.merge_and_unload().save_pretrained(FOLDER)"
        raise wrong("--model", "name an adapter that peft can merge", got, way_out) from error
    return merged
