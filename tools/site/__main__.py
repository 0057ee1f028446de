"""Build the documentation site: pages of docs/, the gallery of reproductions and the API.

    python -m tools.site                 into site/, warnings are errors
    python -m tools.site --out elsewhere

Pages are written to build/site-pages first, with their links turned to each other, and Sphinx makes
HTML of them. The site needs no network and can be read from the folder. Needs the extra docs.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from ._stage import stage

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "site"
OWN = ("genindex.html", "search.html")  # pages of Sphinx


def main(arguments: list[str]) -> int:
    """Write all pages, then let Sphinx make HTML of them; the exit code of Sphinx."""
    parser = argparse.ArgumentParser(prog="python -m tools.site", description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "site")
    out = parser.parse_args(arguments).out
    stage(ROOT, BUILD / "pages")
    return render(BUILD / "pages", out, BUILD / "kept")


def render(pages: Path, out: Path, kept: Path) -> int:
    """HTML by Sphinx, where a warning is an error; 0 where there was none.

    Args:
        pages: Folder of the pages, ``index.md`` among them.
        out: Folder of the site.
        kept: Folder of what Sphinx keeps of a page, so that the next build makes again only what
            changed. Removed after a warning, which would not be given again.
    """
    from sphinx.cmd.build import main as sphinx

    settings = Path(__file__).parent
    code = sphinx(["-q", "-W", "-c", str(settings), "-d", str(kept), str(pages), str(out)])
    if code:
        shutil.rmtree(kept, ignore_errors=True)
    for file in out.rglob("*.html"):  # of pages that are none any more
        page = pages / file.relative_to(out).with_suffix(".md")
        if not page.exists() and file.name not in OWN:
            file.unlink()
    return int(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
