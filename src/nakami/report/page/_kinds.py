"""Kinds of pages: which results have one, and what it is made of."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, final

from nakami.results import Entries, wrong_type

from ..charts._chart import Chart
from ._sections import Frame, Page, Section

About = Mapping[str, Any]


@final
@dataclass(frozen=True)
class PageKind:
    """The page of one kind of result; each is an ``ENTRY`` in a folder or file of ``pages``.

    Attributes:
        results: The types it is for, as ``"module:Class"``. Nothing is imported to look at them.
        read: Puts a result, and what was said about it, in the order in which it is told; refuses
            what cannot be told.
        frame: From what ``read`` returns: all but the sections.
        sections: In order; from the same, a section, or None where there is nothing to say.
    """

    results: tuple[str, ...]
    read: Callable[[Any, About], Any]
    frame: Callable[[Any, list[Section]], Frame]
    sections: tuple[Callable[[Any], Section | None], ...]

    def takes(self, result: object) -> bool:
        """Whether the result is of one of the types."""
        return _is_one_of(result, self.results)

    def page(self, result: object, about: About) -> Page:
        """The page of a result of this kind."""
        told = self.read(result, about)
        sections = [section for make in self.sections if (section := make(told)) is not None]
        return Page(self.frame(told, sections), sections)


@final
@dataclass(frozen=True)
class ChartKind:
    """Charts of results without a page; each is an ``ENTRY`` in a file of ``plots``.

    Attributes:
        results: As for ``PageKind``.
        draw: The charts of a result.
    """

    results: tuple[str, ...]
    draw: Callable[[Any], list[Chart]]

    def takes(self, result: object) -> bool:
        """Whether the result is of one of the types."""
        return _is_one_of(result, self.results)


def _is_one_of(result: object, names: tuple[str, ...]) -> bool:
    for name in names:
        module, _, kind = name.partition(":")
        # a module that was never imported has made no result
        if module in sys.modules and isinstance(result, getattr(sys.modules[module], kind)):
            return True
    return False


KINDS = Entries("nakami.report.pages", PageKind, "page")
PLOTS = Entries("nakami.report.plots", ChartKind, "chart")


def charts_of(result: object, about: About | None = None) -> tuple[list[Chart], int]:
    """The charts of any result that has some, and how many colours its curves need.

    Raises:
        UsageTypeError: As ``page_of``.
    """
    for _, kind in PLOTS.items():
        if kind.takes(result):
            return kind.draw(result), 2
    page = page_of(result, about)
    return page.charts, page.frame.n_curves


def page_of(result: object, about: About | None = None) -> Page:
    """The page of any result that has one.

    Raises:
        UsageTypeError: No kind of page takes the result.
    """
    kinds = [kind for _, kind in KINDS.items()]
    for kind in kinds:
        if kind.takes(result):
            return kind.page(result, about or {})
    names = [name.rpartition(":")[2] for kind in kinds for name in kind.results]
    some = f"{', '.join(names[:-1])} or {names[-1]}"
    got, way_out = type(result).__name__, "pass nakami.load(folder), or what nakami.xray returns"
    raise wrong_type("result", f"be one of {some}", got, way_out)
