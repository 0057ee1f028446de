"""Public names of a package that are imported on first use."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from itertools import takewhile
from typing import Any, TypeAlias

Getter: TypeAlias = Callable[[str], Any]
Lister: TypeAlias = Callable[[], list[str]]


def lazy(package: str, *rooms: str) -> tuple[Getter, Lister, list[str]]:
    """What a package's ``__init__`` assigns to ``__getattr__``, ``__dir__`` and ``__all__``.

    Each public name is written once: the imports below ``if TYPE_CHECKING:`` in that file, which
    type checkers follow, are read from its source, and carried out when a name is asked for.

    Args:
        package: ``__name__`` of the package.
        rooms: Submodules that are attributes as well.
    """
    homes = _exports(package)

    def get(name: str) -> Any:
        if name in homes:
            value = getattr(import_module(homes[name], package), name)
            setattr(sys.modules[package], name, value)
            return value
        if name in rooms:
            return import_module(f"{package}.{name}")
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes, *rooms})

    return get, names, sorted(homes)


def _exports(package: str) -> dict[str, str]:
    """The module that each name below ``if TYPE_CHECKING:`` comes from, a line for each.

    Read as text: to parse it as Python would take as long as all else at the start.
    """
    spec = sys.modules[package].__spec__
    source: str = spec.loader.get_source(package) if spec else ""  # type: ignore[union-attr]
    _, _, rest = source.partition("\nif TYPE_CHECKING:\n")
    homes = {}
    for line in takewhile(lambda line: line.startswith("    "), rest.splitlines()):
        _from, module, _import, name, _as, again = line.split()
        assert (_from, _import, _as, name) == ("from", "import", "as", again), line
        if module.strip("."):  # else a room, which is an attribute as well
            homes[name] = module
    return homes
