"""The page of the command line: every command with its options, read from the command itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer

from nakami.cli._app import app

MARKUP = re.compile(r"\[/?[a-z ]*\]")  # of rich: [bold]word[/]
SPECIAL = re.compile(r"([*_<>|\[\]])")
INTRODUCTION = """# Command line

Every command has `--help`. An option with several values takes them with commas, or is given more
than once.
"""


def page() -> str:
    """All commands, those of a group after it."""
    return "\n\n".join([INTRODUCTION, *(_section(*each) for each in commands())]) + "\n"


def commands() -> Iterator[tuple[str, Any]]:
    """Each command with its full name, from the top."""
    todo: list[tuple[str, Any]] = [("nakami", typer.main.get_command(app))]
    while todo:
        name, command = todo.pop(0)
        yield name, command
        below = [(f"{name} {word}", one) for word, one in getattr(command, "commands", {}).items()]
        todo = below + todo


def _section(name: str, command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and not p.hidden]
    words = [name, *(f"[{p.name.upper()}]" for p in arguments)]
    parts = [f"## `{name}`", f"```text\n{' '.join(words)}{' [OPTIONS]' if options else ''}\n```"]
    parts += [_text(command.help or "")]
    if arguments or options:
        rows = [f"| {_name(p)} | {_about(p)} |" for p in (*arguments, *options)]
        parts.append("| | |\n| --- | --- |\n" + "\n".join(rows))
    return "\n\n".join(parts)


def _name(option: Any) -> str:
    if option.param_type_name == "argument":
        return f"`{option.name.upper()}`"
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    return f"{names} {option.metavar or ''}".strip()


def _about(option: Any) -> str:
    text, default = _text(option.help or ""), option.default
    if default in (None, False, (), "") or "default:" in text.lower() or not option.show_default:
        return text
    shown = ",".join(map(str, default)) if isinstance(default, (tuple, list)) else str(default)
    return f"{text} Default: `{shown}`."


def _text(text: str) -> str:
    """Help as Markdown: without the markup of terminals, signs of Markdown as they are."""
    parts = MARKUP.sub("", text).split("`")
    outside = [SPECIAL.sub(r"\\\1", part) for part in parts[::2]]
    parts[::2] = outside
    return "`".join(parts)
