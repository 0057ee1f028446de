"""The options that commands share, in groups."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nakami import zoo
from nakami.results import wrong

from ._command import Stands

if TYPE_CHECKING:
    from torch import nn

    from nakami import View

OUT = "nakami-out"
UNITS = {"": 1, "b": 1}
UNITS |= {f"{p}b": 1000**i for i, p in enumerate("kmgt", 1)}
UNITS |= {f"{p}ib": 1024**i for i, p in enumerate("kmgt", 1)}
LEAST_BUDGET = 2**20
RUNS_CODE = (
    "Network: [bold]package.module:factory[/] or [bold]path/file.py:factory[/] (a function, a "
    "class or a module; its code is imported and [bold]run[/], and the current folder is on the "
    f"path), [bold]hf:FOLDER[/] (a Hugging Face folder here; no code of it is run), or a name from "
    f"the zoo: {', '.join(zoo.ENTRIES)}."
)
LABELLED = (
    "Inputs and labels: an .npz with arrays x and y (or x_train and y_train, or "
    "input_ids and labels), an IDX file beside "
    "its labels, a folder with a folder of pictures for each class, or a schema (.toml) of "
    "`nakami data inspect`, whose training part is read; with hf:FOLDER "
    "of a model of language also .txt, one text a line. Drawn at random by --seed. "
    "Default: shipped digits."
)
PICTURES = "Pictures in --data"
DATA = Stands(("data", "inputs", "x", "path"))
Detached = Annotated[
    bool,
    typer.Option(
        "--detached",
        help="Hold what multiplies states as numbers (gates, attention weights, denominators), "
        "so that J x + b is the state at the end.",
    ),
]
SEEDS: dict[str, Any] = {"min": 0, "max": 2**64 - 1}  # what torch's generators take


def there(option: typer.CallbackParam, path: Path | None) -> Path | None:
    """The path itself, if something is there."""
    from nakami.results import as_path  # here, as it brings NumPy

    if path is not None and not as_path(option.opts[0], path).exists():
        rule = "be a file or folder that exists"
        raise wrong(option.opts[0], rule, repr(str(path)), "check the path")
    return path


@dataclass(frozen=True)
class ModelOptions:
    """Which network."""

    model: Annotated[str | None, typer.Option("--model", metavar="NAME", help=RUNS_CODE)] = None
    weights: Annotated[
        Path | None,
        typer.Option(
            callback=there,
            metavar="FILE",
            help="Weights: .safetensors, or .pt, .pth, .ckpt, .bin read without running code; or "
            "the folder of a training by `nakami train`.",
        ),
    ] = None
    select: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Which output of a network of several: a key or attribute (logits), a place (0), "
            "or some with dots between (0.boxes). Default: the first, or for a loss the logits.",
        ),
    ] = None
    seed: Annotated[
        int,
        typer.Option(
            **SEEDS,
            help="Seed of the estimates, and of weights that --model makes and none replace.",
        ),
    ] = 0

    @property
    def selected(self) -> dict[str, str]:
        """The output that was named, as settings keep it; nothing where none was."""
        return {} if self.select is None else {"select": self.select}

    def check_select(self) -> None:
        """Refuse an output without a network."""
        if self.select is not None and self.model is None:
            raise wrong("--select", "come with --model", "none", "name the network with --model")


@dataclass(frozen=True)
class ReadOptions:
    """Which inputs, and how they are read."""

    data: Annotated[
        Path | None,
        typer.Option(
            callback=there,
            metavar="PATH",
            help="Inputs: .npy, .npz (numbers or tokens), IDX (.gz), an image or a folder of "
            "images; a schema (.toml) of `nakami data inspect`, whose test part is read; with "
            "hf:FOLDER also .txt, one text a line.",
        ),
        DATA,
    ] = None
    key: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which array of an .npz in --data to take.")
    ] = None
    size: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            rich_help_panel=PICTURES,
            help="Scale the shorter side to N and cut the centre N x N (default: 256, then 224).",
        ),
    ] = None
    mode: Annotated[
        str | None, typer.Option(rich_help_panel=PICTURES, help="RGB or grey (default: RGB).")
    ] = None


@dataclass(frozen=True)
class DataOptions(ReadOptions):
    """Which inputs."""

    normalise: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=PICTURES,
            help="imagenet, efficientnet-lite, or unit for pixels in 0..1 (default: imagenet in "
            "RGB, unit in grey).",
        ),
    ] = None

    @property
    def reading(self) -> dict[str, Any]:
        """How to read ``data``, as ``nakami.data.read`` takes it."""
        left_out = ("data",)
        return {name: value for name, value in vars(self).items() if name not in left_out}

    @property
    def typed(self) -> list[str]:
        """The options of ``reading`` that were given."""
        return [f"--{name}" for name, value in self.reading.items() if value is not None]


@dataclass(frozen=True)
class LabelledOptions(DataOptions):
    """Which inputs, with their targets."""

    data: Annotated[
        Path | None, typer.Option(callback=there, metavar="PATH", help=LABELLED), DATA
    ] = None
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Which array of an .npz in --data holds the labels, or for mse the values.",
        ),
    ] = None


@dataclass(frozen=True)
class ComputeOptions:
    """Where and in what arithmetic."""

    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, cuda:1, mps (default: where the model is).")
    ] = None
    dtype: Annotated[
        str | None,
        typer.Option(help="float32 or float64 (default: as the model; float64 for a subject)."),
    ] = None
    batch_statistics: Annotated[
        bool | None,
        typer.Option(
            "--batch-statistics/--no-batch-statistics",
            help="Batch normalisation by the statistics of the batch, as in training, or by its "
            "running ones (default: these; init and lr take the batch's where they are untouched).",
        ),
    ] = None

    @property
    def options(self) -> dict[str, tuple[object, object]]:
        """What was typed, each with its usual value, for the name of a run's folder."""
        memory = vars(self).get("memory_budget")
        return {
            "dtype": (self.dtype, None),
            "device": (self.device, None),
            "memory": (memory, None),
            "batch-statistics": (self.batch_statistics is True, False),
            "no-batch-statistics": (self.batch_statistics is False, False),
        }

    def view(
        self,
        model: nn.Module,
        select: str | None = None,
        *,
        batches: bool = False,
        detached: bool = False,
    ) -> View:
        """The model as it is to be read.

        Args:
            model: What is read.
            select: Which output; default the first.
            batches: Whether whole batches are read: then batch normalisation without statistics of
                its own is read by theirs, where nothing is random, and a note says so.
            detached: Whether what multiplies states is held as numbers.
        """
        from nakami import View

        view = View(
            model,
            select=select,
            batch_statistics=self.batch_statistics,
            derivative="detached" if detached else "exact",
            **self.place(),
        )
        chosen = view.for_batches() if batches else view
        if chosen is not view:
            typer.echo(
                "note: the running statistics of batch normalisation are untouched, so it is read "
                "by those of each batch, as in training; --no-batch-statistics takes the running "
                "ones.",
                err=True,
            )
        return chosen

    def place(self) -> dict[str, Any]:
        """``dtype`` and ``device`` as ``nakami.View`` takes them, which refuses wrong ones."""
        import torch

        from nakami import View

        view = View(torch.nn.Identity(), dtype=self.dtype, device=self.device)
        return {"dtype": view.dtype, "device": view.device}


