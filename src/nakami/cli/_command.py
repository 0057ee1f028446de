"""A command made of option groups: dataclasses whose fields are options."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from contextvars import ContextVar
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, TextIO, get_args, get_origin, get_type_hints

import typer

running: ContextVar[Command | None] = ContextVar("running", default=None)
answers: ContextVar[TextIO | None] = ContextVar("answers", default=None)  # where JSON goes
place: ContextVar[Path | None] = ContextVar("place", default=None)  # folder of its run, once known


class Stands(tuple[str, ...]):
    """Arguments of the library that an option stands for, where they have other names."""


THEORY = ("theory", "What theory says of networks, samplers and transport, without a network.")
DATA = ("data", "Your own files: what is in them, and how it becomes numbers.")


@dataclass(frozen=True)
class Command:
    """A command; each module of ``nakami.cli.commands`` holds one, and is named after it.

    Attributes:
        run: Called with what was typed; its docstring is the help. An argument that is typed as a
            dataclass is a group: each of its fields is an option. The others are options
            themselves. What is heavy is imported in its body.
        group: The command that it stands under, and the help of that: ``("theory", "...")``.
        goes_on: Whether it continues what a stopped one has left; others start anew.
    """

    run: Callable[..., None]
    group: tuple[str, str] | None = None
    goes_on: bool = False

    def function(self) -> Callable[..., None]:
        """``run`` with the options of all groups side by side, as typer reads it."""
        groups = dict(self._groups())

        def call(**given: Any) -> None:
            running.set(self)
            from nakami.results import as_path  # here, as it brings NumPy, which --help leaves out

            for name, value in given.items():
                if isinstance(value, Path):
                    as_path(self.options().get(name, name), value)
            made = {
                name: group(**{f.name: given.pop(f.name) for f in fields(group)})
                for name, group in groups.items()
            }
            if not any(getattr(group, "as_json", False) for group in made.values()):
                self.run(**given, **made)
                return
            token = answers.set(sys.stdout)  # which networks that print would mix into JSON
            try:
                with redirect_stdout(sys.stderr):
                    self.run(**given, **made)
            finally:
                answers.reset(token)

        call.__doc__ = self.run.__doc__
        call.__signature__ = inspect.Signature(list(self._parameters()))  # type: ignore[attr-defined]
        return call

    def options(self) -> dict[str, str]:
        """The option that stands for each argument of the library: ``{"k": "--top"}``."""
        found: dict[str, str] = {}
        for parameter in self._parameters():
            _, *about = get_args(parameter.annotation)
            option = next((a for a in about if isinstance(a, typer.models.OptionInfo)), None)
            if option is not None:
                stands = next((a for a in about if isinstance(a, Stands)), (parameter.name,))
                declared = (option.default, *(option.param_decls or ()))  # as typer keeps them
                typed = next((d for d in declared if str(d).startswith("-")), None)
                found |= dict.fromkeys(stands, typed or f"--{parameter.name.replace('_', '-')}")
        return found

    def _groups(self) -> Iterator[tuple[str, type[Any]]]:
        for parameter in inspect.signature(self.run, eval_str=True).parameters.values():
            if isinstance(parameter.annotation, type) and is_dataclass(parameter.annotation):
                yield parameter.name, parameter.annotation

    def _parameters(self) -> Iterator[inspect.Parameter]:
        groups = dict(self._groups())
        for parameter in inspect.signature(self.run, eval_str=True).parameters.values():
            if parameter.name not in groups:
                yield _parameter(parameter.name, parameter.annotation, parameter.default)
                continue
            hints = get_type_hints(groups[parameter.name], include_extras=True)
            for field in fields(groups[parameter.name]):
                yield _parameter(field.name, hints[field.name], field.default)


def _parameter(name: str, hint: Any, default: Any) -> inspect.Parameter:
    hint = hint if get_origin(hint) is Annotated else Annotated[hint, typer.Option()]
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, default=default, annotation=hint)
