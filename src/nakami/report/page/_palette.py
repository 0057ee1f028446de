"""Colours of the page: every colour is a CSS variable with a value for light and for dark paper."""

from __future__ import annotations

LIGHT, DARK = "light", "dark"
BASE = {
    LIGHT: {
        "paper": "#FBFAF7", "wash": "#F3F1EB", "ink": "#1A1C1F", "ink-2": "#474C52",
        "ink-3": "#676D74", "rule": "#DFDCD4", "accent": "#1B5E93", "before": "#6B7076",
        "after": "#0B6A8A",
    },
    DARK: {
        "paper": "#131518", "wash": "#1B1E22", "ink": "#ECE9E2", "ink-2": "#B9BBBD",
        "ink-3": "#8F9498", "rule": "#2E3237", "accent": "#86B9EA", "before": "#8C9196",
        "after": "#5CC0DE",
    },
}  # fmt: skip


def _table(text: str) -> list[str]:
    return text.split()


# Tables of 33 colours, evenly spaced in OKLab between those of the design; a test makes them again.
DEPTH = {  # from the first stage to the last
    LIGHT: _table(
        "B7801A B77D25 B77A2E B77735 B7733B B77041 B76D46 B7694B B7664F B66353 B65F57 "
        "B65B5A B6585E B65461 B65064 B54B67 B5476A AD476D A5476F 9D4772 954674 8D4677 "
        "854579 7D447B 75427D 6D417F 663F81 5E3D82 563B84 4E3986 473687 3F3389 37308A"
    ),
    DARK: _table(
        "E9B949 E9B651 E9B259 E9AF60 E9AC66 E8A86C E8A571 E8A176 E89E7B E89A80 E89684 "
        "E79389 E78F8D E78B91 E78795 E68398 E67F9C E281A2 DD82A8 D984AE D585B3 D087B9 "
        "CC88BF C789C4 C38ACA BE8BCF B98CD5 B58DDA B08DE0 AB8EE5 A68EEA A18FF0 9C8FF5"
    ),
}
NAMES = {  # the same, dark enough for text: contrast 4.6 on the paper
    LIGHT: _table(
        "9A6500 9D6500 9D620A A0621C A46128 A45E2F A75E37 AA5D3F AA5A44 AC5A4A AF5951 "
        "AF5554 B3555B B3515E B65064 B54B67 B5476A AD476D A5476F 9D4772 954674 8D4677 "
        "854579 7D447B 75427D 6D417F 663F81 5E3D82 563B84 4E3986 473687 3F3389 37308A"
    ),
    DARK: DEPTH[DARK],
}
SIGNED = {  # from -1 to +1
    LIGHT: _table(
        "0B3C6F 124579 184E82 1E578C 256096 2B69A0 3273AA 387CB5 3F86BF 5794C7 6DA3CE "
        "82B1D5 98BFDC AECEE3 C8DDEA E1EBF1 FBFAF7 F8E7D8 F5D4B9 F1C19A EAAF83 E29D6E "
        "DA8B59 D27943 C9662A BD5E25 B25520 A74D1C 9B4517 903D12 85360D 7B2E08 702604"
    ),
    DARK: _table(
        "CBE6FF BDDEFB B0D5F7 A2CDF2 94C5EE 86BCEA 78B4E5 6AABE1 5BA3DC 4F91C4 437FAD "
        "386E96 2D5D80 244D6A 223D51 1F2D39 1B1E22 342923 4E3323 693D1F 804B25 975A2E "
        "AF6A37 C77A40 E08A4A E5965C E9A16E EDAD7E F1B88F F5C49F F8CFAF FCDBBF FFE6CF"
    ),
}


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
