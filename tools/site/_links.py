"""Links of the repository's pages, turned into links of the site."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^()\s]+)\)")
FENCE = re.compile(r"^ *(```|:::)")


class BrokenLink(ValueError):
    """A link of a page that leads nowhere."""


@dataclass(frozen=True)
class Links:
    """Where the files of the repository stand in the site.

    Args:
        root: The repository.
        out: Folder of the site's pages.
        pages: Page of the site, without its ending, of each file or folder that has one.
    """

    root: Path
    out: Path
    pages: Mapping[Path, str]

    def turned(self, text: str, source: Path, page: str) -> str:
        """The text of ``source`` as it stands at ``page``."""
        return _outside_code(text, lambda part: LINK.sub(self._turn(source, page), part))

    def _turn(self, source: Path, page: str) -> Callable[[re.Match[str]], str]:
        here = (self.out / page).parent

        def turn(match: re.Match[str]) -> str:
            image, words, target = match.groups()
            if "://" in target or target.startswith("mailto:"):
                check_external(target, source)
                return match[0]
            path, hash_, anchor = target.partition("#")
            if not path:
                return match[0]
            wanted = (source.parent / path).resolve()
            if not wanted.exists():
                raise BrokenLink(f"{source.relative_to(self.root)}: {target} does not exist.")
            if wanted in self.pages:
                to = os.path.relpath(self.out / f"{self.pages[wanted]}.md", here)
            elif wanted.suffix == ".md":
                raise BrokenLink(f"{target} is no page of the site; add it to BESIDE in _stage.py.")
            elif wanted.is_file():
                to = self.copied(wanted, page)
            else:
                return words  # a folder is no page
            return f"{image}[{words}]({to}{hash_}{anchor})"

        return turn

    def copied(self, file: Path, page: str) -> str:
        """The way from a page to a file that is none, copied beside the pages."""
        copy = self.out / "files" / file.relative_to(self.root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, copy)
        return os.path.relpath(copy, (self.out / page).parent)


def check_external(target: str, source: Path) -> None:
    """An address must have a scheme and a host; a build has no network to ask more."""
    parts = urlsplit(target)
    if parts.scheme not in ("http", "https") or "." not in parts.netloc:
        raise BrokenLink(f"{source.name}: {target} is no address of the web.")


def _outside_code(text: str, change: Callable[[str], str]) -> str:
    return "".join(part if code else change(part) for code, part in _parts(text))


def _parts(text: str) -> Iterator[tuple[bool, str]]:
    """Fenced code and what stands between, in turns."""
    held: list[str] = []
    fence = ""
    for line in text.splitlines(keepends=True):
        mark = FENCE.match(line)
        opens = mark is not None and not fence
        closes = mark is not None and fence == mark[1] and line.strip() == fence
        if opens:
            yield False, "".join(held)
            held, fence = [], mark[1]  # type: ignore[index]
        held.append(line)
        if closes:
            yield True, "".join(held)
            held, fence = [], ""
    yield bool(fence), "".join(held)
