"""Command lines drawn at random: mostly sensible ones, with up to three things changed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

PAIRS = (  # a network, data that fit it
    ("soak_nets:flat", "flat.npy"),
    ("soak_nets:flat", "both.npz"),
    ("soak_nets:ready", "flat64.npy"),
    ("soak_nets:normed", "flat.npy"),
    ("soak_nets:small", "pictures.npy"),
    ("soak_nets:small", "labelled.npz"),
    ("soak_nets:small", "shots"),
    ("soak_nets:small", "classes"),
    ("soak_nets:words", "tokens.npy"),
    ("soak_nets:two", "flat.npy"),
    ("soak_nets:constant", "flat.npy"),
    ("soak_nets:gru", "steps.npy"),
    ("mlp", "idx-ubyte"),
)
FITTING = {  # where other data are needed
    ("lr",): (
        ("soak_nets:small", "labelled.npz"),
        ("soak_nets:flat", "both.npz"),
        ("soak_nets:small", "classes"),
    ),
    ("lens",): (("soak_nets:words", "tokens.npy"), ("soak_nets:two", "flat.npy")),
    ("init",): tuple(pair for pair in PAIRS if "gru" not in pair[0]),
}
STUDIES = {  # what makes them quick
    ("theory", "phase"): {"points": "0", "alpha": "0.1", "beta": "3", "dimension": "10"},
    ("theory", "plateau"): {"outputs": "2", "starts": "1"},
    ("theory", "sampling"): {"scales": "1"},
    ("theory", "transport"): {"regs": "0.1,1", "size": "8"},
}
NETWORKS = (
    *dict.fromkeys(net for net, _ in PAIRS),
    *("soak_nets:poisoned", "soak_nets:raising", "soak_nets:nothing", "soak_nets:number"),
    *("soak_nets:absent", "absent:flat", "soak_nets", ":", "", "squeezenets", "hf:empty", "hf:"),
    *("hf:absent", "soak_nets:flat:flat", "soak nets:flat", "../soak_nets:flat", "torch.nn:ReLU"),
)
WORDS = ("", " ", "nothing", "-1", "0", "1", "3", "999999999999", "1e-3", "0.5", "nan", "inf")
MORE = (
    "-inf",
    "1e400",
    "two",
    "1,2",
    "a,b",
    ",",
    "*",
    "?",
    "..",
    "/",
    "größe",
    "𝟛",
    "٣",
    "--",
    "-",
)
OFTEN = ("json", "no-page", "top", "inputs", "stages", "out", "seed", "experiments", "layers")
VALUES = {  # what an option is usually given; others are drawn from WORDS and MORE
    "inputs": ("1", "2", "3"),
    "top": ("1", "2", "3"),
    "stages": ("auto", "output", "0", "first", "head", "first,head", "*", "block", "embed"),
    "positions": ("all", "last", "mean", "0", "-1", "1:3", "16:-1"),
    "experiments": ("all", "noise", "perturbation", "subspaces", "units", "arithmetic"),
    "tol": ("1e-3", "1e-2", "0.1"),
    "at": ("zero", "mean", "0", "input"),
    "dtype": ("float32", "float64", "bfloat16", "float16"),
    "device": ("cpu", "cuda", "mps", "meta"),
    "memory-budget": ("1GiB", "200MB", "1MB", "1KB"),
    "seed": ("0", "1", "7"),
    "size": ("8", "9", "1"),
    "mode": ("RGB", "L", "CMYK"),
    "normalise": ("imagenet", "unit", "0.5,0.5"),
    "key": ("x", "inputs", "y"),
    "labels": ("labels", "y"),
    "loss": ("cross_entropy", "mse", "own", "bce"),
    "optimizer": ("sgd", "adam", "adamw", "sgd:momentum=0.9", "sdprop"),
    "batch": ("1", "2", "4"),
    "batches": ("1", "2"),
    "probes": ("2", "4"),
    "method": ("auto", "critical", "data"),
    "biases": ("zero", "random", "kept"),
    "directions": ("kept", "orthogonal", "gaussian"),
    "activation": ("tanh", "relu", "gelu", "sine"),
    "weight-variance": ("1", "3", "0"),
    "bias-variance": ("0", "0.64"),
    "widths": ("6,5,4", "10,10", "10"),
    "samples": ("2", "5"),
    "start": ("1,0", "0.5,0.5"),
    "to": ("output", "head", "2"),
    "error": ("0.5", "0.1"),
    "axis": ("-1", "1", "2"),
    "select": ("a", "b", "0", "c"),
    "jobs": ("1", "2"),
}


@dataclass(frozen=True)
class Option:
    """An option of a command: its name without dashes, and whether it takes a value."""

    name: str
    flag: bool


def commands() -> dict[tuple[str, ...], list[Option]]:
    """Every command with its options, as the command line itself tells them."""
    import typer

    from nakami.cli._app import app

    found: dict[tuple[str, ...], list[Option]] = {}

    def walk(command: Any, path: tuple[str, ...]) -> None:
        for name, below in getattr(command, "commands", {}).items():
            walk(below, (*path, name))
        if not hasattr(command, "commands"):
            options = [p for p in command.params if p.opts[0].startswith("--")]
            found[path] = [Option(p.opts[0].removeprefix("--"), p.is_flag) for p in options]

    walk(typer.main.get_command(app), ())
    return found


class Draws:
    """Command lines of one seed.

    Args:
        seed: Of the draw.
        files: Names of the stock.
        runs: Names of runs in it, finished and broken.
    """

    def __init__(self, seed: int, files: list[str], runs: list[str]):
        self._random = random.Random(seed)
        self._files, self._runs = files, runs
        self._commands = commands()

    def one(self) -> list[str]:
        """A command line without the program's name."""
        r = self._random
        path = r.choices([*self._commands], [self._weight(p) for p in self._commands])[0]
        options = {o.name: o for o in self._commands[path]}
        given = dict(self._sensible(path, options))
        for _ in range(r.choices((0, 1, 2, 3), (3, 4, 2, 1))[0]):
            self._change(given, options)
        words = [*path]
        if path in (("show",), ("compare",)):
            words += [self._run() for _ in range(1 if path == ("show",) else 2)]
        for name, value in given.items():
            words.append(f"--{name}")
            words += [] if value is None else [value]
        if r.random() < 0.03:
            words.insert(r.randrange(len(words) + 1), r.choice((*WORDS, *MORE, "--absent")))
        return words

    def _weight(self, path: tuple[str, ...]) -> float:
        usual = 0.25 if path in STUDIES else 1
        return {("xray",): 6, ("show",): 2, ("compare",): 2, ("lr",): 2}.get(path, usual)

    def _run(self) -> str:
        r = self._random
        return r.choice(self._runs) if r.random() < 0.85 else f"../stock/{r.choice(self._files)}"

    def _sensible(
        self, path: tuple[str, ...], options: dict[str, Option]
    ) -> Iterator[tuple[str, str | None]]:
        r = self._random
        if "model" in options:
            model, data = r.choice(FITTING.get(path, PAIRS))
            yield "model", model
            yield "data", f"../stock/{data}"
            if data in ("shots", "classes"):
                yield "size", "8"
            if model == "soak_nets:flat" and "weights" in options and r.random() < 0.5:
                yield "weights", f"../stock/{r.choice(('flat.safetensors', 'flat.pt'))}"
            if path == ("xray",) and model == "soak_nets:gru":
                yield "recurrent", None
            if "inputs" in options:
                yield "inputs", "2"
        if path == ("lr",):
            yield "no-curvature", None
            yield "batch", "2"
            yield "batches", "2"
        if path == ("theory", "meanfield"):
            yield "widths", "6,5,4"
            yield "samples", "3"
        yield from STUDIES.get(path, {}).items()
        if "no-page" in options and r.random() < 0.8:
            yield "no-page", None

    def _change(self, given: dict[str, str | None], options: dict[str, Option]) -> None:
        r = self._random
        often = [name for name in OFTEN if name in options]
        name = r.choice(often) if often and r.random() < 0.4 else r.choice([*options])
        if name in given and name != "model" and r.random() < 0.2:
            del given[name]
        elif options[name].flag:
            given[name] = None
        else:
            given[name] = self._value(name)

    def _value(self, name: str) -> str:
        r = self._random
        if name == "model":
            return r.choice(NETWORKS)
        if name in ("data", "weights"):
            odd = r.choice(("absent.npy", "../stock", "", ".", "/dev/null", "../stock/absent/x"))
            return odd if r.random() < 0.15 else f"../stock/{r.choice(self._files)}"
        if name in ("out", "save"):
            return r.choice(("out", "out", "out", "a b/c", "näh", "page.html", "x" * 300, "net.pt"))
        usual = VALUES.get(name, WORDS)
        return r.choice(usual) if r.random() < 0.7 else r.choice((*WORDS, *MORE))