def memory_budget(text: str | None) -> int | None:
    """Bytes named by ``1GiB``, ``500 MB`` or ``1073741824``; None stays None."""
    if text is None:
        return None
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([a-zA-Z]*)\s*", text)
    unit = UNITS.get(match[2].lower()) if match else None
    size = int(float(match[1]) * unit) if match and unit else None
    if size is None or size < LEAST_BUDGET:
        rule = "be a size such as 1GiB or 500MB" if size is None else "be at least 1MiB"
        raise wrong("--memory-budget", rule, repr(text), "write number and unit")
    return size


@dataclass(frozen=True)
class BudgetOptions(ComputeOptions):
    """Where, in what arithmetic and in how much memory."""

    memory_budget: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Memory for derivatives, e.g. 1GiB or 500MB.")
    ] = None

    @property
    def budget(self) -> int | None:
        """Bytes."""
        return memory_budget(self.memory_budget)


@dataclass(frozen=True)
class JsonOptions:
    """How to print."""

    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON on standard output, and nothing else.")
    ] = False


@dataclass(frozen=True)
class PageOptions(JsonOptions):
    """How to print, and where to write a page."""

    out: Annotated[Path | None, typer.Option(metavar="PAGE", help="Write it as a page here.")] = (
        None
    )


@dataclass(frozen=True)
class OutputOptions(JsonOptions):
    """How to print, and where runs are kept."""

    out: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            help="Where runs are kept: in a folder below DIR, named after what was chosen.",
        ),
    ] = Path(OUT)
    no_page: Annotated[bool, typer.Option("--no-page", help="Write no report.html.")] = False
