"""Write the table of docs/zoo.md from the entries of the zoo.

python tools/zoo_page.py
"""

from __future__ import annotations

from pathlib import Path

from nakami import zoo

PAGE = Path(__file__).parents[1] / "docs" / "zoo.md"
BEGIN, END = "<!-- made by tools/zoo_page.py -->\n", "<!-- end -->\n"
HEAD = ("name", "takes", "gives", "parameters", "pictures", "state dict of", "published")


def table() -> str:
    """One row for each entry, in Markdown."""
    rows = [HEAD, ("---",) * len(HEAD)]
    for name, entry in zoo.ENTRIES.items():
        takes, gives = (" x ".join(map(str, shape)) for shape in (entry.input, entry.output))
        takes += f" of {entry.tokens} tokens" if entry.tokens else ""
        count, pictures = f"{entry.parameters:,}", f"`{entry.preprocessing}`"
        rows.append((f"`{name}`", takes, gives, count, pictures, entry.state, entry.origin))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def page(text: str) -> str:
    """The page with its table made anew."""
    before, rest = text.split(BEGIN)
    return before + BEGIN + table() + END + rest.split(END)[1]


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
