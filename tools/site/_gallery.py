"""The gallery: a page for each reproduction, figure first."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ._links import Links

KEPT = (".svg", ".png")  # figures that a script left beside its table
INTRODUCTION = """# Gallery

Figures and statements of the literature, measured: a page for each reproduction, with its figure,
what the source states, what we found, and the protocol. What the numbers mean is discussed in
[Reproductions](../reproductions.md).
"""


@dataclass(frozen=True)
class Reproduction:
    """A row of the table of docs/reproductions.md, and what belongs to it.

    Attributes:
        script: Its file. what, theirs, ours: Cells of the row.
        figures: Entries of docs/gallery.toml.
    """

    script: Path
    what: str
    theirs: str
    ours: str
    figures: list[dict[str, Any]]

    @property
    def name(self) -> str:
        """Of the script, without its ending."""
        return self.script.stem

    @property
    def page(self) -> str:
        """Page of the site."""
        return f"gallery/{self.name}"

    @property
    def results(self) -> list[Path]:
        """Its tables: most have one, some one for each setting."""
        folder = self.script.parent / "results"
        files = [folder / f"{self.name}.md", *sorted(folder.glob(f"{self.name}_[0-9]*.md"))]
        return [file for file in files if file.exists()]

    @property
    def kept(self) -> list[Path]:
        """Figures that the script has drawn."""
        beside = (file.with_suffix(ending) for file in self.results for ending in KEPT)
        return [file for file in beside if file.exists()]

    @property
    def docstring(self) -> str:
        """Of the script: its protocol."""
        return ast.get_docstring(ast.parse(self.script.read_text("utf-8"))) or ""

    @property
    def title(self) -> str:
        """The head of its table, else the first sentence of the script."""
        for file in self.results[:1]:
            return file.read_text("utf-8").partition("\n")[0].removeprefix("# ")
        return self.docstring.partition("\n")[0].rstrip(".")


def reproductions(root: Path) -> list[Reproduction]:
    """All of them, in the order of the table."""
    text = (root / "docs" / "reproductions.md").read_text("utf-8")
    figures = tomllib.loads((root / "docs" / "gallery.toml").read_text("utf-8"))
    found = []
    for line in text.splitlines():
        if line.startswith("| `"):
            script, what, theirs, *ours = line.strip("| ").split(" | ")
            file = root / "reproductions" / script.strip("`")
            entries = figures.get(file.stem, [])
            found.append(Reproduction(file, what, theirs, " | ".join(ours), entries))
    return found


def pages_of(root: Path) -> dict[Path, str]:
    """Page of the site for each script and each of its tables."""
    return {file: one.page for one in reproductions(root) for file in (one.script, *one.results)}


def pages(root: Path, links: Links) -> dict[str, str]:
    """All pages of the gallery, and the one that lists them; figures are drawn on the way."""
    table = root / "docs" / "reproductions.md"
    made, cards, order = {}, [], []
    for one in reproductions(root):
        shown = [*_kept(one, links), *_drawn(one, links)]
        made[one.page] = _page(one, shown, links, table)
        first = f"[{shown[0]}]({one.name}.md)\n\n" if shown else ""
        words = f"[{one.title}]({one.name}.md): {one.what}"
        cards.append(f"```{{container}} card\n{first}{words}\n```")
        order.append(one.name)
    contents = "```{toctree}\n:hidden:\n\n" + "\n".join(order) + "\n```"
    grid = "````{container} cards\n" + "\n".join(cards) + "\n````"
    return made | {"gallery/index": f"{INTRODUCTION}\n{grid}\n\n{contents}\n"}


def _kept(one: Reproduction, links: Links) -> Iterator[str]:
    for file in one.kept:
        yield links.turned(f"![{one.title}]({file.name})", file, one.page)


def _drawn(one: Reproduction, links: Links) -> Iterator[str]:
    from ._figures import Figure, draw

    for number, entry in enumerate(one.figures, 1):
        if "reason" not in entry:
            target = links.out / "gallery" / "figures" / f"{one.name}-{number}.png"
            draw(Figure(**entry), one.results[0].read_text("utf-8"), target, one.title)
            yield f"![{one.title}: {entry['axis']}](figures/{target.name})"


def _page(one: Reproduction, shown: list[str], links: Links, table: Path) -> str:
    why = [entry["reason"] for entry in one.figures if "reason" in entry]
    ours = re.sub(r"^\[table\]\([^)]*\)(?:[:,] |$)", "", one.ours) or "see the table."
    facts = f"**Theirs**: {one.theirs}\n\n**Ours**: {ours}\n"
    parts = [f"# {one.title}\n", f"{one.what[0].upper()}{one.what[1:]}.\n", *shown, *why]
    parts.append(links.turned(facts, table, one.page))
    for file in one.results:
        title, _, body = file.read_text("utf-8").partition("\n")
        head = "## Results\n" if len(one.results) == 1 else f"#{title}\n"
        body = re.sub(r"^!\[[^\]]*\]\([^)]*\)$", "", body, flags=re.MULTILINE)  # shown above
        deeper = re.sub(r"^##", "###", body, flags=re.MULTILINE)
        parts.append(head + links.turned(deeper, file, one.page))
    parts.append(f"## Protocol\n\nThe docstring of `reproductions/{one.script.name}`:\n")
    parts.append(f"```{{code-block}} text\n:class: protocol\n\n{one.docstring}\n```\n")
    return "\n\n".join(parts)
