"""Colours of the page: every colour is a CSS variable with a value for light and for dark paper."""

from __future__ import annotations

import tomllib
from pathlib import Path

LIGHT, DARK = "light", "dark"
_TABLES = tomllib.loads((Path(__file__).parent / "assets" / "palette.toml").read_text("utf-8"))
BASE: dict[str, dict[str, str]] = _TABLES["base"]
DEPTH, NAMES, SIGNED = (
    {theme: text.split() for theme, text in _TABLES[name].items()}
    for name in ("depth", "names", "signed")
)


def variables(n_curves: int) -> dict[str, dict[str, str]]:
    """CSS variables for each theme, with ``d1..dn`` for curves and ``t1..tn`` for their names."""
    return {
        theme: {
            **base,
            **_numbered("d", DEPTH[theme], n_curves),
            **_numbered("t", NAMES[theme], n_curves),
            "lut": f"url(#lut-{theme})",
            "grad": f"linear-gradient(90deg, {', '.join(f'#{c}' for c in SIGNED[theme])})",
            "inv": "invert(1)" if theme == LIGHT else "none",
        }
        for theme, base in BASE.items()
    }


def filters() -> dict[str, list[str]]:
    """For each theme the three tables (red, green, blue) of the SVG filter that colours grey."""
    return {
        theme: [" ".join(f"{int(c[i : i + 2], 16) / 255:.3f}" for c in map_) for i in (0, 2, 4)]
        for theme, map_ in SIGNED.items()
    }


def _numbered(letter: str, table: list[str], n: int) -> dict[str, str]:
    """Colours spread over the table; the last one where there is but one."""
    last = len(table) - 1
    at = [round(i * last / (n - 1)) for i in range(n)] if n > 1 else [last]
    return {f"{letter}{i}": f"#{table[k]}" for i, k in enumerate(at, 1)}
