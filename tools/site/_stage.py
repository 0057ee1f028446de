"""All pages of the site as Markdown in one folder: those of docs/ and those that are generated."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

from . import _api, _commands, _gallery
from ._links import Links

BESIDE = {  # pages of the repository outside of docs/
    "README.md": "overview",
    "CONTRIBUTING.md": "contributing",
    "CHANGELOG.md": "changelog",
    "examples/README.md": "examples",
    "reproductions/DATA.md": "reproductions-data",
    "reproductions": "gallery/index",
    "reproductions/results": "gallery/index",
    "benchmarks/results": "benchmarks",
}
RESULTS = "benchmarks"


def stage(root: Path, out: Path) -> None:
    """Write the pages of the site to ``out``, and remove what lay there besides."""
    sources = sources_of(root)
    links = Links(root, out, sources | _gallery.pages_of(root))
    pages = {"index": front(root), "commands": _commands.page(), RESULTS: measured(root, links)}
    links.copied(root / "docs" / "images" / "page.png", "index")
    for source, page in sources.items():
        if source.is_file():
            pages[page] = links.turned(source.read_text("utf-8"), source, page)
    lay(out, pages | _gallery.pages(root, links) | _api.pages())


def sources_of(root: Path) -> dict[Path, str]:
    """The page of each Markdown file, and of folders that one page stands for."""
    docs = root / "docs"
    own = {f: f.relative_to(docs).with_suffix("").as_posix() for f in sorted(docs.rglob("*.md"))}
    return {root / name: page for name, page in BESIDE.items()} | own


def measured(root: Path, links: Links) -> str:
    """The page of all results of benchmarks, as their scripts have left them."""
    text = "# Results of benchmarks\n\nRepeats, versions and machine of each number in "
    text += "[Measurements](measurements.md), as the scripts wrote them.\n\n"
    for file in sorted((root / "benchmarks" / "results").glob("*.json")):
        text += f"* [{file.name}]({links.copied(file, RESULTS)})\n"
    return text


def lay(out: Path, pages: Mapping[str, str]) -> None:
    """The pages as files; one that did not change is left alone and not read by Sphinx again."""
    files = {out / f"{page}.md": text for page, text in pages.items()}
    for file in set(out.rglob("*.md")) - set(files):
        file.unlink()
    for file, text in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists() or file.read_text("utf-8") != text:
            file.write_text(text, "utf-8")


def front(root: Path) -> str:
    """The first page, with the order of all others."""
    sections = tomllib.loads((root / "docs" / "nav.toml").read_text("utf-8"))["section"]
    text = (Path(__file__).parent / "front.md").read_text("utf-8")
    for section in sections:
        pages = "\n".join(section["pages"])
        text += f"\n```{{toctree}}\n:hidden:\n:caption: {section['name']}\n\n{pages}\n```\n"
    return text
