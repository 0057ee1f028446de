"""The reference: every public name of every room, documented once, at its shortest path."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from typing import Any


def rooms(package: str = "nakami") -> list[str]:
    """Public packages, from the top: those with an ``__all__``, the command line left out."""
    module = importlib.import_module(package)
    if package == "nakami.cli" or not getattr(module, "__all__", []):
        return []
    below = (m.name for m in pkgutil.iter_modules(module.__path__) if m.ispkg)
    inner = (rooms(f"{package}.{name}") for name in below if not name.startswith("_"))
    return [package, *(name for names in inner for name in names)]


def public_names() -> dict[str, Any]:
    """Every public name with what it stands for."""
    return {
        f"{room}.{name}": getattr(importlib.import_module(room), name)
        for room in rooms()
        for name in importlib.import_module(room).__all__
    }


def homes(names: dict[str, Any]) -> dict[str, str]:
    """The path at which each public name is documented.

    Functions and classes that several rooms offer are documented where the path is shortest, and
    among equally long ones in the room that they are written in.
    """
    chosen: dict[int, str] = {}
    for path, value in names.items():
        if _shared(value):
            best = chosen.get(id(value))
            if best is None or _rank(path, value) < _rank(best, value):
                chosen[id(value)] = path
    return {path: chosen.get(id(value), path) for path, value in names.items()}


def _shared(value: Any) -> bool:
    return inspect.isclass(value) or inspect.isfunction(value)


def _rank(path: str, value: Any) -> tuple[int, bool]:
    room = path.rpartition(".")[0]
    return path.count("."), not value.__module__.startswith(room)


def pages() -> dict[str, str]:
    """A page for each room, and the one that lists them."""
    names = public_names()
    home = homes(names)
    made = {}
    for room in rooms():
        own = {path: names[path] for path in names if path.rpartition(".")[0] == room}
        made[f"api/{room}"] = _page(room, own, home)
    contents = "\n".join(rooms())
    return made | {"api/index": f"# API\n\n```{{toctree}}\n:maxdepth: 1\n\n{contents}\n```\n"}


def _page(room: str, names: dict[str, Any], home: dict[str, str]) -> str:
    about = inspect.getdoc(importlib.import_module(room)) or ""
    rows = "\n".join(_row(path, value, home[path]) for path, value in names.items())
    table = f"| name | |\n| --- | --- |\n{rows}\n"
    entries = "\n".join(_entry(path, value) for path, value in names.items() if home[path] == path)
    return f"# {room}\n\n{about}\n\n{table}\n```{{eval-rst}}\n{entries}\n```\n"


def _row(path: str, value: Any, home: str) -> str:
    name = path.rpartition(".")[2]
    about = (inspect.getdoc(value) or "").partition("\n\n")[0] if _shared(value) else ""
    about = " ".join(about.split()).replace("|", "\\|")
    return f"| {{py:obj}}`{name} <{home}>` | {about} |"


def _entry(path: str, value: Any) -> str:
    if inspect.isclass(value):
        kind = "exception" if issubclass(value, BaseException) else "class"
    else:
        kind = "function" if inspect.isroutine(value) else "data"
    return f".. auto{kind}:: {path}\n"
