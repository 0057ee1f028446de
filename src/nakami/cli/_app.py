"""The commands and what their help says; each body is imported when its command runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ._request import INPUTS, OUT, TOL, Request

app = typer.Typer(
    name="nakami",
    help="See inside a neural network: the singular values of its Jacobians, by depth.",
    epilog="Start with `nakami xray`: it measures a shipped example and writes a page.",
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)

RUNS_CODE = (
    "Network: [bold]package.module:factory[/] or [bold]path/file.py:factory[/] (a function, a "
    "class or a module; its code is imported and [bold]run[/], and the current folder is on the "
    "path), or a name from the zoo: dbn, mlp, cnn, alexnet, alexnet-features, "
    "alexnet-original, squeezenet, vgg16, vgg16-features, efficientnet-lite0."
)
ModelOption = Annotated[str | None, typer.Option("--model", metavar="NAME", help=RUNS_CODE)]
WeightsOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Weights: .safetensors, or .pt/.pth read without running code."
    ),
]
DataOption = Annotated[
    Path | None,
    typer.Option(
        metavar="PATH", help="Inputs: .npy, .npz, IDX (.gz), an image, or a folder of images."
    ),
]
PICTURES = "Pictures in --data"
SizeOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        rich_help_panel=PICTURES,
        help="Scale the shorter side to N and cut the centre N x N (default: 256, then 224).",
    ),
]
ModeOption = Annotated[
    str | None, typer.Option(rich_help_panel=PICTURES, help="RGB or grey (default: RGB).")
]
NormaliseOption = Annotated[
    str | None,
    typer.Option(
        rich_help_panel=PICTURES,
        help="imagenet, efficientnet-lite, or unit for pixels in 0..1 (default: imagenet in RGB, "
        "unit in grey).",
    ),
]
KeyOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="Which array of an .npz in --data to take.")
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print JSON on standard output, and nothing else.")
]
SeedOption = Annotated[
    int,
    typer.Option(
        min=0, help="Seed of the estimates, and of weights that --model makes and none replace."
    ),
]


def _print_version(wanted: bool) -> None:
    if wanted:
        from nakami import __version__

        typer.echo(f"nakami {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def xray(
    subject: Annotated[
        str | None,
        typer.Argument(help="A shipped subject (default: dbn-digits, unless --model is given)."),
    ] = None,
    model: ModelOption = None,
    weights: WeightsOption = None,
    data: DataOption = None,
    inputs: Annotated[
        int, typer.Option(metavar="N", min=1, help="How many examples to measure at, at most.")
    ] = INPUTS,
    stages: Annotated[
        list[str],
        typer.Option(
            metavar="A,B,...",
            help="Stages to measure (see `nakami stages`), or auto. Given more than once, each is "
            "one name, so that a name may hold a comma.",
        ),
    ] = ["auto"],  # noqa: B006 (read only)
    top: Annotated[
        int | None,
        typer.Option(
            metavar="K",
            min=1,
            help="Largest values to compute (default: all up to a small side of 2048, else 100).",
        ),
    ] = None,
    layers: Annotated[
        bool,
        typer.Option("--layers", help="Measure the layer between each two stages on its own, too."),
    ] = False,
    out: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            help="Where runs are kept: DIR/subject/network (with the options that differ from the "
            "defaults between), or DIR/factory/weights for your own network, after the name of the "
            "weights file without its ending ('run' without --weights).",
        ),
    ] = Path(OUT),
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, cuda:1, mps (default: where the model is).")
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option(help="float32 or float64 (default: as the model; float64 for a subject)."),
    ] = None,
    memory_budget: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Memory for one piece, e.g. 1GiB or 500MB.")
    ] = None,
    seed: SeedOption = 0,
    train_seed: Annotated[
        int | None, typer.Option(min=0, help="Seed of a shipped subject's training (default: 0).")
    ] = None,
    tol: Annotated[
        float,
        typer.Option(
            help="Estimated relative error that each singular value may have; small values reach "
            "the limit of the arithmetic first, and are counted."
        ),
    ] = TOL,
    as_json: JsonOption = False,
    no_page: Annotated[bool, typer.Option("--no-page", help="Write no report.html.")] = False,
    size: SizeOption = None,
    mode: ModeOption = None,
    normalise: NormaliseOption = None,
    key: KeyOption = None,
) -> None:
    """X-ray a network: its singular values by depth, a table and a page.

    Without arguments: trains a small deep belief network on shipped digits, measures it before and
    after fine-tuning, and writes one page. With --model: your network, at the inputs in --data.

    A stopped run is continued by the same command. Weights once trained are used again, whatever
    is read of them.
    """
    from ._xray import run

    request = Request(
        subject=subject,
        model=model,
        weights=weights,
        data=data,
        pictures={"size": size, "mode": mode, "normalise": normalise, "key": key},
        inputs=inputs,
        stages=stages,
        top=top,
        layers=layers,
        out=out,
        device=device,
        dtype=dtype,
        memory_budget=memory_budget,
        seed=seed,
        train_seed=train_seed,
        tol=tol,
        as_json=as_json,
        page=not no_page,
    )
    run(request)


@app.command("stages")
def list_stages(
    model: ModelOption = None,
    weights: WeightsOption = None,
    data: DataOption = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
    size: SizeOption = None,
    mode: ModeOption = None,
    normalise: NormaliseOption = None,
    key: KeyOption = None,
) -> None:
    """List the stages of a network: where it can be cut and measured."""
    from ._read import stages

    pictures = {"size": size, "mode": mode, "normalise": normalise, "key": key}
    stages(model, weights, data, pictures, seed, as_json)


@app.command()
def compare(
    before: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")],
    after: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of another, same inputs.")],
    out: Annotated[
        Path | None, typer.Option(metavar="PAGE", help="Write the comparison as a page here.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare two runs, paired by input."""
    from ._read import compare_runs

    compare_runs(before, after, out, as_json)


@app.command()
def show(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")],
    out: Annotated[
        Path | None, typer.Option(metavar="PAGE", help="Write the run as a page here.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Print the numbers of a run again, finished or not."""
    from ._read import show_run

    show_run(folder, out, as_json)
