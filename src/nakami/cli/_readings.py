"""What ``nakami xray`` reads of a network: its options, and what they say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from nakami.results import wrong

from ._command import Stands
from ._groups import Detached

INPUTS, SEQUENCES, TOL = 16, 64, 1e-4
ALL = "all"  # positions of a stage
STEPS = "1,5,10,20"  # of recurrent layers, after which their state is read
RECURRENT = "Recurrent layers"


@dataclass(frozen=True)
class ReadingOptions:
    """What to read of a network."""

    inputs: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help=f"How many examples to measure at, at most (default: {INPUTS}; with --recurrent "
            f"{SEQUENCES}).",
            show_default=False,
        ),
        Stands(("n_inputs", "n")),
    ] = None
    stages: Annotated[
        list[str],
        typer.Option(
            metavar="A,B,...",
            help="Stages to measure (see `nakami stages`), or auto; * stands for any letters "
            "('*.mlp'). Given more than once, each is one name, so that a name may hold a comma.",
        ),
        Stands(("stages", "stage")),
    ] = ("auto",)  # type: ignore[assignment]
    top: Annotated[
        int | None,
        typer.Option(
            metavar="K",
            min=1,
            help="Largest values to compute (default: all up to a small side of 2048 that fit "
            "--memory-budget, else 25 or as many as fit). What is left is estimated.",
        ),
        Stands(("k",)),
    ] = None
    layers: Annotated[
        bool,
        typer.Option("--layers", help="Measure the layer between each two stages on its own, too."),
    ] = False
    positions: Annotated[
        str,
        typer.Option(
            metavar="WHERE",
            help="Where a stage with positions is read: all, last, mean, or the number of one (0 "
            "is the first). The Jacobian starts at all.",
        ),
    ] = ALL
    detached: Detached = False
    experiments: Annotated[
        list[str],
        typer.Option(
            metavar="A,B,...",
            help="Experiments at the same inputs: arithmetic (float64 beside float32), noise (what "
            "it does to decisions and spectra), perturbation (steps along singular directions), "
            "subspaces (what depths keep in common), units (what excites them); or all.",
        ),
    ] = ()  # type: ignore[assignment]
    tol: Annotated[
        float,
        typer.Option(
            help="Estimated relative error that each singular value may have; small values reach "
            "the limit of the arithmetic first, and are counted."
        ),
    ] = TOL

    @property
    def n(self) -> int:
        """How many examples to measure at."""
        return self.inputs or INPUTS

    @property
    def tried(self) -> list[str] | str:
        """Names of the experiments, or all."""
        names = [name.strip() for text in self.experiments for name in text.split(",")]
        return "all" if "all" in names else names


@dataclass(frozen=True)
class RecurrentOptions:
    """What to read of recurrent layers."""

    recurrent: Annotated[
        bool,
        typer.Option(
            "--recurrent",
            rich_help_panel=RECURRENT,
            help="Read the recurrent layers (RNN, GRU, LSTM) of --model in place of singular "
            "values: states of rest, Lyapunov exponents along the sequences in --data, growth. "
            "Without --model: those of a trained SUBJECT, or a small GRU on shipped digits.",
        ),
    ] = False
    at: Annotated[
        str,
        typer.Option(
            metavar="WHERE",
            rich_help_panel=RECURRENT,
            help="Constant input of the states of rest: zero, or the mean input of the layer.",
        ),
    ] = "zero"
    steps: Annotated[
        str,
        typer.Option(
            metavar="A,B,...",
            rich_help_panel=RECURRENT,
            help="Steps after which the singular values of the state are read, rising.",
        ),
    ] = STEPS

    @property
    def times(self) -> list[int]:
        """The steps as numbers."""
        texts = [text.strip() for text in self.steps.split(",")]
        if not all(text.isdecimal() for text in texts):
            raise wrong("--steps", "be whole numbers with commas between", repr(self.steps),
                        f"write {STEPS}")  # fmt: skip
        return [int(text) for text in texts]


def stage_names(texts: Sequence[str]) -> str | list[str]:
    """``auto``, or the names between commas; of several texts each is one name."""
    if [text.strip() for text in texts] == ["auto"]:
        return "auto"
    names = texts[0].split(",") if len(texts) == 1 else texts
    names = [name.strip() for name in names]
    if not all(names):
        got = " ".join(map(repr, texts))
        raise wrong("--stages", "be names with commas between", got, "write a,b,c or auto")
    return names


def position(text: str) -> str | int:
    """The number of a position, or the word as it is."""
    return int(text) if text.strip().lstrip("-").isdecimal() else text
