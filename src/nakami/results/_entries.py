"""Registries made of entries: one public module of a package each, one object ``ENTRY`` in it.

A new entry is a new file: nothing lists the entries by hand. Names come from file names, so that
listing them imports nothing.
"""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Generic, TypeVar, final

from ._errors import unknown

E = TypeVar("E")
ATTRIBUTE = "ENTRY"


@final
class Entries(Generic[E]):
    """The entries of a package, by name; a module is imported when its entry is asked for.

    The name is that of the file without ending, ``_`` written as ``-``: ``vgg16_features.py`` holds
    ``vgg16-features``. Files that start with ``_`` hold none. Folders added to the package's
    ``__path__`` are searched too.

    Args:
        package: Name of the package, for example ``"nakami.zoo"``; not a file's own name.
        kind: What each ``ENTRY`` is an instance of.
        noun: What an entry is called in errors, for example ``"model"``.
    """

    def __init__(self, package: str, kind: type[E], noun: str):
        self._package, self._kind, self._noun = package, kind, noun

    @property
    def names(self) -> tuple[str, ...]:
        """All names, sorted. Reads folders and imports no entry."""
        path = (sys.modules.get(self._package) or import_module(self._package)).__path__
        files = {found.name for found in pkgutil.iter_modules(path)}
        return tuple(sorted(file.replace("_", "-") for file in files if file[0] != "_"))

    def __getitem__(self, name: str) -> E:
        """The entry of this name.

        Raises:
            UsageError: No such name; the sentence offers the nearest.
            TypeError: The module has no ``ENTRY`` of the right kind.
        """
        if name not in self:
            raise unknown(self._noun, name, self.names)
        module = import_module(f"{self._package}.{name.replace('-', '_')}")
        entry = getattr(module, ATTRIBUTE, None)
        if not isinstance(entry, self._kind):
            raise TypeError(
                f"{module.__name__}.{ATTRIBUTE} must be of type {self._kind.__name__}, got "
                f"{type(entry).__name__}; write {ATTRIBUTE} = {self._kind.__name__}(...), or start "
                f"the file's name with _ if it holds no {self._noun}."
            )
        return entry

    def full(self, name: str) -> str:
        """The whole name: ``dbn`` is ``dbn-digits`` where one name alone starts with ``dbn-``."""
        longer = [known for known in self.names if known.startswith(f"{name}-")]
        return longer[0] if name not in self and len(longer) == 1 else name

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def items(self) -> Iterator[tuple[str, E]]:
        """Every name with its entry; imports all modules."""
        return ((name, self[name]) for name in self.names)
