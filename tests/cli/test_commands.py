"""Commands are found by themselves: one file each, of groups of options that they share."""

import re
import sys
from dataclasses import dataclass, fields, is_dataclass
from inspect import signature
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from nakami.cli import _app, commands
from nakami.cli._command import Command, Stands
from nakami.results import wrong

NEW = '''
"""A command of the test's own."""
from nakami.cli._command import Command
from nakami.cli._groups import ModelOptions


def run(network: ModelOptions) -> None:
    """Says its seed."""
    print("seed", network.seed)


ENTRY = Command(run)
'''


def test_a_file_is_a_command(tmp_path, monkeypatch):
    (tmp_path / "say_seed.py").write_text(NEW)
    monkeypatch.setattr(commands, "__path__", [*commands.__path__, str(tmp_path)])
    done = CliRunner().invoke(_app._made(), ["say-seed", "--seed", "3"])
    sys.modules.pop("nakami.cli.commands.say_seed", None)
    assert done.output == "seed 3\n"


@pytest.mark.parametrize("name", _app.COMMANDS)
def test_every_command_says_what_it_does_and_takes_groups(name):
    command = _app.COMMANDS[name]
    assert re.match(r"[A-Z].*[.?]", command.run.__doc__)
    kinds = [p.annotation for p in signature(command.run, eval_str=True).parameters.values()]
    groups = [kind for kind in kinds if isinstance(kind, type) and is_dataclass(kind)]
    assert groups
    names = [f.name for group in groups for f in fields(group)]
    assert len(names) == len(set(names))


@dataclass(frozen=True)
class Group:
    top: Annotated[int, typer.Option(), Stands(("k",))] = 1


def test_a_refusal_names_the_option_that_was_typed():
    def run(group: Group, *, long_name: int = 2) -> None:
        """Refuse."""

    options = Command(run).options()
    assert options == {"k": "--top", "long_name": "--long-name"}
    assert wrong("k", "fit", 3, "lower {k}").worded(options.get) == (
        "--top must fit, got 3; lower --top."
    )
