"""The command line, made of the commands that are there."""

from __future__ import annotations

from typing import Annotated

import typer

from nakami.results import Entries

from ._command import Command
from ._processes import leave_to_the_first

COMMANDS = Entries("nakami.cli.commands", Command, "command")


def _version(wanted: bool) -> None:
    if wanted:
        from nakami import __version__

        typer.echo(f"nakami {__version__}")
        raise typer.Exit


def _root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    if context.invoked_subcommand != "train":  # which may take all of them
        leave_to_the_first()
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def _group(text: str) -> typer.Typer:
    group = typer.Typer(help=text, no_args_is_help=True, rich_markup_mode="rich")
    group.callback()(lambda: None)  # a group also where it has one command
    return group


def _made() -> typer.Typer:
    made = typer.Typer(
        name="nakami",
        help="See inside a neural network: the singular values of its Jacobians, by depth.",
        epilog="Start with `nakami xray`: it measures a shipped example and writes a page.",
        add_completion=False,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
    )
    made.callback(invoke_without_command=True)(_root)
    groups: dict[str, typer.Typer] = {}
    for name, command in COMMANDS.items():
        into = made
        if command.group is not None:
            title, text = command.group
            if title not in groups:
                groups[title] = _group(text)
                made.add_typer(groups[title], name=title)
            into = groups[title]
        into.command(name)(command.function())
    return made


app = _made()
command = typer.main.get_command(app)  # once, however often it is run in a process
