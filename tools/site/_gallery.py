"""The gallery: a page for each reproduction, figure first."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

from ._links import Links

FIGURES = (".svg", ".png")


@dataclass(frozen=True)
class Row:
    """A row of the table of docs/reproductions.md."""

    script: Path
    what: str
    theirs: str
    ours: str


def rows(root: Path) -> list[Row]:
    """The reproductions, in the order of the table."""
    text = (root / "docs" / "reproductions.md").read_text("utf-8")
    cells = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| `")]
    return [
        Row(root / "reproductions" / script.strip("`"), what, theirs, " | ".join(ours))
        for script, what, theirs, *ours in cells
    ]


def results_of(row: Row) -> list[Path]:
    """Tables of a reproduction: most have one, some one for each setting."""
    folder = row.script.parent / "results"
    return sorted(f for f in folder.glob(f"{row.script.stem}*.md"))


def pages_of(root: Path) -> dict[Path, str]:
    """Page of the site for each script and each of its tables."""
    pages = {}
    for row in rows(root):
        page = f"gallery/{row.script.stem}"
        pages |= dict.fromkeys([row.script, *results_of(row)], page)
    return pages


def pages(root: Path, links: Links) -> dict[str, str]:
    """All pages of the gallery, and the one that lists them."""
    table = root / "docs" / "reproductions.md"
    made = {}
    for row in rows(root):
        page = f"gallery/{row.script.stem}"
        made[page] = _page(row, links, table, page)
    names = "\n".join(row.script.stem for row in rows(root))
    about = "Figures and statements of the literature, measured."
    contents = f"```{{toctree}}\n:maxdepth: 1\n\n{names}\n```"
    return made | {"gallery/index": f"# Gallery\n\n{about}\n\n{contents}\n"}


def _page(row: Row, links: Links, table: Path, page: str) -> str:
    facts = f"**Theirs**: {row.theirs}\n\n**Ours**: {row.ours}\n"
    parts = [f"# {row.script.stem}\n\n{row.what}\n", links.turned(facts, table, page)]
    for result in results_of(row):
        for figure in (result.with_suffix(ending) for ending in FIGURES):
            if figure.exists():
                shown = f"![{row.what}]({figure.name})\n"
                parts.insert(1, links.turned(shown, result, page))
        text = re.sub(r"^#", "##", result.read_text("utf-8"), flags=re.MULTILINE)
        parts.append(links.turned(text, result, page))
    protocol = ast.get_docstring(ast.parse(row.script.read_text("utf-8"))) or ""
    parts.append(f"## Protocol\n\n```text\n{protocol}\n```\n")
    return "\n".join(parts)
